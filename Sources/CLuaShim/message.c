/*
 * Messages: an error and its traceback, in a buffer of the state.
 *
 * They are written where an error is raised, be it for want of memory, so nothing here allocates, runs Lua code
 * (no `__tostring` of an error object) or raises an error.
 */
#include "state.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEEPEST_LEVEL 16

static void append_bytes(ls_state *s, const char *bytes, size_t length)
{
	size_t room = sizeof(s->message) - s->message_length;

	if (length > room)
		length = room;
	memcpy(s->message + s->message_length, bytes, length);
	s->message_length += length;
}

static void append_formatted(ls_state *s, const char *format, va_list arguments)
{
	char text[512];
	int length = vsnprintf(text, sizeof(text), format, arguments);

	if (length > 0)
		append_bytes(s, text, (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

static void append(ls_state *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(ls_state *s, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	append_formatted(s, format, arguments);
	va_end(arguments);
}

void ls_set_message(ls_state *s, const char *format, ...)
{
	va_list arguments;

	s->message_length = 0;
	va_start(arguments, format);
	append_formatted(s, format, arguments);
	va_end(arguments);
}

static void append_position(ls_state *s, int level)
{
	lua_Debug frame;

	for (; lua_getstack(s->L, level, &frame); level++) {
		lua_getinfo(s->L, "Sl", &frame);
		if (frame.currentline > 0) {
			append(s, "%s:%d: ", frame.short_src, frame.currentline);
			return;
		}
	}
}

static void append_traceback(ls_state *s, int level)
{
	lua_Debug frame;
	int deepest = level + DEEPEST_LEVEL;

	for (; lua_getstack(s->L, level, &frame); level++) {
		if (level == deepest) {
			append(s, "\n\t...");
			return;
		}
		lua_getinfo(s->L, "Sln", &frame);
		if (frame.currentline > 0)
			append(s, "\n\t%s:%d: in ", frame.short_src, frame.currentline);
		else
			append(s, "\n\t%s: in ", frame.short_src);
		if (*frame.namewhat != '\0')
			append(s, "%s '%s'", frame.namewhat, frame.name);
		else if (*frame.what == 'm')
			append(s, "main chunk");
		else if (*frame.what == 'C')
			append(s, "?");
		else
			append(s, "function <%s:%d>", frame.short_src, frame.linedefined);
	}
}

void ls_note(ls_state *s, int level, const char *text)
{
	s->message_length = 0;
	append_position(s, level);
	append(s, "%s", text);
	append_traceback(s, level);
}

int ls_note_error(lua_State *L)
{
	ls_state *s = ls_of(L);
	size_t length;
	const char *text;

	if (s->expired != LS_OK)
		return 1;	/* it was noted where the limit was reached */
	s->message_length = 0;
	switch (lua_type(L, 1)) {
	case LUA_TSTRING:
		text = lua_tolstring(L, 1, &length);
		append_bytes(s, text, length < sizeof(s->message) / 2 ? length : sizeof(s->message) / 2);
		break;
	case LUA_TNUMBER:
		append_position(s, 1);
		append(s, LUA_NUMBER_FMT, lua_tonumber(L, 1));
		break;
	default:
		append_position(s, 1);
		append(s, "(error object is a %s value)", luaL_typename(L, 1));
	}
	append_traceback(s, 1);
	return 1;
}

const char *ls_message(const ls_state *s, size_t *length)
{
	*length = s->message_length;
	return s->message;
}
