#include "crowd.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "flashgate/base/clock.h"
#include "interrupt.h"
#include "shopper.h"
#include "store.h"

enum {
    SPARE_DESCRIPTORS = 64,
    RECEIVE_BUFFERS = 4096,
    RECEIVE_BUFFER_BYTES = 2048
};

static const uint64_t answer_timeout_ns = 10 * FG_SECOND_IN_NS;
static const uint64_t silence_ns = 5 * FG_SECOND_IN_NS;
static const uint64_t start_delay_ns = 20 * FG_MS_IN_NS;
static const uint64_t longest_wait_ns = 100 * FG_MS_IN_NS;
static const uint64_t close_timeout_ns = 5 * FG_SECOND_IN_NS;

struct crowd {
    struct fg_scene scene;
    struct fg_shopper *shoppers; /* one for each press of the plan */
    size_t next;                 /* the press that is due next */
};

/* A connection is a descriptor: asks for as many, and takes fewer connections if there are fewer. */
static uint32_t allowed_connections(uint32_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    rlim_t needed = (rlim_t)wanted + SPARE_DESCRIPTORS;
    if (limit.rlim_cur < needed) {
        limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= needed)
        return wanted;
    return limit.rlim_cur > SPARE_DESCRIPTORS * 2 ? (uint32_t)(limit.rlim_cur - SPARE_DESCRIPTORS)
                                                  : SPARE_DESCRIPTORS;
}

static enum fg_result resolve(const struct fg_crowd_settings *settings,
                              struct fg_lines_settings *lines, struct fg_error *error)
{
    lines->gateway_count = settings->gateway_count;
    lines->timeout_ns = answer_timeout_ns;
    lines->connections = allowed_connections(settings->connections);
    for (size_t i = 0; i < settings->gateway_count; i++) {
        enum fg_result result =
            fg_address_resolve(settings->gateways[i], &lines->gateways[i], error);
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}

static void press_what_is_due(struct crowd *crowd)
{
    struct fg_scene *scene = &crowd->scene;
    const struct fg_plan *plan = scene->plan;
    uint64_t now_ns = fg_clock_steady_ns();
    while (crowd->next < plan->count &&
           scene->start_ns + plan->presses[crowd->next].due_ns <= now_ns) {
        fg_shopper_press(&crowd->shoppers[crowd->next], scene, (uint32_t)crowd->next);
        crowd->next++;
    }
}

static uint64_t wait_ns(const struct crowd *crowd)
{
    const struct fg_plan *plan = crowd->scene.plan;
    if (crowd->next == plan->count)
        return longest_wait_ns;
    uint64_t due_ns = crowd->scene.start_ns + plan->presses[crowd->next].due_ns;
    uint64_t now_ns = fg_clock_steady_ns();
    if (due_ns <= now_ns)
        return 0;
    return due_ns - now_ns < longest_wait_ns ? due_ns - now_ns : longest_wait_ns;
}

static uint64_t since_start_ns(const struct crowd *crowd)
{
    uint64_t now_ns = fg_clock_steady_ns();
    return now_ns > crowd->scene.start_ns ? now_ns - crowd->scene.start_ns : 0;
}

/* A gateway that goes away comes back; one that never was there will not. */
static bool nobody_answers(const struct crowd *crowd)
{
    return crowd->scene.progress.answered == 0 && since_start_ns(crowd) > silence_ns;
}

static void run(struct crowd *crowd)
{
    struct fg_scene *scene = &crowd->scene;
    while (scene->open > 0 && fg_interrupt_count() == 0 && !nobody_answers(crowd)) {
        fg_ring_turn(scene->ring, wait_ns(crowd));
        press_what_is_due(crowd);
        fg_lines_serve(scene->lines);
        fg_progress_show(&scene->progress, since_start_ns(crowd), false);
    }
}

/* Ends what is still open, and leaves the ring without a socket. */
static void stop(struct crowd *crowd)
{
    struct fg_scene *scene = &crowd->scene;
    scene->stopping = true;
    scene->record->interrupted = scene->open > 0;
    for (size_t i = 0; i < crowd->next; i++)
        fg_shopper_stop(&crowd->shoppers[i]);
    fg_lines_stop(scene->lines);
    uint64_t deadline_ns = fg_clock_steady_ns() + close_timeout_ns;
    while (!fg_lines_are_closed(scene->lines) && fg_clock_steady_ns() < deadline_ns)
        fg_ring_turn(scene->ring, longest_wait_ns);
}

static enum fg_result check_answers(const struct fg_scene *scene,
                                    const struct fg_crowd_settings *settings,
                                    struct fg_error *error)
{
    if (scene->progress.answered > 0 || fg_interrupt_count() > 0)
        return FG_OK;
    return fg_error_set(error, FG_UNREACHABLE, "not one of %zu tries was answered by %s%s",
                        scene->record->count, settings->gateways[0],
                        settings->gateway_count > 1 ? " or the others" : "");
}

static enum fg_result run_on_ring(const struct fg_crowd_settings *settings,
                                  const struct fg_lines_settings *lines, struct fg_ring *ring,
                                  struct fg_record *record, struct fg_error *error)
{
    struct crowd crowd = {
        .scene =
            {
                .ring = ring,
                .lines = fg_lines_open(ring, lines),
                .sale = settings->sale,
                .plan = settings->plan,
                .record = record,
                .dice = fg_dice_of(record->seed + 1),
                .start_ns = fg_clock_steady_ns() + start_delay_ns,
                .open = settings->plan->count,
                .gateway_count = (uint16_t)settings->gateway_count,
            },
        .shoppers = fg_allocate(settings->plan->count, sizeof(struct fg_shopper)),
    };
    fg_progress_start(&crowd.scene.progress, settings->quiet);
    fg_interrupt_wakes(ring);
    run(&crowd);
    fg_progress_show(&crowd.scene.progress, since_start_ns(&crowd), true);
    fg_interrupt_wakes(NULL);
    stop(&crowd);
    enum fg_result result = check_answers(&crowd.scene, settings, error);
    fg_lines_free(&crowd.scene.lines);
    free(crowd.shoppers);
    return result;
}

enum fg_result fg_crowd_run(const struct fg_crowd_settings *settings, struct fg_record *record,
                            struct fg_error *error)
{
    struct fg_lines_settings lines = { 0 };
    enum fg_result result = resolve(settings, &lines, error);
    if (result != FG_OK)
        return result;
    const struct fg_ring_settings ring_settings = {
        .entries = 4096,
        .buffers = RECEIVE_BUFFERS,
        .buffer_bytes = RECEIVE_BUFFER_BYTES,
        .sockets = lines.connections,
    };
    struct fg_ring *ring;
    result = fg_ring_open(&ring_settings, &ring, error);
    if (result != FG_OK)
        return result;
    result = run_on_ring(settings, &lines, ring, record, error);
    fg_ring_close(&ring);
    return result;
}
