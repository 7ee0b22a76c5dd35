/*
 * What the parts of the traffic tool share: options, contents that can be checked byte for byte, and the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an edited byte is to be. */
#define EDITED 'X'

struct options {
	uint64_t count;   /* datagrams to send or receive; 0: until SIGTERM */
	uint64_t rate;    /* datagrams a second; 0: as fast as it goes */
	uint64_t size;    /* bytes of a datagram's payload */
	uint64_t flows;   /* source ports */
	uint64_t source;  /* the first flow's source port; 0: any */
	uint64_t segment; /* bytes of a datagram's payload in a burst that the kernel cuts (UDP_SEGMENT); 0: none */
	uint64_t edited;  /* the distance of the bytes that are to arrive as EDITED, from the first one on; 0: none */
};

/* Set by SIGTERM and SIGINT. */
extern volatile bool is_over;

_Noreturn void fail(const char *what);
uint64_t monotonic(void); /* nanoseconds */

/* Writes the bytes of a stream from `offset` on. */
void fill(uint8_t *to, size_t length, uint64_t stream, uint64_t offset);
/* How many of the bytes are not those of the stream from `offset` on, with its edits. */
uint64_t damage(const uint8_t *bytes, size_t length, uint64_t stream, uint64_t offset, uint64_t edited);

/* The commands; each writes one JSON object, or frames. */
void send_datagrams(const char *address, const char *port, const struct options *options);
void receive_datagrams(const char *port, const struct options *options);
void send_stream(const char *address, const char *port, const struct options *options);
void receive_stream(const char *port, const struct options *options);
void send_frames(const char *interface);
void capture_frames(const char *interface);
void accept_queued(const char *queue);

/* A socket of the address's family, connected, from the port `source` if it is not 0; a socket of both families, bound. */
int connected(int type, const char *address, const char *port, uint64_t source);
int bound(int type, const char *port);
