/* listeners.h - the public listening sockets: one for each worker and address, shared by SO_REUSEPORT. */
#ifndef FLASHGATE_GATEWAY_LISTENERS_H
#define FLASHGATE_GATEWAY_LISTENERS_H

#include "options.h"

enum {
    WORKERS_MAX = 256
};

struct worker_listeners {
    int fds[WORKERS_MAX][LISTENERS_MAX];
    unsigned addresses;
};

/* FG_UNREACHABLE when an address is taken, also by another flashgate (SO_REUSEPORT alone would share it). */
enum fg_result listeners_open(const struct gateway_options *options,
                              struct worker_listeners *listeners_r,
                              struct fg_error *error) FG_MUST_CHECK;
const int *listeners_of_worker(const struct worker_listeners *listeners, unsigned worker);

/* A folder is there (or a link to one). */
bool access_is_a_folder(const char *path);

#endif
