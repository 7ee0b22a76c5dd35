/* Layouts: a table of fields, compiled to a hash table of its own. */
#include "data.h"

#include <lauxlib.h>
#include <string.h>

#define LONGEST_NAME 40		/* the strings that Lua interns */

const char ls_layout_kind;

/*
 * The place of the compiled layout in its table. A script can copy what is there, but not make one; a copy of the table
 * may have other fields, and is compiled for itself.
 */
static const char compiled_key;
/* The place in the registry of the names of all prepared layouts. */
static const char names_key;

static const char *const attributes[] = { "offset", "length", "type", "endian" };
enum { OFFSET = 1, LENGTH, TYPE, ENDIAN };	/* their positions */

/* A word that an attribute can be, or the beginning of one, and what it means. */
struct word {
	const char *text;
	char meaning;
};

/*
 * The original takes the first letter alone, and a byte order in the place of the type for a number of big endian. The
 * words for which that is right are taken here as well.
 */
static const struct word types[] = {
	{ "number", 'n' }, { "string", 's' }, { "net", 'n' }, { "big", 'n' }, { "be", 'n' }, { NULL, '\0' },
};
static const struct word endians[] = {
	{ "big", 'b' }, { "net", 'b' }, { "be", 'b' }, { "little", 'l' }, { "le", 'l' }, { "host", 'h' }, { NULL, '\0' },
};

/* Pushes text that names the field whose key is at an index. */
static const char *name_of(lua_State *L, int key)
{
	return luaL_tolstring(L, key, NULL);
}

/* The attribute of the entry on top: its named key, or else its position. Pushes its value. */
static int push_attribute(lua_State *L, int position)
{
	int entry = lua_gettop(L);
	int type;

	lua_pushstring(L, attributes[position - 1]);
	type = lua_rawget(L, entry);
	if (type == LUA_TNIL) {
		lua_pop(L, 1);
		type = lua_rawgeti(L, entry, position);
	}
	return type;
}

static int64_t count_attribute(lua_State *L, int key, int position)
{
	const char *name = attributes[position - 1];
	int64_t value = 0;
	int is_integer = true;

	if (push_attribute(L, position) != LUA_TNIL) {
		value = lua_tointegerx(L, -1, &is_integer);
	} else if (position == LENGTH) {
		luaL_error(L, "layout field '%s': it has no length: expected {offset, length, type, endian}",
			   name_of(L, key));
	}
	if (!is_integer || value < 0) {
		const char *given = luaL_tolstring(L, -1, NULL);

		luaL_error(L, "layout field '%s': its %s must be an integer from 0 on, not %s", name_of(L, key), name,
			   given);
	}
	lua_pop(L, 1);
	return value;
}

static char meaning(const struct word *words, const char *text, size_t length)
{
	for (; words->text != NULL; words++) {
		if (length > 0 && length <= strlen(words->text) && memcmp(words->text, text, length) == 0)
			return words->meaning;
	}
	return '\0';
}

/* What an attribute means, NUL if it is not there; words that it can be are named by `expected`. */
static char word_attribute(lua_State *L, int key, int position, const struct word *words, const char *expected)
{
	const char *text, *name = attributes[position - 1];
	size_t length;
	char found;

	switch (push_attribute(L, position)) {
	case LUA_TNIL:
		lua_pop(L, 1);
		return '\0';
	case LUA_TSTRING:
		text = lua_tolstring(L, -1, &length);
		found = meaning(words, text, length);
		if (found == '\0' && position == TYPE && meaning(endians, text, length) != '\0')
			luaL_error(L, "layout field '%s': '%s' is not a type but an endian: expected "
				   "{offset, length, 'number', '%s'}", name_of(L, key), text, text);
		if (found == '\0')
			luaL_error(L, "layout field '%s': its %s must be %s, not '%s'", name_of(L, key), name, expected,
				   text);
		lua_pop(L, 1);
		return found;
	default:
		text = luaL_typename(L, -1);
		luaL_error(L, "layout field '%s': its %s must be %s, not a %s", name_of(L, key), name, expected, text);
		return '\0';
	}
}

/* Whether the value at an index can be a key of an entry. */
static bool is_attribute(lua_State *L, int index)
{
	lua_Integer position;
	size_t i;

	if (lua_isinteger(L, index)) {
		position = lua_tointeger(L, index);
		return position >= OFFSET && position <= ENDIAN;
	}
	for (i = 0; lua_type(L, index) == LUA_TSTRING && i < ENDIAN; i++) {
		if (strcmp(lua_tostring(L, index), attributes[i]) == 0)
			return true;
	}
	return false;
}

/* Refuses an entry, on top, that says more than an entry can. */
static void check_keys(lua_State *L, int key)
{
	int entry = lua_gettop(L);

	ls_check(L);	/* the keys may stand far apart in a large table */
	for (lua_pushnil(L); lua_next(L, entry); lua_pop(L, 1)) {
		const char *given;

		if (is_attribute(L, -2))
			continue;
		given = luaL_tolstring(L, -2, NULL);
		luaL_error(L, "layout field '%s': unknown key '%s': expected {offset, length, type, endian}, or these "
			   "names as keys", name_of(L, key), given);
	}
}

/* The field that the entry on top describes; its key is at an index. */
static ls_field compile_field(lua_State *L, int key)
{
	ls_field field = { .name = lua_topointer(L, key) };
	char endian;

	if (!lua_istable(L, -1)) {
		const char *given = luaL_typename(L, -1);

		luaL_error(L, "layout field '%s': its entry must be a table {offset, length, type, endian}, not a %s",
			   name_of(L, key), given);
	}
	check_keys(L, key);
	field.offset = count_attribute(L, key, OFFSET);
	field.length = count_attribute(L, key, LENGTH);
	field.is_string = word_attribute(L, key, TYPE, types, "'number' or 'string'") == 's';
	endian = word_attribute(L, key, ENDIAN, endians, "'big', 'little', 'net' or 'host'");
	field.little_endian = endian == 'l' || (endian == 'h' && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
	return field;
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

/* Pushes a layout with places for so many fields, all empty. */
static ls_layout *push_layout(lua_State *L, size_t count)
{
	size_t size, places = 2;
	ls_layout *layout;

	while (places < 2 * count)
		places *= 2;
	size = sizeof(*layout) + places * sizeof(ls_field);
	layout = memset(lua_newuserdatauv(L, size, LS_LAYOUT_USER_VALUES), 0, size);
	layout->kind = &ls_layout_kind;
	layout->last = places - 1;
	return layout;
}

/* Enters a field and returns its place. */
static lua_Integer enter_field(ls_layout *layout, ls_field field)
{
	ls_field *place;

	if (field.name == NULL)		/* then this address does as well as another */
		field.name = &layout->fields[layout->last];
	place = (ls_field *)ls_find_field(layout, field.name);
	while (place->name != NULL)	/* another of these */
		place = place == &layout->fields[layout->last] ? layout->fields : place + 1;
	*place = field;
	return place - layout->fields;
}

const ls_layout *ls_compile_layout(lua_State *L, int table, int methods)
{
	ls_layout *layout;
	int count, userdata;

	lua_rawgetp(L, table, &compiled_key);
	layout = ls_userdata(L, -1, &ls_layout_kind);
	if (layout != NULL && layout->table == lua_topointer(L, table))
		return layout;
	lua_pop(L, 1);
	lua_pushnil(L);
	lua_rawsetp(L, table, &compiled_key);

	count = count_fields(L, table, methods);
	layout = push_layout(L, (size_t)count);
	userdata = lua_gettop(L);
	lua_createtable(L, 0, count);
	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
		int key = lua_gettop(L) - 1;
		lua_Integer place;

		ls_charge(L, 16);
		place = enter_field(layout, compile_field(L, key));
		lua_pushvalue(L, key);
		lua_pushinteger(L, place);
		lua_rawset(L, userdata + 1);
	}
	lua_setiuservalue(L, userdata, LS_NAMES);
	layout->table = lua_topointer(L, table);
	lua_pushvalue(L, table);
	lua_setiuservalue(L, userdata, LS_TABLE);
	lua_pushvalue(L, userdata);
	lua_rawsetp(L, table, &compiled_key);
	return layout;
}

const ls_layout *ls_prepare_layout(ls_state *s, const ls_field *fields, int count)
{
	lua_State *L = s->L;
	ls_layout *layout;
	int i;

	luaL_checkstack(L, 4, NULL);
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) == LUA_TNIL) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
	}
	layout = push_layout(L, (size_t)count);
	for (i = 0; i < count; i++) {
		ls_field field = fields[i];

		lua_pushstring(L, field.name);
		field.name = lua_topointer(L, -1);
		enter_field(layout, field);
		lua_pushboolean(L, true);
		lua_rawset(L, -4);
	}
	luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pop(L, 1);
	return layout;
}

/* Pushes the table that a script would have written for a layout. */
static void push_layout_table(lua_State *L, const ls_named_layout *layout)
{
	int i;

	ls_charge(L, 16 * layout->count);
	lua_createtable(L, 0, layout->count + 1);
	for (i = 0; i < layout->count; i++) {
		const ls_field *field = &layout->fields[i];

		lua_createtable(L, field->is_string ? TYPE : LENGTH, 0);
		lua_pushinteger(L, field->offset);
		lua_rawseti(L, -2, OFFSET);
		lua_pushinteger(L, field->length);
		lua_rawseti(L, -2, LENGTH);
		if (field->is_string) {
			lua_pushliteral(L, "string");
			lua_rawseti(L, -2, TYPE);
		}
		lua_setfield(L, -2, field->name);
	}
}

/* `__index` of the module; upvalues: the layouts, their count. */
static int find_layout(lua_State *L)
{
	const ls_named_layout *layouts = lua_touserdata(L, lua_upvalueindex(1));
	lua_Integer i, count = lua_tointeger(L, lua_upvalueindex(2));

	for (i = 0; lua_type(L, 2) == LUA_TSTRING && i < count; i++) {
		if (strcmp(layouts[i].name, lua_tostring(L, 2)) != 0)
			continue;
		push_layout_table(L, &layouts[i]);
		lua_pushvalue(L, 2);
		lua_pushvalue(L, -2);
		lua_rawset(L, 1);
		return 1;
	}
	return luaL_error(L, "no layout '%s'", luaL_tolstring(L, 2, NULL));
}

void ls_open_layouts(ls_state *s, const char *module, const ls_named_layout *layouts, int count)
{
	lua_State *L = s->L;

	ls_push_modules(L);
	lua_newtable(L);
	lua_newtable(L);
	lua_pushlightuserdata(L, (void *)layouts);
	lua_pushinteger(L, count);
	lua_pushcclosure(L, find_layout, 2);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_setfield(L, -2, module);
	lua_pop(L, 1);
}
