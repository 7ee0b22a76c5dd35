#define _GNU_SOURCE
#include "CLinuxShim.h"

#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(struct linux_mmsghdr) == sizeof(struct mmsghdr), "layout of mmsghdr");
_Static_assert(offsetof(struct linux_mmsghdr, msg_len) == offsetof(struct mmsghdr, msg_len), "layout of mmsghdr");

const char *linux_error_name(int code)
{
	return strerrorname_np(code);
}

const char *linux_error_text(int code)
{
	return strerrordesc_np(code);
}

int linux_accept4(int fd, int flags)
{
	return accept4(fd, NULL, NULL, flags);
}

int linux_recvmmsg(int fd, struct linux_mmsghdr *messages, unsigned int count, int flags)
{
	return recvmmsg(fd, (struct mmsghdr *)messages, count, flags, NULL);
}

int linux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid)
{
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);
	int result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);

	*pid = peer.pid;
	*uid = peer.uid;
	*gid = peer.gid;
	return result;
}

void linux_malloc_trim(void)
{
	malloc_trim(0);
}

static int unmap_object(struct dl_phdr_info *object, size_t size, void *context)
{
	(void)size;
	(void)context;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		/* A writable segment has been relocated: what the file says of it is not what it holds. */
		if (segment->p_type != PT_LOAD || segment->p_flags & PF_W) continue;
		uintptr_t begin = object->dlpi_addr + segment->p_vaddr;
		uintptr_t end = begin + segment->p_filesz;
		begin &= ~(page - 1);
		madvise((void *)begin, (end - begin + page - 1) & ~(page - 1), MADV_DONTNEED);
	}
	/* The program itself comes first, and what it shares with others stays. */
	return 1;
}

void linux_unmap_program(void)
{
	dl_iterate_phdr(unmap_object, NULL);
}

int linux_memfd_create(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC);
}

int linux_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int linux_pthread_setname(const char *name)
{
	return pthread_setname_np(pthread_self(), name);
}

int linux_sched_getaffinity(void *mask, size_t size)
{
	return (int)syscall(SYS_sched_getaffinity, 0, size, mask);
}

int linux_sched_setaffinity(const void *mask, size_t size)
{
	return (int)syscall(SYS_sched_setaffinity, 0, size, mask);
}

int linux_setns(int fd, int type)
{
	return setns(fd, type);
}

int linux_unshare(int flags)
{
	return unshare(flags);
}

int linux_effective_capabilities(uint64_t *capabilities)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	int result = (int)syscall(SYS_capget, &header, data);

	*capabilities = (uint64_t)data[1].effective << 32 | data[0].effective;
	return result;
}

char *const *linux_environment(void)
{
	return environ;
}
