/* Data objects: fields, segments, and the module `data`. */
#include "data.h"

#include <lauxlib.h>
#include <string.h>

const char ls_data_kind;

static ls_data *check_self(lua_State *L)
{
	ls_data *data = ls_userdata(L, 1, &ls_data_kind);

	luaL_argexpected(L, data != NULL, 1, "data");
	return data;
}

/* The metatable of a data object, in the registry: where there are no fields Lua finds the methods without a call. */
static int metatable_for(const ls_state *s, const ls_layout *layout)
{
	return layout != NULL ? s->metatable : s->plain_metatable;
}

ls_data *ls_push_data(ls_state *s, size_t own_bytes, const ls_layout *layout, int user_values)
{
	ls_data *data = lua_newuserdatauv(s->L, sizeof(*data) + own_bytes, user_values);

	data->kind = &ls_data_kind;
	data->bytes = (uint8_t *)(data + 1);
	data->length = (int64_t)own_bytes;
	data->epoch = 0;
	data->layout = layout;
	memset(data->marks, 0, sizeof(data->marks));
	data->writable = true;
	data->is_view = false;
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, metatable_for(s, layout));
	lua_setmetatable(s->L, -2);
	return data;
}

/* The field of a number or a boolean, at index 2. */
static __attribute__((noinline)) const ls_field *find_unaddressed(lua_State *L, const ls_layout *layout)
{
	const ls_field *field = NULL;
	int top = lua_gettop(L);

	if (lua_getiuservalue(L, 1, LS_LAYOUT) == LUA_TUSERDATA) {	/* else it is a prepared one: all are strings */
		lua_getiuservalue(L, -1, LS_NAMES);
		lua_pushvalue(L, 2);
		if (lua_rawget(L, -2) != LUA_TNIL)
			field = &layout->fields[lua_tointeger(L, -1)];
	}
	lua_settop(L, top);
	return field;
}

/* The field of the key at index 2. */
static inline const ls_field *find_field(lua_State *L, const ls_data *data)
{
	const ls_layout *layout = data->layout;
	const ls_field *field;
	const void *key;

	if (layout == NULL)
		return NULL;
	key = lua_topointer(L, 2);
	if (key == NULL)
		return find_unaddressed(L, layout);
	field = ls_find_field(layout, key);
	return field->name != NULL ? field : NULL;
}

/* Where a field counts from; a branch, since its processor guesses sooner than it reads. */
static inline int64_t start_of(const ls_data *data, const ls_field *field)
{
	if (__builtin_expect_with_probability(field->mark == 0, 1, 0.9))
		return 0;
	return data->marks[field->mark];
}

/* Where a string field lies; negative if it is not inside. */
static ls_extent find_string(const ls_state *s, const ls_data *data, const ls_field *field)
{
	int64_t start = start_of(data, field);
	int64_t length = field->end == 0 ? field->length : data->marks[field->end] - start - field->offset;
	ls_extent extent = s->operations.extent(ls_length(s, data) - start, field->offset, length);

	extent.offset += start;
	return extent;
}

/* A numeral of any length is a number to Lua, and takes its time to become one. */
static lua_Integer to_integer(lua_State *L, int index)
{
	if (lua_type(L, index) == LUA_TSTRING)
		ls_charge(L, (int64_t)(lua_rawlen(L, index) / 8));
	return lua_tointeger(L, index);
}

static int push_field(lua_State *L, const ls_state *s, const ls_data *data, const ls_field *field)
{
	if (field->is_string) {
		ls_extent extent = find_string(s, data, field);

		if (extent.length > 0) {
			lua_pushlstring(L, (const char *)data->bytes + extent.offset, (size_t)extent.length);
			return 1;
		}
	} else {
		int64_t start = start_of(data, field);
		ls_number number = s->operations.read(data->bytes + start, ls_length(s, data) - start, field);

		if (number.present) {
			lua_pushinteger(L, number.value);
			return 1;
		}
	}
	lua_pushnil(L);
	return 1;
}

/* `__index`; scripts cannot get at the function itself, so index 1 is always a data object. Upvalue 1: methods. */
static int read_field(lua_State *L)
{
	const ls_data *data = lua_touserdata(L, 1);
	const ls_field *field = find_field(L, data);

	if (field != NULL)
		return push_field(L, ls_of(L), data, field);
	lua_rawget(L, lua_upvalueindex(1));
	return 1;
}

/* `__newindex`, as above. What does not fit, or is not there, is not written. */
static int write_field(lua_State *L)
{
	ls_state *s = ls_of(L);
	ls_data *data = lua_touserdata(L, 1);
	const ls_field *field = find_field(L, data);
	bool written = false;

	if (field == NULL || ls_length(s, data) == 0)
		return 0;
	if (!data->writable)
		return luaL_error(L, "the packet is read-only here: its rule says \"edit off\"");
	if (field->is_string) {
		ls_extent extent = find_string(s, data, field);
		size_t size = 0;
		const char *bytes = extent.length > 0 ? lua_tolstring(L, 3, &size) : NULL;

		if (bytes != NULL && size > 0) {
			if (size > (size_t)extent.length)
				size = (size_t)extent.length;
			memcpy(data->bytes + extent.offset, bytes, size);
			written = true;
		}
	} else {
		int64_t start = start_of(data, field);
		int64_t value = to_integer(L, 3);

		written = s->operations.write(data->bytes + start, data->length - start, field, value);
	}
	if (written && data->epoch != 0)
		s->written = true;
	return 0;
}

static int length(lua_State *L)
{
	lua_pushinteger(L, ls_length(ls_of(L), lua_touserdata(L, 1)));
	return 1;
}

static int to_string(lua_State *L)
{
	const ls_data *data = lua_touserdata(L, 1);

	lua_pushlstring(L, (const char *)data->bytes, (size_t)ls_length(ls_of(L), data));
	return 1;
}

/* The global `tostring`; upvalue 1 is Lua's, which finds and calls `__tostring` in twice the time of the rest. */
int ls_to_string(lua_State *L)
{
	if (ls_userdata(L, 1, &ls_data_kind) != NULL)
		return to_string(L);
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* d:layout(table): d. Anything else than a table changes nothing. */
static int set_layout(lua_State *L)
{
	ls_data *data = check_self(L);

	if (!lua_istable(L, 2))
		return 0;
	lua_settop(L, 2);
	data->layout = ls_compile_layout(L, 2, lua_upvalueindex(1));
	lua_setiuservalue(L, 1, LS_LAYOUT);
	lua_settop(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, metatable_for(ls_of(L), data->layout));
	lua_setmetatable(L, 1);
	return 1;
}

/*
 * d:segment([offset [, length]]): the same memory, or nil if that is not all inside. How long a packet is is not the
 * script's choice, so what it asks of the packet itself it gets as far as the packet goes: segment(0, 255) is "the
 * first 255 bytes, or what there is".
 */
static int segment(lua_State *L)
{
	ls_state *s = ls_of(L);
	const ls_data *data = check_self(L);
	int64_t whole = ls_length(s, data);
	int64_t offset = to_integer(L, 2);
	int64_t rest = offset >= 0 && offset < whole ? whole - offset : 0;
	int64_t wanted = lua_isnoneornil(L, 3) ? rest : to_integer(L, 3);
	ls_extent extent = s->operations.extent(whole, offset, data->is_view && wanted > rest ? rest : wanted);
	ls_data *part;

	if (extent.length < 0) {
		lua_pushnil(L);
		return 1;
	}
	part = ls_push_data(s, 0, NULL, data->epoch == 0 ? LS_ROOT : LS_LAYOUT);
	part->bytes = data->bytes + extent.offset;
	part->length = extent.length;
	part->epoch = data->epoch;
	part->writable = data->writable;
	if (data->epoch != 0)
		return 1;
	if (lua_getiuservalue(L, 1, LS_ROOT) != LUA_TUSERDATA) {
		lua_pop(L, 1);
		lua_pushvalue(L, 1);
	}
	lua_setiuservalue(L, -2, LS_ROOT);
	return 1;
}

/* Pushes a data object with the low bytes of a table's integers; what is no integer is 0. */
static void new_from_table(lua_State *L)
{
	lua_Unsigned size = lua_rawlen(L, 1);
	ls_data *data = ls_push_data(ls_of(L), size, NULL, LS_LAYOUT);
	lua_Unsigned i;

	for (i = 0; i < size; i++) {
		ls_charge(L, 2);
		lua_rawgeti(L, 1, (lua_Integer)i + 1);
		data->bytes[i] = (uint8_t)to_integer(L, -1);
		lua_pop(L, 1);
	}
}

/* data.new(table | size | string): a data object of its own memory; nil if that has no byte. */
static int new_data(lua_State *L)
{
	ls_state *s = ls_of(L);
	lua_Integer size;

	switch (lua_type(L, 1)) {
	case LUA_TTABLE:
		new_from_table(L);
		break;
	case LUA_TNUMBER:
		size = lua_tointeger(L, 1);
		if (size > 0)
			memset(ls_push_data(s, (size_t)size, NULL, LS_LAYOUT)->bytes, 0, (size_t)size);
		else
			lua_pushnil(L);
		break;
	case LUA_TSTRING:
		size = (lua_Integer)lua_rawlen(L, 1);
		memcpy(ls_push_data(s, (size_t)size, NULL, LS_LAYOUT)->bytes, lua_tostring(L, 1), (size_t)size);
		break;
	default:
		lua_pushnil(L);
	}
	if (lua_isuserdata(L, -1) && ((ls_data *)lua_touserdata(L, -1))->length == 0)
		lua_pushnil(L);
	return 1;
}

/* data.layout(table): the same table, compiled. */
static int new_layout(lua_State *L)
{
	if (!lua_istable(L, 1))
		return 0;
	lua_settop(L, 1);
	ls_compile_layout(L, 1, lua_upvalueindex(1));
	lua_settop(L, 1);
	return 1;
}

/* Sets a function of the table on top, with the methods at an index as its upvalue. */
static void set_function(lua_State *L, const char *name, lua_CFunction function, int methods)
{
	lua_pushvalue(L, methods);
	lua_pushcclosure(L, function, 1);
	lua_setfield(L, -2, name);
}

/* Makes the metatable of data objects, with what finds their fields and methods on top; returns its reference. */
static int make_metatable(lua_State *L, int methods)
{
	lua_createtable(L, 0, 6);
	lua_insert(L, -2);
	lua_setfield(L, -2, "__index");
	set_function(L, "__newindex", write_field, methods);
	set_function(L, "__len", length, methods);
	set_function(L, "__tostring", to_string, methods);
	lua_pushliteral(L, "data");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	return luaL_ref(L, LUA_REGISTRYINDEX);
}

void ls_open_data(ls_state *s, const ls_data_operations *operations)
{
	lua_State *L = s->L;
	int methods;

	s->operations = *operations;
	lua_createtable(L, 0, 5);
	methods = lua_gettop(L);
	set_function(L, "layout", set_layout, methods);
	set_function(L, "segment", segment, methods);
	ls_add_match_methods(L);

	lua_pushvalue(L, methods);
	lua_pushcclosure(L, read_field, 1);
	s->metatable = make_metatable(L, methods);
	lua_pushvalue(L, methods);
	s->plain_metatable = make_metatable(L, methods);

	ls_push_modules(L);
	lua_newtable(L);
	set_function(L, "new", new_data, methods);
	set_function(L, "layout", new_layout, methods);
	lua_setfield(L, -2, "data");
	lua_settop(L, methods - 1);
}
