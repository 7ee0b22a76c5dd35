/* A script's function `filter`, for accept_all.c. */
void load_script(const char *path);
/* Whether a packet of IPv4 passes. */
int call_script(const char *packet, unsigned length);
