/*
 * What a queue costs at least: a loop that accepts every packet, with the daemon's own settings of the queue and the
 * socket, one recvmmsg() and one batch verdict for up to 32 packets, and nothing in between.
 *
 * Usage: accept_all QUEUE [LENGTH [BYTES [open|closed [PAUSE [SCRIPT]]]]]
 * LENGTH packets may wait in the kernel, BYTES of each are copied; open: one that finds the queue full passes.
 * PAUSE microseconds pass, once the queue is empty, before it looks again.
 * SCRIPT is asked about each packet; it ends the program to say anything else than that the packet passes.
 */
#define _GNU_SOURCE
#include "script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define SLOT (68 << 10)

struct message {
	struct nlmsghdr header;
	struct nfgenmsg netfilter;
	char attributes[64];
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void begin(struct message *m, int type, int flags, int queue)
{
	memset(m, 0, sizeof(*m));
	m->header.nlmsg_len = offsetof(struct message, attributes);
	m->header.nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | type;
	m->header.nlmsg_flags = NLM_F_REQUEST | flags;
	m->netfilter.version = NFNETLINK_V0;
	m->netfilter.res_id = htons(queue);
}

static void put(struct message *m, int type, const void *value, int size)
{
	struct nlattr *attribute = (struct nlattr *)((char *)m + m->header.nlmsg_len);

	attribute->nla_type = type;
	attribute->nla_len = NLA_HDRLEN + size;
	memcpy((char *)attribute + NLA_HDRLEN, value, size);
	m->header.nlmsg_len += NLA_HDRLEN + NLA_ALIGN(size);
}

/* Sends a setting and reads the kernel's answer. */
static void configure(int fd, struct message *m)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer;

	if (send(fd, m, m->header.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		fail("accept_all: netlink");
	if (answer.header.nlmsg_type == NLMSG_ERROR && answer.error.error != 0) {
		errno = -answer.error.error;
		fail("accept_all: the queue");
	}
}

static void take(int fd, int queue, unsigned length, unsigned bytes, int open)
{
	struct nfqnl_msg_config_cmd bind = { .command = NFQNL_CFG_CMD_BIND };
	struct nfqnl_msg_config_params copy = { .copy_range = htonl(bytes), .copy_mode = NFQNL_COPY_PACKET };
	__u32 mask = htonl(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN);
	__u32 flags = htonl(NFQA_CFG_F_GSO | (open ? NFQA_CFG_F_FAIL_OPEN : 0));
	__u32 limit = htonl(length);
	struct message m;

	begin(&m, NFQNL_MSG_CONFIG, NLM_F_ACK, queue);
	put(&m, NFQA_CFG_CMD, &bind, sizeof(bind));
	put(&m, NFQA_CFG_QUEUE_MAXLEN, &limit, sizeof(limit));
	put(&m, NFQA_CFG_FLAGS, &flags, sizeof(flags));
	put(&m, NFQA_CFG_MASK, &mask, sizeof(mask));
	configure(fd, &m);

	begin(&m, NFQNL_MSG_CONFIG, NLM_F_ACK, queue);
	put(&m, NFQA_CFG_PARAMS, &copy, sizeof(copy));
	configure(fd, &m);
}

/* The id of the packet that a message brings; 0: none. The kernel puts its header first. */
static __u32 packet_id(const struct nlmsghdr *message, unsigned length)
{
	const struct nlattr *attribute = (const void *)((const char *)message + NLMSG_HDRLEN + sizeof(struct nfgenmsg));
	const struct nfqnl_msg_packet_hdr *packet = (const void *)((const char *)attribute + NLA_HDRLEN);

	if (length < NLMSG_HDRLEN + sizeof(struct nfgenmsg) + NLA_HDRLEN + sizeof(*packet) ||
	    message->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET) ||
	    attribute->nla_type != NFQA_PACKET_HDR)
		return 0;
	return ntohl(packet->packet_id);
}

static void ask(const char *message, unsigned length)
{
	unsigned offset = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));

	while (offset + NLA_HDRLEN <= length) {
		const struct nlattr *attribute = (const void *)(message + offset);

		if (attribute->nla_type == NFQA_PAYLOAD &&
		    !call_script(message + offset + NLA_HDRLEN, attribute->nla_len - NLA_HDRLEN))
			exit(3);
		offset += NLA_ALIGN(attribute->nla_len);
	}
}

int main(int argc, char **argv)
{
	int queue = argc > 1 ? atoi(argv[1]) : 0;
	unsigned length = argc > 2 ? atoi(argv[2]) : 4096;
	unsigned bytes = argc > 3 ? atoi(argv[3]) : 0xffff;
	struct timespec pause = { .tv_nsec = argc > 5 ? atol(argv[5]) * 1000 : 0 };
	const char *script = argc > 6 ? argv[6] : NULL;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	long room = (long)length * (72 << 10);
	int size = room < 1 << 20 ? 1 << 20 : room > 1 << 30 ? 1 << 30 : (int)room;
	int on = 1, i, count;
	struct mmsghdr headers[BATCH] = { 0 };
	struct iovec vectors[BATCH];
	char *ring = mmap(NULL, BATCH * SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || ring == MAP_FAILED)
		fail("accept_all");
	setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		fail("accept_all: the socket's buffer");
	take(fd, queue, length, bytes, argc > 4 && strcmp(argv[4], "open") == 0);

	if (script != NULL)
		load_script(script);
	for (i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){ ring + i * SLOT, SLOT };
		headers[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1 };
	}
	for (;;) {
		struct nfqnl_msg_verdict_hdr verdict = { .verdict = htonl(NF_ACCEPT) };
		struct message m;
		__u32 last = 0;

		count = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL);
		if (count < 0 && errno != EINTR && errno != ENOBUFS)
			fail("accept_all: recvmmsg");
		for (i = 0; i < count; i++) {
			/* The kernel sends each packet in a datagram of its own. */
			__u32 id = packet_id((const void *)(ring + i * SLOT), headers[i].msg_len);

			last = id != 0 ? id : last;
			if (script != NULL && id != 0)
				ask(ring + i * SLOT, headers[i].msg_len);
		}
		if (last == 0)
			continue;
		verdict.id = htonl(last);
		begin(&m, NFQNL_MSG_VERDICT_BATCH, 0, queue);
		put(&m, NFQA_VERDICT_HDR, &verdict, sizeof(verdict));
		if (send(fd, &m, m.header.nlmsg_len, 0) < 0)
			fail("accept_all: a verdict");
		if (pause.tv_nsec > 0 && count < BATCH)
			nanosleep(&pause, NULL);
	}
}
