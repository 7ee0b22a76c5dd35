/* ls_npf: the module `npf`, what a script asks of the filter that runs it. */
#ifndef LS_NPF_H
#define LS_NPF_H

#include "ls_state.h"

/* What a message says about itself, the least first. */
enum ls_level {
	LS_LEVEL_DEBUG,
	LS_LEVEL_INFO,
	LS_LEVEL_NOTICE,
	LS_LEVEL_WARNING,
	LS_LEVEL_ERROR,
};

/* Bytes that a message has at most; longer ones are cut. */
#define LS_LONGEST_MESSAGE 1000

/* Gets a message of an ls_level, which is valid during the call. */
typedef void (*ls_log)(void *context, uint8_t level, const char *text, size_t length);

/* What came of a change to a table. */
enum ls_table_answer {
	LS_TABLE_DONE,
	LS_TABLE_ABSENT,	/* what was to be removed is not there */
	LS_TABLE_FULL,
	LS_TABLE_BUSY,
	LS_TABLE_IMMUTABLE,
};

/*
 * The filter's tables of addresses, by their places among the names. An address is its number in host order, IPv4's in
 * the low half.
 */
typedef struct ls_tables {
	const char *const *names;
	size_t count;
	/* Puts an address in for a time, INT64_MAX for good; returns an ls_table_answer. */
	uint8_t (*add)(void *context, size_t table, uint64_t high, uint64_t low, bool is_ipv6, int64_t nanoseconds);
	/* Takes an address out; returns an ls_table_answer. */
	uint8_t (*remove)(void *context, size_t table, uint64_t high, uint64_t low, bool is_ipv6);
	bool (*test)(void *context, size_t table, uint64_t high, uint64_t low, bool is_ipv6);
	void *context;
} ls_tables;

/* Makes `require 'npf'` find the module. */
void ls_open_npf(ls_state *s);
/* The function that gets what scripts log; without one it is dropped. */
void ls_set_log(ls_state *s, ls_log log, void *context);
/* The tables that scripts find; without these there are none. The names stay for as long as the state. */
void ls_set_tables(ls_state *s, const ls_tables *tables);
/* The time that the next call of ls_filter is at, in nanoseconds since 1970. */
void ls_set_time(ls_state *s, int64_t nanoseconds);

#endif
