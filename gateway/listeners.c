/* listeners.c - see listeners.h. */
#include "listeners.h"

#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 65535
}; /* the kernel cuts it to net.core.somaxconn */

/* Without SO_REUSEPORT the address must be free of anybody. */
static enum fg_result check_free(const struct fg_address *address, struct fg_error *error)
{
    int fd = fg_listen(address, false, 1, error);
    if (fd < 0)
        return error->result;
    close(fd);
    return FG_OK;
}

enum fg_result listeners_open(const struct gateway_options *options,
                              struct worker_listeners *listeners, struct fg_error *error)
{
    listeners->addresses = (unsigned)options->listen_public.count;
    for (unsigned a = 0; a < listeners->addresses; a++) {
        if (check_free(&options->public_at[a], error) != FG_OK)
            return error->result;
        for (unsigned w = 0; w < options->threads; w++) {
            listeners->fds[w][a] = fg_listen(&options->public_at[a], true, BACKLOG, error);
            if (listeners->fds[w][a] < 0)
                return error->result;
        }
    }
    return FG_OK;
}

const int *listeners_of_worker(const struct worker_listeners *listeners, unsigned worker)
{
    return listeners->fds[worker];
}

bool access_is_a_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}
