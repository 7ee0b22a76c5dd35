/* What the files of the shim share. */
#ifndef STATE_H
#define STATE_H

#include "ls_data.h"
#include "ls_net.h"
#include "ls_npf.h"
#include "pool.h"

#define LS_MESSAGE_SIZE 4096
#define LS_OUT_OF_MEMORY "not enough memory"

struct ls_state {
	lua_State *L;
	ls_limits limits;

	/* Memory: see allocator.c. */
	size_t used;		/* bytes held */
	size_t large;		/* of these, bytes in large blocks */
	size_t floor;		/* held when all garbage had last been collected, or less */
	size_t entry;		/* held when the call began */
	struct ls_pool pool;	/* the small blocks */
	struct ls_block *blocks;	/* the largest; see blocks.c */
	size_t held;		/* blocks held */
	uint64_t allocations;	/* blocks asked of the system so far */
	unsigned host;		/* above zero in host mode */
	bool debt;		/* host mode went over the cap */
	bool refused;		/* the last request for more was refused */

	/* Time: see meter.c. */
	bool running;		/* a call is under way, so limits hold */
	bool filtering;		/* it is that of a packet */
	enum ls_status expired;	/* the limit that was reached, or LS_OK */
	int slice;		/* instructions from one hook to the next */
	int64_t budget;		/* instructions left, those of this slice already taken off */
	int64_t unchecked;	/* steps charged since the clock was read */
	int64_t deadline;	/* on the monotonic clock; 0 until it is first read */
	int64_t compile_time;	/* nanoseconds left for compiling in this call */
	int64_t calls;		/* made from outside so far */

	/* Luadata: see data.c. */
	ls_data_operations operations;
	int metatable;		/* of data objects, in the registry */
	int plain_metatable;	/* of those without a layout, likewise */
	uint64_t epoch;		/* a view is of this call, or empty */
	bool written;		/* in this call, to a view */
	bool affirmed;		/* the last answer was true, not nothing */

	/* The module `npf`: see npf.c. */
	int64_t now;		/* the time of the packet that is decided, since 1970 */
	ls_log log;
	void *log_context;
	ls_tables tables;	/* without a function there is no configuration; see npf_table.c */

	struct ls_programs *programs;	/* of patterns: see patterns.c */

	size_t message_length;
	char message[LS_MESSAGE_SIZE];
};

static inline ls_state *ls_of(lua_State *L)
{
	return *(ls_state **)lua_getextraspace(L);
}

/* door.c */
/* As ls_call, with ls_note_error on the stack already, below the function; it is left there, below the results. */
enum ls_status ls_run(ls_state *s, int handler, int arguments, int results);

/* allocator.c */
void *ls_allocate(void *state, void *block, size_t old_size, size_t new_size);
/* Pays the debt of host mode with a collection; raises a memory error if that is not enough. */
void ls_settle(lua_State *L);
/* Between calls: collects a bounded part of the garbage as the memory fills, all of it after a call that filled it. */
void ls_tidy(ls_state *s);

/* blocks.c */
/* As realloc, or free if the new size is 0; an array is new and belongs to no object yet. */
void *ls_resize_block(ls_state *s, void *block, size_t old_size, size_t new_size, bool is_array);
/* Whether moving a table's keys to a new array of that size takes bearable time; if not, the call ends. */
bool ls_may_rehash(ls_state *s, size_t new_size);

/* meter.c */
void ls_begin(ls_state *s);
/* Whether the time of the call is up, which then no script goes on from; the clock starts with the first question. */
bool ls_out_of_time(ls_state *s);
/* Makes the hook run at the next instruction. */
void ls_hasten(ls_state *s);
/* Notes that a limit is reached, if none is yet: from now on every instruction raises an error. */
void ls_expire(ls_state *s, enum ls_status limit, const char *text);

/* message.c */
/* Starts the message anew: the script's position, the text, and a traceback from a level of the stack on. */
void ls_note(ls_state *s, int level, const char *text);
/* As lua_pcall's message handler: notes the error on top of the stack. */
int ls_note_error(lua_State *L);
/* Starts the message anew with a formatted text alone. */
void ls_set_message(ls_state *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sandbox.c; each is a lua_CFunction that leaves its table or function on top. */
int ls_build_sandbox(lua_State *L);
int ls_open_table(lua_State *L);
int ls_print(lua_State *L);
/*
 * Joins the arguments from one on by tabs, each as `tostring` has it, and cuts what there is no room for; returns the
 * length.
 */
size_t ls_join(lua_State *L, int first, char *text, size_t room);
int ls_require(lua_State *L);
/* Pushes the table of modules that `require` has found. */
void ls_push_modules(lua_State *L);

/* data.c; a lua_CFunction. */
int ls_to_string(lua_State *L);

/* net.c */
/* The address at an index, or an error: a number for IPv4, 16 bytes for IPv6. */
ls_address ls_check_address(lua_State *L, int index);

/* npf_table.c */
/* Adds `table` to the module on top of the stack. */
void ls_add_tables(lua_State *L);

#endif
