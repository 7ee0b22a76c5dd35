#ifndef CLinuxShim_H
#define CLinuxShim_H
#endif
