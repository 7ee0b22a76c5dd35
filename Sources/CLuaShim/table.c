/*
 * The table library, as Lua 5.4's but charged for every element it moves: `__len` and `__index` can make any of these
 * loops as long as they like, so the price cannot be known beforehand.
 */
#include "state.h"

#include <lauxlib.h>
#include <limits.h>

/* An element that is read and written costs about this many instructions. */
#define ELEMENT_STEPS 4
/* Bytes compared or copied in the time of one instruction. */
#define BYTES_PER_STEP 64
/* Digits that become part of a number in that time. */
#define BYTES_CONVERTED_PER_STEP 8

static void move_element(lua_State *L, int from_table, lua_Integer from, int to_table, lua_Integer to)
{
	ls_charge(L, ELEMENT_STEPS);
	lua_geti(L, from_table, from);
	lua_seti(L, to_table, to);
}

/* A numeral of any length is a number to Lua, and takes its time to become one. */
static lua_Integer integer_argument(lua_State *L, int argument)
{
	if (lua_type(L, argument) == LUA_TSTRING)
		ls_charge(L, (int64_t)(lua_rawlen(L, argument) / BYTES_CONVERTED_PER_STEP));
	return luaL_checkinteger(L, argument);
}

static lua_Integer optional_integer(lua_State *L, int argument, lua_Integer otherwise)
{
	return lua_isnoneornil(L, argument) ? otherwise : integer_argument(L, argument);
}

static lua_Integer length_of(lua_State *L, int table)
{
	luaL_checktype(L, table, LUA_TTABLE);
	return luaL_len(L, table);
}

static int insert(lua_State *L)
{
	lua_Integer end = (lua_Integer)((lua_Unsigned)length_of(L, 1) + 1);
	lua_Integer position = end;
	lua_Integer i;

	switch (lua_gettop(L)) {
	case 2:
		break;
	case 3:
		position = integer_argument(L, 2);
		luaL_argcheck(L, (lua_Unsigned)position - 1u < (lua_Unsigned)end, 2, "position out of bounds");
		for (i = end; i > position; i--)
			move_element(L, 1, i - 1, 1, i);
		break;
	default:
		return luaL_error(L, "wrong number of arguments to 'insert'");
	}
	lua_seti(L, 1, position);
	return 0;
}

static int remove_element(lua_State *L)
{
	lua_Integer size = length_of(L, 1);
	lua_Integer position = optional_integer(L, 2, size);

	if (position != size)
		luaL_argcheck(L, (lua_Unsigned)position - 1u <= (lua_Unsigned)size, 2, "position out of bounds");
	lua_geti(L, 1, position);
	for (; position < size; position++)
		move_element(L, 1, position + 1, 1, position);
	lua_pushnil(L);
	lua_seti(L, 1, position);
	return 1;
}

static int move(lua_State *L)
{
	lua_Integer from = integer_argument(L, 2);
	lua_Integer last = integer_argument(L, 3);
	lua_Integer to = integer_argument(L, 4);
	int target = lua_isnoneornil(L, 5) ? 1 : 5;
	lua_Integer count, i;

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checktype(L, target, LUA_TTABLE);
	if (last >= from) {
		luaL_argcheck(L, from > 0 || last < LUA_MAXINTEGER + from, 3, "too many elements to move");
		count = last - from + 1;
		luaL_argcheck(L, to <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
		if (to > last || to <= from || (target != 1 && !lua_compare(L, 1, target, LUA_OPEQ))) {
			for (i = 0; i < count; i++)
				move_element(L, 1, from + i, target, to + i);
		} else {
			for (i = count - 1; i >= 0; i--)
				move_element(L, 1, from + i, target, to + i);
		}
	}
	lua_pushvalue(L, target);
	return 1;
}

static int pack(lua_State *L)
{
	int count = lua_gettop(L);
	int i;

	ls_charge(L, count);
	lua_createtable(L, count, 1);
	lua_insert(L, 1);
	for (i = count; i >= 1; i--)
		lua_rawseti(L, 1, i);
	lua_pushinteger(L, count);
	lua_setfield(L, 1, "n");
	return 1;
}

static int unpack(lua_State *L)
{
	lua_Integer first = optional_integer(L, 2, 1);
	lua_Integer last = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : integer_argument(L, 3);
	lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)first;
	lua_Integer i;

	if (first > last)
		return 0;
	if (count >= (lua_Unsigned)INT_MAX || !lua_checkstack(L, (int)++count))
		return luaL_error(L, "too many results to unpack");
	for (i = first; i < last; i++) {
		ls_charge(L, 1);
		lua_geti(L, 1, i);
	}
	lua_geti(L, 1, last);
	return (int)count;
}

static void add_element(lua_State *L, luaL_Buffer *buffer, lua_Integer i)
{
	lua_geti(L, 1, i);
	if (!lua_isstring(L, -1))
		luaL_error(L, "invalid value (at index %I) in table for 'concat'", (LUAI_UACINT)i);
	ls_charge(L, ELEMENT_STEPS + (int64_t)(lua_rawlen(L, -1) / BYTES_PER_STEP));
	luaL_addvalue(buffer);
}

static int concat(lua_State *L)
{
	lua_Integer last = length_of(L, 1);
	size_t length;
	const char *separator = luaL_optlstring(L, 2, "", &length);
	lua_Integer i = optional_integer(L, 3, 1);
	luaL_Buffer buffer;

	last = optional_integer(L, 4, last);
	luaL_buffinit(L, &buffer);
	for (; i < last; i++) {
		add_element(L, &buffer, i);
		ls_charge(L, (int64_t)(length / BYTES_PER_STEP));
		luaL_addlstring(&buffer, separator, length);
	}
	if (i == last)
		add_element(L, &buffer, i);
	luaL_pushresult(&buffer);
	return 1;
}

/* Whether the value at one (absolute) index of the stack comes before that at another. */
static bool precedes(lua_State *L, int a, int b)
{
	int64_t steps = 2 * ELEMENT_STEPS;
	bool result;

	if (lua_isnoneornil(L, 2)) {
		if (lua_type(L, a) == LUA_TSTRING && lua_type(L, b) == LUA_TSTRING)
			steps += (int64_t)(lua_rawlen(L, a) / BYTES_PER_STEP + lua_rawlen(L, b) / BYTES_PER_STEP);
		ls_charge(L, steps);
		return lua_compare(L, a, b, LUA_OPLT);
	}
	ls_charge(L, steps);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, a);
	lua_pushvalue(L, b);
	lua_call(L, 2, 1);
	result = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return result;
}

/* Puts the value on top of the stack into the heap whose root is empty, and takes it off. */
static void sift(lua_State *L, lua_Integer root, lua_Integer size)
{
	int value = lua_gettop(L);
	lua_Integer child;

	while ((child = 2 * root) <= size) {
		lua_geti(L, 1, child);
		if (child < size) {
			lua_geti(L, 1, child + 1);
			if (precedes(L, value + 1, value + 2)) {
				lua_remove(L, value + 1);
				child++;
			} else {
				lua_pop(L, 1);
			}
		}
		if (!precedes(L, value, value + 1)) {
			lua_pop(L, 1);
			break;
		}
		lua_seti(L, 1, root);
		root = child;
	}
	lua_seti(L, 1, root);
}

/* A heapsort: its time does not depend on what is sorted, nor on a comparison that makes no sense. */
static int sort(lua_State *L)
{
	lua_Integer size = length_of(L, 1);
	lua_Integer i;

	if (size < 2)
		return 0;
	luaL_argcheck(L, size < INT_MAX, 1, "array too big");
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	for (i = size / 2; i >= 1; i--) {
		lua_geti(L, 1, i);
		sift(L, i, size);
	}
	for (i = size; i >= 2; i--) {
		lua_geti(L, 1, i);
		lua_geti(L, 1, 1);
		lua_seti(L, 1, i);
		sift(L, 1, i - 1);
	}
	return 0;
}

int ls_open_table(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "concat", concat }, { "insert", insert }, { "move", move }, { "pack", pack },
		{ "remove", remove_element }, { "sort", sort }, { "unpack", unpack }, { NULL, NULL },
	};

	luaL_newlib(L, functions);
	return 1;
}
