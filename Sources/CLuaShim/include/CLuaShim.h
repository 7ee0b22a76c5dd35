#ifndef CLuaShim_H
#define CLuaShim_H
#endif
