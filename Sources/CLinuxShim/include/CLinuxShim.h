#ifndef CLINUXSHIM_H
#define CLINUXSHIM_H

/*
 * What Swift's Glibc module does not show: headers that it leaves out, and
 * functions that glibc declares for _GNU_SOURCE alone; and an instruction that
 * Swift has no word for. No logic.
 */

#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/types.h>

/* The layout of struct mmsghdr, which needs _GNU_SOURCE. */
struct linux_mmsghdr {
	struct msghdr msg_hdr;
	unsigned int msg_len;
};

const char *linux_error_name(int code);
const char *linux_error_text(int code);

int linux_accept4(int fd, int flags);
int linux_recvmmsg(int fd, struct linux_mmsghdr *messages, unsigned int count, int flags);
int linux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid);

void linux_malloc_trim(void);
/* Unmaps the pages of the program's file that it cannot have written to; they are mapped again as they are used. */
void linux_unmap_program(void);
int linux_memfd_create(const char *name);
int linux_pidfd_open(pid_t pid);
int linux_pthread_setname(const char *name);

/* The calling thread's processors as bits; the first returns how many bytes of the mask the kernel has. */
int linux_sched_getaffinity(void *mask, size_t size);
int linux_sched_setaffinity(const void *mask, size_t size);

int linux_setns(int fd, int type);
int linux_unshare(int flags);

/* The 64 bits of the calling thread's effective capabilities. */
int linux_effective_capabilities(uint64_t *capabilities);

char *const *linux_environment(void);

/* Has the processor fetch the cache line at an address; it does not wait for it, and no address is wrong. */
static inline void linux_prefetch(const void *address)
{
	__builtin_prefetch(address);
}

#endif
