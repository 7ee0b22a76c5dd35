/*
 * Traffic that says what became of it: numbered datagrams, streams, and raw frames, checked byte for byte by the
 * receiver.
 */
#include "traffic.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

volatile bool is_over;

static void end(int signal)
{
	(void)signal;
	is_over = true;
}

void fail(const char *what)
{
	err(1, "%s", what);
}

uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* SplitMix64 of the place: any part of any stream can be made by itself. */
static uint64_t word(uint64_t stream, uint64_t index)
{
	uint64_t z = (stream << 32) + (index + 1) * 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void fill(uint8_t *to, size_t length, uint64_t stream, uint64_t offset)
{
	for (size_t at = 0; at < length;) {
		uint64_t bytes = word(stream, (offset + at) / 8);

		for (size_t byte = (offset + at) % 8; byte < 8 && at < length; byte++)
			to[at++] = (uint8_t)(bytes >> 8 * byte);
	}
}

uint64_t damage(const uint8_t *bytes, size_t length, uint64_t stream, uint64_t offset, uint64_t edited)
{
	static uint8_t expected[65536];
	uint64_t wrong = 0;

	for (size_t at = 0; at < length;) {
		size_t count = length - at < sizeof(expected) ? length - at : sizeof(expected);

		fill(expected, count, stream, offset + at);
		if (edited != 0)
			for (size_t next = (edited - (offset + at) % edited) % edited; next < count; next += edited)
				expected[next] = EDITED;
		if (memcmp(bytes + at, expected, count) != 0)
			for (size_t index = 0; index < count; index++)
				wrong += bytes[at + index] != expected[index];
		at += count;
	}
	return wrong;
}

int connected(int type, const char *address, const char *port, uint64_t source)
{
	struct sockaddr_in6 from = { .sin6_port = htons((uint16_t)source) };
	struct addrinfo hints = { .ai_socktype = type, .ai_flags = AI_NUMERICHOST }, *found;
	int fd;

	if (getaddrinfo(address, port, &hints, &found) != 0)
		errx(1, "%s, port %s: no address", address, port);
	fd = socket(found->ai_family, type, 0);
	/* The port is at the same place in both families' addresses. */
	from.sin6_family = (sa_family_t)found->ai_family;
	if (source != 0 && bind(fd, (struct sockaddr *)&from, found->ai_addrlen) < 0)
		fail("bind");
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
		fail("connect");
	freeaddrinfo(found);
	return fd;
}

int bound(int type, const char *port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET6, type, 0), off = 0, on = 1;

	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		fail("bind");
	return fd;
}

static const char *const usage =
	"usage: Traffic send ADDRESS PORT [count=N] [rate=N] [size=N] [flows=N] [segment=N] [source=N]\n"
	"       Traffic receive PORT [count=N] [edited=N] until SIGTERM\n"
	"       Traffic stream-send ADDRESS PORT count=BYTES\n"
	"       Traffic stream-receive PORT [edited=N]    one connection\n"
	"       Traffic frames INTERFACE                  Ethernet frames in hexadecimal, one a line, from stdin\n"
	"       Traffic capture INTERFACE                 the same, of what comes in, until SIGTERM\n"
	"       Traffic queue NUMBER                      accepts what comes to an NFQUEUE, until SIGTERM\n";

static void parse(struct options *options, char **arguments)
{
	static const struct {
		const char *name;
		size_t offset;
	} known[] = {
		{ "count=", offsetof(struct options, count) },     { "rate=", offsetof(struct options, rate) },
		{ "size=", offsetof(struct options, size) },       { "flows=", offsetof(struct options, flows) },
		{ "segment=", offsetof(struct options, segment) }, { "edited=", offsetof(struct options, edited) },
		{ "source=", offsetof(struct options, source) },
	};

	for (; *arguments != NULL; arguments++) {
		size_t index = 0;

		while (index < sizeof(known) / sizeof(known[0]) &&
		       strncmp(*arguments, known[index].name, strlen(known[index].name)) != 0)
			index++;
		if (index == sizeof(known) / sizeof(known[0]))
			errx(2, "%s: unknown\n%s", *arguments, usage);
		*(uint64_t *)((char *)options + known[index].offset) =
			strtoull(*arguments + strlen(known[index].name), NULL, 10);
	}
}

int main(int count, char **arguments)
{
	struct options options = { .size = 64, .flows = 1 };
	struct sigaction action = { .sa_handler = end };
	const char *command = count > 2 ? arguments[1] : "";
	bool has_address = strcmp(command, "send") == 0 || strcmp(command, "stream-send") == 0;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (count < 3 + has_address)
		errx(2, "%s", usage);
	parse(&options, arguments + 3 + has_address);
	if (strcmp(command, "send") == 0)
		send_datagrams(arguments[2], arguments[3], &options);
	else if (strcmp(command, "receive") == 0)
		receive_datagrams(arguments[2], &options);
	else if (strcmp(command, "stream-send") == 0)
		send_stream(arguments[2], arguments[3], &options);
	else if (strcmp(command, "stream-receive") == 0)
		receive_stream(arguments[2], &options);
	else if (strcmp(command, "frames") == 0)
		send_frames(arguments[2]);
	else if (strcmp(command, "capture") == 0)
		capture_frames(arguments[2]);
	else if (strcmp(command, "queue") == 0)
		accept_queued(arguments[2]);
	else
		errx(2, "%s", usage);
	return 0;
}
