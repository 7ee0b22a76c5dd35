/*
 * Ethernet frames as they are, in hexadecimal.
 */
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t frame[1 << 16];

static int packet_socket(const char *interface, uint16_t protocol)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(protocol),
				       .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(interface);
	return fd;
}

void send_frames(const char *interface)
{
	int fd = packet_socket(interface, 0);
	size_t length = 0;
	unsigned int byte;

	while (true) {
		int next = getchar();

		if (next == '\n' || next == EOF) {
			if (length != 0 && send(fd, frame, length, 0) < 0)
				fail("send");
			length = 0;
			if (next == EOF)
				return;
			continue;
		}
		ungetc(next, stdin);
		if (length == sizeof(frame) || scanf("%2x", &byte) != 1) {
			errno = EINVAL;
			fail("frame");
		}
		frame[length++] = (uint8_t)byte;
	}
}

void capture_frames(const char *interface)
{
	int fd = packet_socket(interface, ETH_P_ALL), on = 1, size = 16 << 20;
	struct timeval wait = { .tv_usec = 50000 };

	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	puts("listening");
	fflush(stdout);
	while (!is_over) {
		ssize_t length = recv(fd, frame, sizeof(frame), 0);

		for (ssize_t index = 0; index < length; index++)
			printf("%02x", frame[index]);
		if (length > 0) {
			putchar('\n');
			fflush(stdout);
		}
	}
}
