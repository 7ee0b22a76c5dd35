/*
 * A TCP connection that carries one stream in one direction.
 */
#include "traffic.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

void send_stream(const char *address, const char *port, const struct options *options)
{
	static uint8_t buffer[1 << 20];
	int fd = connected(SOCK_STREAM, address, port, 0);
	uint64_t sent = 0;

	while (sent < options->count) {
		size_t length = options->count - sent < sizeof(buffer) ? options->count - sent : sizeof(buffer);

		fill(buffer, length, 0, sent);
		for (size_t at = 0; at < length;) {
			ssize_t count = send(fd, buffer + at, length - at, MSG_NOSIGNAL);

			if (count < 0)
				fail("send");
			at += (size_t)count;
		}
		sent += length;
	}
	/* The receiver closes when it has read everything. */
	shutdown(fd, SHUT_WR);
	if (read(fd, buffer, 1) != 0)
		fail("end");
	printf("{\"sent\":%llu}\n", (unsigned long long)sent);
}

void receive_stream(const char *port, const struct options *options)
{
	static uint8_t buffer[1 << 20];
	int listener = bound(SOCK_STREAM, port), fd;
	unsigned long long received = 0, damaged = 0;
	ssize_t count;

	if (listen(listener, 1) < 0 || (fd = accept(listener, NULL, NULL)) < 0)
		fail("accept");
	while ((count = read(fd, buffer, sizeof(buffer))) > 0) {
		damaged += damage(buffer, (size_t)count, 0, received, options->edited);
		received += (unsigned long long)count;
	}
	if (count < 0)
		fail("read");
	printf("{\"received\":%llu,\"damaged\":%llu}\n", received, damaged);
}
