/*
 * The traffic that is measured.
 *
 * traffic sink PORT                             takes datagrams and reads none: who counts looks at the interface
 * traffic echo PORT                             sends each datagram back
 * traffic banner PORT                           greets each TCP connection like an SSH server, and waits for its end
 * traffic datagrams ADDRESS PORT SECONDS RATE   sends small datagrams to ADDRESS and the seven after it, RATE a second;
 *                                               0: as many as go
 * traffic roundtrips ADDRESS PORT COUNT         prints the median and the 99.9th percentile, in microseconds
 * traffic connections ADDRESS PORT SECONDS      prints how many a second were greeted
 * traffic first ADDRESS PORT                    asks until there is an answer, and prints when: seconds since 1970
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define PARALLEL 64
#define ADDRESSES 8

static const char banner[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	if (host != NULL && inet_pton(AF_INET, host, &address.sin_addr) != 1)
		fail(host);
	return address;
}

static int listening(int type, const char *port)
{
	struct sockaddr_in own = address(NULL, port);
	int on = 1, fd = socket(AF_INET, type, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0)
		fail("bind");
	if (type == SOCK_STREAM && listen(fd, 4096) < 0)
		fail("listen");
	return fd;
}

static int connected(const char *host, const char *port)
{
	struct sockaddr_in peer = address(host, port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0)
		fail("connect");
	return fd;
}

static void sink(const char *port)
{
	listening(SOCK_DGRAM, port);
	for (;;)
		pause();
}

static void echo(const char *port)
{
	int fd = listening(SOCK_DGRAM, port);
	char data[2048];

	for (;;) {
		struct sockaddr_in peer;
		socklen_t size = sizeof(peer);
		ssize_t length = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&peer, &size);

		if (length >= 0)
			sendto(fd, data, length, 0, (struct sockaddr *)&peer, size);
	}
}

static void watch(int poll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll_ctl");
}

static void greet(const char *port)
{
	int fd = listening(SOCK_STREAM, port), poll = epoll_create1(0), i, count;
	struct epoll_event events[PARALLEL];

	watch(poll, fd);
	for (;;) {
		count = epoll_wait(poll, events, PARALLEL, -1);
		for (i = 0; i < count; i++) {
			int connection = events[i].data.fd;

			if (connection != fd) {
				close(connection);
				continue;
			}
			connection = accept(fd, NULL, NULL);
			if (connection < 0) {
				if (errno == EMFILE)
					fail("accept");
				continue;
			}
			send(connection, banner, sizeof(banner) - 1, MSG_NOSIGNAL);
			watch(poll, connection);
		}
	}
}

static void datagrams(const char *host, const char *port, double seconds, double rate)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), i;
	static char data[18];
	struct iovec vector = { data, sizeof(data) };
	struct sockaddr_in peers[ADDRESSES];
	struct mmsghdr messages[BATCH] = { 0 };
	double start = now(), end = start + seconds, time;
	long sent = 0;

	for (i = 0; i < ADDRESSES; i++) {
		peers[i] = address(host, port);
		peers[i].sin_addr.s_addr = htonl(ntohl(peers[i].sin_addr.s_addr) + i);
	}
	for (i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_name = &peers[i % ADDRESSES],
						       .msg_namelen = sizeof(peers[0]),
						       .msg_iov = &vector,
						       .msg_iovlen = 1 };
	while ((time = now()) < end) {
		if (rate == 0)
			sendmmsg(fd, messages, BATCH, 0);
		else if ((time - start) * rate > sent && sendmmsg(fd, &messages[sent % BATCH], 1, 0) > 0)
			sent++;
	}
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void roundtrips(const char *host, const char *port, int count)
{
	int fd = connected(host, port), i;
	struct timeval limit = { .tv_sec = 1 };
	double *times = malloc(count * sizeof(*times));
	char data[64] = { 0 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (i = -count / 10; i < count; i++) { /* The first tenth warms up. */
		double start = now();

		if (send(fd, data, sizeof(data), 0) < 0 || recv(fd, data, sizeof(data), 0) < 0)
			fail("round trip");
		if (i >= 0)
			times[i] = (now() - start) * 1e6;
	}
	qsort(times, count, sizeof(*times), ascending);
	printf("%.2f %.2f\n", times[count / 2], times[(int)(count * 0.999)]);
}

static void open_connection(int poll, const struct sockaddr_in *peer)
{
	struct linger reset = { .l_onoff = 1 }; /* No TIME_WAIT: it would use up the ports. */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (connect(fd, (const struct sockaddr *)peer, sizeof(*peer)) < 0 && errno != EINPROGRESS)
		fail("connect");
	watch(poll, fd);
}

static void connections(const char *host, const char *port, double seconds)
{
	struct sockaddr_in peer = address(host, port);
	struct epoll_event events[PARALLEL];
	int poll = epoll_create1(0), i, count;
	double start = now(), end = start + seconds;
	long greeted = 0;

	for (i = 0; i < PARALLEL; i++)
		open_connection(poll, &peer);
	while (now() < end) {
		count = epoll_wait(poll, events, PARALLEL, 100);
		for (i = 0; i < count; i++) {
			char data[sizeof(banner)];

			if (recv(events[i].data.fd, data, sizeof(data), 0) == sizeof(banner) - 1)
				greeted++;
			close(events[i].data.fd);
			open_connection(poll, &peer);
		}
	}
	printf("%.0f\n", greeted / (now() - start));
}

static void first(const char *host, const char *port)
{
	int fd = connected(host, port);
	struct timeval limit = { .tv_usec = 200 };
	struct timespec time;
	char data[18] = { 0 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	do
		send(fd, data, sizeof(data), 0);
	while (recv(fd, data, sizeof(data), 0) < 0);
	clock_gettime(CLOCK_REALTIME, &time);
	printf("%ld.%06ld\n", time.tv_sec, time.tv_nsec / 1000);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 3 && strcmp(what, "sink") == 0)
		sink(argv[2]);
	else if (argc == 3 && strcmp(what, "echo") == 0)
		echo(argv[2]);
	else if (argc == 3 && strcmp(what, "banner") == 0)
		greet(argv[2]);
	else if (argc == 6 && strcmp(what, "datagrams") == 0)
		datagrams(argv[2], argv[3], atof(argv[4]), atof(argv[5]));
	else if (argc == 5 && strcmp(what, "roundtrips") == 0)
		roundtrips(argv[2], argv[3], atoi(argv[4]));
	else if (argc == 5 && strcmp(what, "connections") == 0)
		connections(argv[2], argv[3], atof(argv[4]));
	else if (argc == 4 && strcmp(what, "first") == 0)
		first(argv[2], argv[3]);
	else {
		fprintf(stderr, "traffic: see the head of traffic.c\n");
		return 2;
	}
	return 0;
}
