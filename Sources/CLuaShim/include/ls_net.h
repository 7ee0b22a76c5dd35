/*
 * ls_net: the module `net`, helpers for addresses.
 *
 * C takes arguments off the Lua stack and pushes results; what addresses, networks and checksums are is Swift's part,
 * which sees plain values and no lua_State.
 */
#ifndef LS_NET_H
#define LS_NET_H

#include "ls_state.h"

/* Room for the text of an address, without a NUL. */
#define LS_ADDRESS_TEXT 45

/* The address's number in host order; IPv4's is in the low 32 bits. */
typedef struct ls_address {
	uint64_t high;
	uint64_t low;
	bool is_ipv6;
} ls_address;

/* A name of a port; the first of several names of one port is the one it is called by. */
typedef struct ls_service {
	const char *name;
	uint16_t port;
} ls_service;

/*
 * What addresses are. A set is made in the memory of the Lua state: entries are added to room for `count` of them, each
 * with its value's number from 1 on; sorted, the largest of those left at a time; looked over for networks that are
 * there twice; and then put into the set's memory. The memory is aligned to 8 bytes.
 */
typedef struct ls_net_operations {
	bool (*parse)(const char *text, size_t length, ls_address *address);
	/* Writes at most LS_ADDRESS_TEXT bytes, returns how many. */
	size_t (*format)(const ls_address *address, char *text);
	uint16_t (*checksum)(const uint8_t *bytes, size_t length, uint64_t start);

	size_t entry_size;
	/* The entry after the first `count`; false if the text is neither an address nor a network. */
	bool (*add)(void *entries, size_t count, const char *text, size_t length, uint32_t value, bool is_listed);
	/* Moves the largest of the first `count` entries to their end. */
	void (*sort_last)(void *entries, size_t count);
	/* The value's number of an entry whose network another one has as well, 0 if there is none. */
	uint32_t (*repeated)(const void *entries, size_t count);
	size_t (*set_size)(const void *entries, size_t count);
	/* Returns how many networks the set has. */
	size_t (*build)(const void *entries, size_t count, void *set);
	/* The value's number of the longest network that has the address, 0 for none. */
	uint32_t (*find)(const void *set, const ls_address *address);

	const ls_service *services;
	size_t service_count;
} ls_net_operations;

/* Makes `require 'net'` find the module. */
void ls_open_net(ls_state *s, const ls_net_operations *operations);

#endif
