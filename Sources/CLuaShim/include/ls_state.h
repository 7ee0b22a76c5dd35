/*
 * ls_state: a Lua state that runs scripts within limits.
 *
 * A Lua error leaves by longjmp, which must never skip a Swift frame. So a state is in one of two modes:
 *
 *   host    a Swift frame may be live. The allocator never fails: what goes over the cap is noted as a debt.
 *   script  only Lua and C frames are above the last lua_pcall. The cap holds, errors are raised.
 *
 * Two doors lead from one to the other: ls_load and ls_call (host to script) and the callbacks of
 * ls_push_callback (script to host), which settle the debt and raise after Swift has returned.
 */
#ifndef LS_STATE_H
#define LS_STATE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ls_state ls_state;

typedef struct ls_limits {
	int64_t instructions;	/* of the Lua machine, for one call */
	size_t memory;		/* bytes, of the whole state */
	int64_t nanoseconds;	/* for one call */
} ls_limits;

/* How a call ended. */
enum ls_status {
	LS_OK,
	LS_SYNTAX,		/* the text is no Lua */
	LS_ERROR,		/* an error was raised */
	LS_INSTRUCTIONS,	/* a limit was reached */
	LS_MEMORY,
	LS_TIME,
};

/* A new state with the sandbox's globals; NULL when even those do not fit into the memory limit. */
ls_state *ls_open(const ls_limits *limits);
void ls_close(ls_state *s);
/* What all states that were closed have not given back: nothing, or there is a leak. */
typedef struct ls_leak {
	size_t bytes;
	size_t blocks;
} ls_leak;
ls_leak ls_leaked(void);

lua_State *ls_lua(ls_state *s);
/* The limits of the calls that follow. */
void ls_set_limits(ls_state *s, const ls_limits *limits);
/* Bytes that the state holds now. */
size_t ls_memory_in_use(const ls_state *s);
/* How many blocks the state has asked the system for since it was made. */
uint64_t ls_allocations(const ls_state *s);
/* Collects all garbage. */
void ls_collect(ls_state *s);
/* What the last failed call left: `message` and a traceback, no NUL at the end. Valid until the next call. */
const char *ls_message(const ls_state *s, size_t *length);

/* Compiles a text chunk and runs it within the limits; compiling has a time limit of its own, a multiple of a call's. */
enum ls_status ls_load(ls_state *s, const char *source, size_t length, const char *chunk_name);
/*
 * As lua_pcall, within the limits; a call from a callback stays within those of the call around it. After a failure
 * nothing is left on the stack, not the error either.
 */
enum ls_status ls_call(ls_state *s, int arguments, int results);

/* The global function of that name, for ls_filter, and its parameters; LUA_NOREF if there is none. */
int ls_function(ls_state *s, const char *name, int *parameters, bool *variadic);
void ls_release(ls_state *s, int function);

/*
 * A function of the host. It may use what the Lua manual marks `-` or `m`, reads its arguments from L, pushes its
 * results and returns their count; with a negative count the value on top is raised as an error.
 */
typedef int (*ls_callback)(lua_State *L, void *context);
void ls_push_callback(lua_State *L, ls_callback callback, void *context);
/* The function that `print` gives its text to (one string argument); without one the text is dropped. */
void ls_set_print(ls_state *s, ls_callback callback, void *context);
/*
 * For a loader, as luaL_loadbufferx of a text, but within the memory of the state and the time that the call under way
 * has for compiling.
 */
int ls_compile(lua_State *L, const char *source, size_t length, const char *chunk_name);
/* The function that finds a module for `require`: takes its name, returns its compiled chunk. */
void ls_set_loader(ls_state *s, ls_callback callback, void *context);

/*
 * For C functions that run long. One step costs about one instruction of the Lua machine; steps and instructions
 * are taken from the same budget.
 */
int64_t *ls_budget(lua_State *L);
/* Raises if the budget or the deadline is used up; once it has, every later check and instruction does. */
void ls_check(lua_State *L);
/* Takes steps from the budget and checks as often as the deadline needs. */
void ls_charge(lua_State *L, int64_t steps);

/* Pushes the sandbox's string library and makes it that of the strings' metatable. */
void ls_register_string(lua_State *L);

#endif
