/* Layouts: a table of fields, compiled to an array. */
#include "data.h"

#include <lauxlib.h>
#include <string.h>

#define LONGEST_NAME 40		/* the strings that Lua interns */

const char ls_layout_kind;

/* The place of the compiled layout in its table. A script can copy what is there, but not make one. */
static const char compiled_key;

/* Pushes text that names the field whose key is at an index. */
static const char *name_of(lua_State *L, int key)
{
	return luaL_tolstring(L, key, NULL);
}

/* Refuses the value on top. */
static void refuse_type(lua_State *L, int key, const char *what, const char *expected)
{
	const char *given = luaL_typename(L, -1);

	luaL_error(L, "layout field '%s': its %s must be %s, not a %s", name_of(L, key), what, expected, given);
}

/* An attribute of the entry on top: its named key, or else its position. Pushes its value. */
static int push_attribute(lua_State *L, const char *name, int position)
{
	int entry = lua_gettop(L);
	int type;

	lua_pushstring(L, name);
	type = lua_rawget(L, entry);
	if (type == LUA_TNIL) {
		lua_pop(L, 1);
		type = lua_rawgeti(L, entry, position);
	}
	return type;
}

static int64_t count_attribute(lua_State *L, int key, const char *name, int position)
{
	int64_t value = 0;
	int is_integer = true;

	if (push_attribute(L, name, position) != LUA_TNIL)
		value = lua_tointegerx(L, -1, &is_integer);
	if (!is_integer || value < 0) {
		const char *given = luaL_tolstring(L, -1, NULL);

		luaL_error(L, "layout field '%s': its %s must be an integer from 0 on, not %s", name_of(L, key), name,
			   given);
	}
	lua_pop(L, 1);
	return value;
}

/* The first letter tells, as in the original Luadata; NUL if the attribute is not there. */
static char letter_attribute(lua_State *L, int key, const char *name, int position)
{
	char letter = '\0';

	switch (push_attribute(L, name, position)) {
	case LUA_TNIL:
		break;
	case LUA_TSTRING:
		letter = *lua_tostring(L, -1);
		break;
	default:
		refuse_type(L, key, name, "a string");
	}
	lua_pop(L, 1);
	return letter;
}

static void compile_field(lua_State *L, int key, ls_field *field)
{
	if (!lua_istable(L, -1))
		refuse_type(L, key, "entry", "a table {offset, length, type, endian}");
	field->name = lua_type(L, key) == LUA_TSTRING ? lua_tostring(L, key) : NULL;
	field->offset = count_attribute(L, key, "offset", 1);
	field->length = count_attribute(L, key, "length", 2);
	field->is_string = letter_attribute(L, key, "type", 3) == 's';
	switch (letter_attribute(L, key, "endian", 4)) {
	case 'l':
		field->little_endian = true;
		break;
	case 'h':
		field->little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
		break;
	default:
		field->little_endian = false;
	}
}

static void check_name(lua_State *L, int key, int methods)
{
	if (lua_type(L, key) == LUA_TSTRING && lua_rawlen(L, key) > LONGEST_NAME)
		luaL_error(L, "layout field '%s': a name may have %d bytes at most", name_of(L, key), LONGEST_NAME);
	lua_pushvalue(L, key);
	if (lua_rawget(L, methods) != LUA_TNIL)
		luaL_error(L, "layout field '%s': that is the name of a method", name_of(L, key));
	lua_pop(L, 1);
}

/* Counts the fields of a table, which may not be called anything else than what a field can be called. */
static int count_fields(lua_State *L, int table, int methods)
{
	int count = 0;

	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
		ls_charge(L, 16);
		check_name(L, lua_gettop(L) - 1, methods);
		count++;
	}
	return count;
}

const ls_layout *ls_compile_layout(lua_State *L, int table, int methods)
{
	ls_layout *layout;
	size_t size;
	int count, userdata;

	lua_rawgetp(L, table, &compiled_key);
	layout = ls_userdata(L, -1, &ls_layout_kind);
	if (layout != NULL)
		return layout;
	lua_pop(L, 1);
	lua_pushnil(L);
	lua_rawsetp(L, table, &compiled_key);

	count = count_fields(L, table, methods);
	size = sizeof(*layout) + (size_t)count * sizeof(ls_field);
	layout = lua_newuserdatauv(L, size, LS_LAYOUT_USER_VALUES);
	memset(layout, 0, size);
	layout->kind = &ls_layout_kind;
	userdata = lua_gettop(L);
	lua_createtable(L, 0, count);
	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
		int key = lua_gettop(L) - 1;

		ls_charge(L, 16);
		compile_field(L, key, &layout->fields[layout->count++]);
		lua_pushvalue(L, key);
		lua_pushinteger(L, layout->count - 1);
		lua_rawset(L, userdata + 1);
	}
	lua_setiuservalue(L, userdata, LS_NAMES);
	lua_pushvalue(L, userdata);
	lua_rawsetp(L, table, &compiled_key);
	return layout;
}
