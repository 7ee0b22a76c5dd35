/* The module `net`: addresses, sets of networks, checksums, byte order, service names. */
#define _DEFAULT_SOURCE		/* htobe16 and its like */
#include "data.h"
#include "ls_net.h"

#include <endian.h>
#include <lauxlib.h>
#include <string.h>

/* What one call does at least, in steps. */
#define CALL_STEPS 8
/* Bytes that are summed in the time of one step. */
#define BYTES_PER_STEP 16
/* What an entry of a set costs when it is added, when it is sorted, and each time it is looked over. */
#define ADDING_STEPS 12
#define SORTING_STEPS 16
#define PASSING_STEPS 1
/* Longer than any address or network. */
#define LONGEST_NETWORK 64

static const char set_kind;
/* The places of the operations and of the sets' metatable in the registry. */
static const char operations_key, metatable_key;

/* What holds the networks comes behind it. */
typedef struct net_set {
	const void *kind;	/* set_kind */
	int64_t count;
} net_set;

/* User value of a set: the table of its values. */
enum { SET_VALUES = 1, SET_USER_VALUES = 1 };

static const ls_net_operations *operations_of(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

/* Text of a script for a message: its start. */
static const char *push_excerpt(lua_State *L, const char *text, size_t length)
{
	return lua_pushlstring(L, text, length < LONGEST_NETWORK ? length : LONGEST_NETWORK);
}

/* Text is no address: 16 bytes that a packet's sender has chosen can spell one. */
ls_address ls_check_address(lua_State *L, int index)
{
	ls_address address = { 0, 0, false };
	lua_Integer number;
	uint64_t halves[2];
	int is_integer;

	switch (lua_type(L, index)) {
	case LUA_TNUMBER:
		number = lua_tointegerx(L, index, &is_integer);
		if (!is_integer || number < 0 || number > UINT32_MAX)
			luaL_argerror(L, index, "an IPv4 address is an integer from 0 to 4294967295");
		address.low = (uint64_t)number;
		return address;
	case LUA_TSTRING:
		if (lua_rawlen(L, index) != sizeof(halves))
			luaL_argerror(L, index, "an IPv6 address is a string of 16 bytes; net.parse reads text");
		memcpy(halves, lua_tostring(L, index), sizeof(halves));
		address.high = be64toh(halves[0]);
		address.low = be64toh(halves[1]);
		address.is_ipv6 = true;
		return address;
	default:
		luaL_typeerror(L, index, "address");
		return address;
	}
}

/* net.parse(text): the address, or nil and a message. */
static int parse(lua_State *L)
{
	size_t length;
	const char *text = luaL_checklstring(L, 1, &length);
	ls_address address;
	uint64_t halves[2];

	ls_charge(L, CALL_STEPS);
	if (length > LONGEST_NETWORK || !operations_of(L)->parse(text, length, &address)) {
		luaL_pushfail(L);
		lua_pushfstring(L, "'%s' is no IPv4 or IPv6 address", push_excerpt(L, text, length));
		lua_remove(L, -2);
		return 2;
	}
	if (address.is_ipv6) {
		halves[0] = htobe64(address.high);
		halves[1] = htobe64(address.low);
		lua_pushlstring(L, (const char *)halves, sizeof(halves));
	} else {
		lua_pushinteger(L, (lua_Integer)address.low);
	}
	return 1;
}

/* net.format(address): its text. */
static int format(lua_State *L)
{
	ls_address address = ls_check_address(L, 1);
	char text[LS_ADDRESS_TEXT];

	ls_charge(L, CALL_STEPS);
	lua_pushlstring(L, text, operations_of(L)->format(&address, text));
	return 1;
}

/* net.checksum(string | data [, start]) */
static int checksum(lua_State *L)
{
	const ls_data *data = ls_userdata(L, 1, &ls_data_kind);
	lua_Integer start = 0;
	const void *bytes;
	size_t length;

	luaL_argexpected(L, data != NULL || lua_type(L, 1) == LUA_TSTRING, 1, "string or data");
	if (data != NULL) {
		bytes = data->bytes;
		length = (size_t)ls_length(ls_of(L), data);
	} else {
		bytes = lua_tolstring(L, 1, &length);
	}
	if (!lua_isnoneornil(L, 2)) {
		luaL_checktype(L, 2, LUA_TNUMBER);
		start = luaL_checkinteger(L, 2);
		luaL_argcheck(L, start >= 0, 2, "a sum is not negative");
	}
	ls_charge(L, CALL_STEPS + (int64_t)(length / BYTES_PER_STEP));
	lua_pushinteger(L, operations_of(L)->checksum(bytes, length, (uint64_t)start));
	return 1;
}

/* The number at index 1. A numeral is none: it could be of any length. */
static uint64_t check_number(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TNUMBER);
	return (uint64_t)luaL_checkinteger(L, 1);
}

static int swap16(lua_State *L)
{
	lua_pushinteger(L, htobe16((uint16_t)check_number(L)));
	return 1;
}

static int swap32(lua_State *L)
{
	lua_pushinteger(L, htobe32((uint32_t)check_number(L)));
	return 1;
}

static int swap64(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)htobe64(check_number(L)));
	return 1;
}

/* net.service(name): its port. net.service(port): its name. Nil for what is not known. */
static int service(lua_State *L)
{
	const ls_net_operations *operations = operations_of(L);
	const ls_service *s = operations->services, *end = s + operations->service_count;
	const char *name = NULL;
	size_t length = 0;
	int is_integer = true;
	lua_Integer port = -1;

	if (lua_type(L, 1) == LUA_TNUMBER)
		port = lua_tointegerx(L, 1, &is_integer);
	else if (lua_type(L, 1) == LUA_TSTRING)
		name = lua_tolstring(L, 1, &length);
	else
		luaL_typeerror(L, 1, "name or port of a service");
	ls_charge(L, CALL_STEPS + (int64_t)operations->service_count / 4);
	for (; s < end && is_integer; s++) {
		if (name == NULL && s->port == port) {
			lua_pushstring(L, s->name);
			return 1;
		}
		if (name != NULL && strlen(s->name) == length && memcmp(s->name, name, length) == 0) {
			lua_pushinteger(L, s->port);
			return 1;
		}
	}
	luaL_pushfail(L);
	return 1;
}

/* How many entries the table at an index has. */
static size_t count_entries(lua_State *L, int table)
{
	size_t count = 0;

	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
		ls_charge(L, PASSING_STEPS);
		count++;
	}
	return count;
}

/*
 * Adds the pair on top of the stack: a network and its value, or a place in a list and a network, which then is its own
 * value. A metamethod of the table is not asked.
 */
static void add_entry(lua_State *L, void *entries, size_t count, int values)
{
	int value = lua_gettop(L), key = value - 1;
	bool is_listed = lua_type(L, key) == LUA_TNUMBER;
	int network = is_listed ? value : key;
	const char *text;
	size_t length;

	if (lua_type(L, network) != LUA_TSTRING)
		luaL_error(L, "net.set: expected networks like '192.0.2.0/24' as %s, not a %s",
			   is_listed ? "a list" : "keys", luaL_typename(L, network));
	text = lua_tolstring(L, network, &length);
	ls_charge(L, ADDING_STEPS);
	if (length > LONGEST_NETWORK ||
	    !operations_of(L)->add(entries, count, text, length, (uint32_t)count + 1, is_listed))
		luaL_error(L, "net.set: '%s' is no address or network, like '192.0.2.1' or '2001:db8::/32'",
			   push_excerpt(L, text, length));
	lua_pushvalue(L, value);
	lua_rawseti(L, values, (lua_Integer)count + 1);
}

/* The key in the table at index 1 of the entry with a value's number: the key is at that place of the traversal. */
static const char *find_key(lua_State *L, uint32_t number)
{
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
		ls_charge(L, PASSING_STEPS);
		if (--number == 0) {
			lua_pop(L, 1);
			break;
		}
	}
	return lua_tostring(L, -1);
}

/* net.set(table) */
static int new_set(lua_State *L)
{
	enum { TABLE = 1, VALUES, ENTRIES };
	const ls_net_operations *operations = operations_of(L);
	size_t count, added = 0, left;
	uint32_t repeated;
	void *entries;
	net_set *set;

	luaL_checktype(L, TABLE, LUA_TTABLE);
	lua_settop(L, TABLE);
	count = count_entries(L, TABLE);
	/* A table's numbers of elements and of values are of these types. */
	luaL_argcheck(L, count < INT32_MAX, TABLE, "too many networks");
	lua_createtable(L, (int)count, 0);
	entries = lua_newuserdatauv(L, count * operations->entry_size, 0);
	for (lua_pushnil(L); added < count && lua_next(L, TABLE); lua_pop(L, 1))
		add_entry(L, entries, added++, VALUES);
	for (left = added; left > 1; left--) {
		ls_charge(L, SORTING_STEPS);
		operations->sort_last(entries, left);
	}
	ls_charge(L, 3 * PASSING_STEPS * (int64_t)added);
	repeated = operations->repeated(entries, added);
	if (repeated != 0)
		return luaL_error(L, "net.set: the network of '%s' is there twice", find_key(L, repeated));

	lua_settop(L, ENTRIES);
	set = lua_newuserdatauv(L, sizeof(*set) + operations->set_size(entries, added), SET_USER_VALUES);
	set->kind = &set_kind;
	set->count = (int64_t)operations->build(entries, added, set + 1);
	lua_pushvalue(L, VALUES);
	lua_setiuservalue(L, -2, SET_VALUES);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
	lua_setmetatable(L, -2);
	return 1;
}

/* set:match(address): the value of the longest network that has it, nil for none. */
static int match(lua_State *L)
{
	const net_set *set = ls_userdata(L, 1, &set_kind);
	ls_address address;
	uint32_t number;

	luaL_argexpected(L, set != NULL, 1, "net.set");
	address = ls_check_address(L, 2);
	ls_charge(L, CALL_STEPS);
	number = operations_of(L)->find(set + 1, &address);
	if (number == 0) {
		luaL_pushfail(L);
	} else {
		lua_getiuservalue(L, 1, SET_VALUES);
		lua_rawgeti(L, -1, number);
	}
	return 1;
}

/* `#set`: scripts cannot get at the function itself, so index 1 is always a set. */
static int size(lua_State *L)
{
	lua_pushinteger(L, ((const net_set *)lua_touserdata(L, 1))->count);
	return 1;
}

/* Pushes a table of functions whose upvalue 1 is the operations. */
static void push_functions(lua_State *L, const luaL_Reg *functions)
{
	lua_newtable(L);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &operations_key);
	luaL_setfuncs(L, functions, 1);
}

void ls_open_net(ls_state *s, const ls_net_operations *operations)
{
	static const luaL_Reg functions[] = {
		{ "checksum", checksum }, { "format", format }, { "hton16", swap16 }, { "hton32", swap32 },
		{ "hton64", swap64 }, { "ntoh16", swap16 }, { "ntoh32", swap32 }, { "ntoh64", swap64 },
		{ "parse", parse }, { "service", service }, { "set", new_set }, { NULL, NULL },
	};
	static const luaL_Reg methods[] = { { "match", match }, { NULL, NULL } };
	static const luaL_Reg metamethods[] = { { "__len", size }, { NULL, NULL } };
	lua_State *L = s->L;

	memcpy(lua_newuserdatauv(L, sizeof(*operations), 0), operations, sizeof(*operations));
	lua_rawsetp(L, LUA_REGISTRYINDEX, &operations_key);

	push_functions(L, metamethods);
	push_functions(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pushliteral(L, "net.set");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);

	ls_push_modules(L);
	push_functions(L, functions);
	lua_setfield(L, -2, "net");
	lua_pop(L, 1);
}
