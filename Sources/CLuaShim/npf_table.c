/* The tables of the module `npf`: those that rules name. */
#include "data.h"
#include "state.h"

#include <lauxlib.h>
#include <string.h>

/* What one call does at most, in steps: a change may also free what was removed before. */
#define CHANGE_STEPS 64
#define TEST_STEPS 16

#define NANOSECONDS 1e9
/* More seconds than the clock can count: an entry that stays. */
#define FOREVER 9.2e9

static const char table_kind;
/* The place of the tables' metatable in the registry. */
static const char metatable_key;

typedef struct npf_table {
	const void *kind;	/* table_kind */
	size_t index;
} npf_table;

void ls_set_tables(ls_state *s, const ls_tables *tables)
{
	s->tables = *tables;
}

/* What the message of an error says of the tables that there are. */
static void add_names(luaL_Buffer *buffer, const ls_tables *tables)
{
	size_t i;

	for (i = 0; i < tables->count; i++) {
		luaL_addstring(buffer, i == 0 ? "it has " : ", ");
		luaL_addchar(buffer, '<');
		luaL_addstring(buffer, tables->names[i]);
		luaL_addchar(buffer, '>');
	}
	if (tables->count == 0)
		luaL_addstring(buffer, "it has none");
}

static int no_table(lua_State *L, const ls_tables *tables)
{
	luaL_Buffer buffer;

	luaL_buffinit(L, &buffer);
	add_names(&buffer, tables);
	luaL_pushresult(&buffer);
	return luaL_error(L, "the configuration has no table <%s>: %s", lua_tostring(L, 1), lua_tostring(L, -1));
}

/* npf.table(name) */
static int find_table(lua_State *L)
{
	const ls_tables *tables = &ls_of(L)->tables;
	npf_table *table;
	size_t i;

	luaL_checktype(L, 1, LUA_TSTRING);
	if (tables->add == NULL)
		return luaL_error(L, "npf.table: there are no tables here, as there is no configuration");
	ls_charge(L, TEST_STEPS + (int64_t)tables->count);
	for (i = 0; i < tables->count; i++) {
		if (strlen(tables->names[i]) == lua_rawlen(L, 1) && strcmp(tables->names[i], lua_tostring(L, 1)) == 0)
			break;
	}
	if (i == tables->count)
		return no_table(L, tables);
	table = lua_newuserdatauv(L, sizeof(*table), 0);
	table->kind = &table_kind;
	table->index = i;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
	lua_setmetatable(L, -2);
	return 1;
}

static size_t check_table(lua_State *L)
{
	const npf_table *table = ls_userdata(L, 1, &table_kind);

	luaL_argexpected(L, table != NULL, 1, "npf.table");
	return table->index;
}

/* Pushes true or false, or nil and the word for why the table refuses. */
static int push_answer(lua_State *L, uint8_t answer)
{
	static const char *const refusals[] = {
		[LS_TABLE_FULL] = "full", [LS_TABLE_BUSY] = "busy", [LS_TABLE_IMMUTABLE] = "immutable",
	};

	if (answer <= LS_TABLE_ABSENT) {
		lua_pushboolean(L, answer == LS_TABLE_DONE);
		return 1;
	}
	luaL_pushfail(L);
	lua_pushstring(L, refusals[answer]);
	return 2;
}

/* The nanoseconds that the seconds at an index are; for good if there are none. */
static int64_t check_seconds(lua_State *L, int index)
{
	lua_Number seconds;

	if (lua_isnoneornil(L, index))
		return INT64_MAX;
	luaL_checktype(L, index, LUA_TNUMBER);
	seconds = lua_tonumber(L, index);
	luaL_argcheck(L, seconds > 0, index, "seconds are above zero");
	return seconds < FOREVER ? (int64_t)(seconds * NANOSECONDS) : INT64_MAX;
}

/* table:add(address [, seconds]) */
static int add(lua_State *L)
{
	const ls_tables *tables = &ls_of(L)->tables;
	size_t table = check_table(L);
	ls_address address = ls_check_address(L, 2);
	int64_t time = check_seconds(L, 3);

	ls_charge(L, CHANGE_STEPS);
	return push_answer(L, tables->add(tables->context, table, address.high, address.low, address.is_ipv6, time));
}

/* table:remove(address) */
static int remove_address(lua_State *L)
{
	const ls_tables *tables = &ls_of(L)->tables;
	size_t table = check_table(L);
	ls_address address = ls_check_address(L, 2);

	ls_charge(L, CHANGE_STEPS);
	return push_answer(L, tables->remove(tables->context, table, address.high, address.low, address.is_ipv6));
}

/* table:test(address) */
static int test(lua_State *L)
{
	const ls_tables *tables = &ls_of(L)->tables;
	size_t table = check_table(L);
	ls_address address = ls_check_address(L, 2);

	ls_charge(L, TEST_STEPS);
	lua_pushboolean(L, tables->test(tables->context, table, address.high, address.low, address.is_ipv6));
	return 1;
}

void ls_add_tables(lua_State *L)
{
	static const luaL_Reg methods[] = { { "add", add }, { "remove", remove_address }, { "test", test }, { NULL, NULL } };

	lua_newtable(L);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pushliteral(L, "npf.table");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);

	lua_pushcfunction(L, find_table);
	lua_setfield(L, -2, "table");
}
