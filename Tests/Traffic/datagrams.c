/*
 * Numbered UDP datagrams: the flow (32 bits), the number in the flow (64), the payload's length (32), in host order,
 * then a stream of the datagram's own.
 */
#define _GNU_SOURCE
#include "traffic.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAXIMUM_FLOWS 64
#define HEADER 16

static uint64_t stream_of(uint32_t flow, uint64_t number)
{
	return number << 6 ^ flow;
}

static void compose(uint8_t *datagram, size_t length, uint32_t flow, uint64_t number)
{
	uint32_t size = (uint32_t)length;

	memcpy(datagram, &flow, 4);
	memcpy(datagram + 4, &number, 8);
	memcpy(datagram + 12, &size, 4);
	fill(datagram + HEADER, length - HEADER, stream_of(flow, number), 0);
}

/* A sender that changes the processor overtakes its own packets. */
static void stay(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void sleep_until(uint64_t time)
{
	struct timespec until = { .tv_sec = (time_t)(time / 1000000000), .tv_nsec = (long)(time % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

void send_datagrams(const char *address, const char *port, const struct options *options)
{
	static uint8_t buffer[65536];
	uint64_t sent = 0, refused = 0, numbers[MAXIMUM_FLOWS] = { 0 };
	int sockets[MAXIMUM_FLOWS], size = 4 << 20;
	uint64_t flows = options->flows < MAXIMUM_FLOWS ? options->flows : MAXIMUM_FLOWS;
	uint64_t burst = options->segment != 0 ? options->size / options->segment : 1;
	size_t length = options->segment != 0 ? options->segment : options->size;
	uint64_t start;

	if (length < HEADER || length * burst > sizeof(buffer)) {
		errno = EMSGSIZE;
		fail("size");
	}
	for (uint64_t flow = 0; flow < flows; flow++) {
		uint64_t source = options->source != 0 ? options->source + flow : 0;
		int segment = (int)options->segment;

		sockets[flow] = connected(SOCK_DGRAM, address, port, source);
		setsockopt(sockets[flow], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
		if (segment != 0 && setsockopt(sockets[flow], IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0)
			fail("UDP_SEGMENT");
	}
	stay();
	start = monotonic();
	for (uint64_t call = 0; !is_over && (options->count == 0 || sent < options->count); call++) {
		uint64_t flow = call % flows;

		if (options->rate != 0 && monotonic() < start + sent * 1000000000 / options->rate)
			sleep_until(start + sent * 1000000000 / options->rate);
		for (uint64_t part = 0; part < burst; part++)
			compose(buffer + part * length, length, (uint32_t)flow, numbers[flow]++);
		/* A datagram that the system refuses was never on its way; its number is given again. */
		if (send(sockets[flow], buffer, length * burst, 0) < 0) {
			if (errno != EINTR && errno != ENOBUFS && errno != ECONNREFUSED)
				fail("send");
			numbers[flow] -= burst;
			refused++;
			continue;
		}
		sent += burst;
	}
	printf("{\"sent\":%llu,\"refused\":%llu,\"microseconds\":%llu}\n", (unsigned long long)sent,
	       (unsigned long long)refused, (unsigned long long)((monotonic() - start) / 1000));
}

/* The numbers of a flow that have arrived, a bit each. */
struct flow {
	uint8_t *seen;
	uint64_t capacity;
	uint64_t next;
};

struct account {
	unsigned long long received, bytes, damaged, duplicated, reordered;
	uint32_t overflowed; /* what this socket had no room for: not the network's loss */
};

static void note(struct account *account, struct flow *flow, uint64_t number)
{
	if (number >= flow->capacity) {
		uint64_t capacity = number * 2 + 65536;

		flow->seen = realloc(flow->seen, capacity / 8);
		if (flow->seen == NULL)
			fail("realloc");
		memset(flow->seen + flow->capacity / 8, 0, (capacity - flow->capacity) / 8);
		flow->capacity = capacity / 8 * 8;
	}
	if ((flow->seen[number / 8] >> number % 8 & 1) != 0)
		account->duplicated++;
	else if (number < flow->next)
		account->reordered++;
	flow->seen[number / 8] |= (uint8_t)(1 << number % 8);
	if (number >= flow->next)
		flow->next = number + 1;
}

static void take(struct account *account, struct flow *flows, const uint8_t *datagram, size_t length, uint64_t edited)
{
	uint32_t flow = 0, size = 0;
	uint64_t number = 0;

	account->received++;
	account->bytes += length;
	if (length >= HEADER) {
		memcpy(&flow, datagram, 4);
		memcpy(&number, datagram + 4, 8);
		memcpy(&size, datagram + 12, 4);
	}
	if (size != length || flow >= MAXIMUM_FLOWS || number >= 1ull << 32 ||
	    damage(datagram + HEADER, length - HEADER, stream_of(flow, number), 0, edited) != 0)
		account->damaged++;
	else
		note(account, &flows[flow], number);
}

static void count_overflows(struct account *account, struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part))
		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_RXQ_OVFL)
			memcpy(&account->overflowed, CMSG_DATA(part), sizeof(account->overflowed));
}

void receive_datagrams(const char *port, const struct options *options)
{
	static uint8_t buffer[65536];
	struct flow flows[MAXIMUM_FLOWS] = { { 0 } };
	struct account account = { 0 };
	struct timeval wait = { .tv_usec = 50000 };
	int fd = bound(SOCK_DGRAM, port), size = 128 << 20, on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	while (options->count == 0 || account.received < options->count) {
		/* What has arrived before the end is counted. */
		int flags = is_over ? MSG_DONTWAIT : 0;
		char control[64];
		struct iovec vector = { .iov_base = buffer, .iov_len = sizeof(buffer) };
		struct msghdr message = {
			.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
		};
		ssize_t length = recvmsg(fd, &message, flags);

		if (length >= 0) {
			take(&account, flows, buffer, (size_t)length, options->edited);
			count_overflows(&account, &message);
		} else if (flags != 0 && errno == EAGAIN) {
			break;
		} else if (errno != EAGAIN && errno != EINTR) {
			fail("receive");
		}
	}
	printf("{\"received\":%llu,\"bytes\":%llu,\"damaged\":%llu,\"duplicated\":%llu,\"reordered\":%llu,"
	       "\"overflowed\":%u}\n",
	       account.received, account.bytes, account.damaged, account.duplicated, account.reordered,
	       account.overflowed);
}
