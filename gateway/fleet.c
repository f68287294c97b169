/* fleet.c - see fleet.h.
 *
 *   joining ──a beat──► on the roster ──the next beat──► counted: every beat brings the number
 *                                                          └─ Redis does not answer: the number stays
 */
#include "fleet.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/hash.h"
#include "flashgate/base/log.h"
#include "flashgate/inventory/roster.h"
#include "flashgate/ratelimit/tokens.h"

#include "control.h"

enum {
    BEAT_MS = 250,
    LIFETIME_MS = 1000, /* without a beat: then the others go on without it */
    ID_DIGITS = 16
};

struct fleet {
    struct gateway *gateway;
    struct fg_redis_settings settings;
    struct fg_redis *redis;
    pthread_t thread;
    int stop_fd; /* readable: stop */
    char id[ID_DIGITS + 1];
    bool is_on_roster, is_away; /* is_away: Redis did not answer the last beat */
    bool was_fewer;             /* the last beat counted fewer than are published */
    _Atomic unsigned alive;
};

static void publish(struct fleet *fleet, unsigned alive)
{
    if (atomic_exchange(&fleet->alive, alive) != alive)
        fg_ring_wake(control_ring(fleet->gateway->control));
}

/* Fewer count when two beats in a row say so: after a stall of Redis the first to beat is alone on the roster,
 * and all would take the whole of every limit. */
static void count(struct fleet *fleet, unsigned alive)
{
    bool is_fewer = alive < atomic_load(&fleet->alive);
    if (!is_fewer || fleet->was_fewer)
        publish(fleet, alive);
    fleet->was_fewer = is_fewer && !fleet->was_fewer;
}

static void beat(struct fleet *fleet)
{
    struct fg_error error;
    unsigned alive;
    bool was_away = fleet->is_away;
    fleet->is_away = fg_roster_beat(fleet->redis, fleet->id, LIFETIME_MS, &alive, &error) != FG_OK;
    if (fleet->is_away) {
        if (!was_away)
            fg_log(FG_LOG_WARN, "roster_unreachable", FG_STRING_FIELD("reason", error.text));
        return;
    }
    if (fleet->is_on_roster)
        count(fleet, alive < FG_SHARE_MAX ? alive : FG_SHARE_MAX);
    fleet->is_on_roster = true;
}

/* False when it is time to stop. */
static bool wait_until(const struct fleet *fleet, uint64_t until_ns)
{
    struct pollfd stop = { .fd = fleet->stop_fd, .events = POLLIN };
    uint64_t now_ns = fg_clock_steady_ns();
    int left_ms =
        now_ns >= until_ns ? 0 : (int)((until_ns - now_ns + FG_MS_IN_NS - 1) / FG_MS_IN_NS);
    return poll(&stop, 1, left_ms) <= 0;
}

static void *run(void *argument)
{
    struct fleet *fleet = argument;
    struct fg_error error;
    uint64_t next_ns;
    pthread_setname_np(pthread_self(), "fleet");
    do {
        next_ns = fg_clock_steady_ns() + BEAT_MS * FG_MS_IN_NS;
        beat(fleet);
    } while (wait_until(fleet, next_ns));
    if (fleet->is_on_roster && !fleet->is_away &&
        fg_roster_leave(fleet->redis, fleet->id, &error) != FG_OK)
        fg_log(FG_LOG_WARN, "roster_not_left", FG_STRING_FIELD("reason", error.text));
    return NULL;
}

static void draw_id(char id[ID_DIGITS + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[ID_DIGITS / 2];
    fg_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        id[2 * i] = digits[random[i] >> 4];
        id[2 * i + 1] = digits[random[i] & 15];
    }
    id[ID_DIGITS] = '\0';
}

static void free_fleet(struct fleet *fleet)
{
    fg_redis_free(&fleet->redis);
    if (fleet->stop_fd >= 0)
        close(fleet->stop_fd);
    free(fleet);
}

enum fg_result fleet_start(struct gateway *gateway, struct fleet **fleet_r, struct fg_error *error)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (fleet == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    fleet->gateway = gateway;
    fleet->settings = gateway->options->redis;
    if (fleet->settings.timeout_ns > LIFETIME_MS * FG_MS_IN_NS) /* later, it is forgotten anyway */
        fleet->settings.timeout_ns = LIFETIME_MS * FG_MS_IN_NS;
    draw_id(fleet->id);
    fleet->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum fg_result result = fg_redis_new(&fleet->settings, &fleet->redis, error);
    if (result == FG_OK &&
        (fleet->stop_fd < 0 || pthread_create(&fleet->thread, NULL, run, fleet) != 0))
        result = fg_error_set(error, FG_UNREACHABLE, "cannot start a thread");
    if (result == FG_OK)
        *fleet_r = fleet;
    else
        free_fleet(fleet);
    return result;
}

void fleet_stop(struct fleet **fleet_p)
{
    struct fleet *fleet = *fleet_p;
    uint64_t one = 1;
    if (fleet == NULL)
        return;
    if (write(fleet->stop_fd, &one, sizeof one) < 0)
        fg_log(FG_LOG_ERROR, "fleet_stop", FG_STRING_FIELD("reason", strerror(errno)));
    pthread_join(fleet->thread, NULL);
    free_fleet(fleet);
    *fleet_p = NULL;
}

unsigned fleet_alive(const struct fleet *fleet)
{
    return fleet == NULL ? 0 : atomic_load(&fleet->alive);
}
