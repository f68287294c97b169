/* sink_breaker.c - see sink_breaker.h. */
#include "sink_breaker.h"

#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"

#define ALL_PPM UINT64_C(1000000)

void relay_sink_breaker_init(struct relay_sink_breaker *breaker,
                             const struct relay_options *options,
                             const struct relay_sink_settings *sink)
{
    struct relay_breaker_options said = relay_options_breaker(options, sink);
    memset(breaker, 0, sizeof *breaker);
    breaker->id = said.id;
    breaker->sink_id = sink->id;
    breaker->batch = options->batch;
    pthread_mutex_init(&breaker->lock, NULL);
    fg_breaker_init(&breaker->breaker, &said.settings, fg_clock_steady_ns());
}

void relay_sink_breaker_close(struct relay_sink_breaker *breaker)
{
    pthread_mutex_destroy(&breaker->lock);
}

static void say_moved(const struct relay_sink_breaker *breaker, uint8_t before)
{
    uint8_t now = breaker->breaker.state;
    if (now != before)
        fg_log(now == FG_BREAKER_OPEN ? FG_LOG_WARN : FG_LOG_INFO, "breaker_moved",
               FG_STRING_FIELD("sink", breaker->sink_id), FG_STRING_FIELD("breaker", breaker->id),
               FG_STRING_FIELD("to", fg_breaker_state_words[now]));
}

uint64_t relay_sink_breaker_most(struct relay_sink_breaker *breaker, uint64_t now_ns)
{
    pthread_mutex_lock(&breaker->lock);
    uint8_t before = breaker->breaker.state;
    uint64_t share_ppm = fg_breaker_share_ppm(&breaker->breaker, now_ns);
    say_moved(breaker, before);
    pthread_mutex_unlock(&breaker->lock);
    uint64_t most = breaker->batch * share_ppm / ALL_PPM;
    return most == 0 && share_ppm > 0 ? 1 : most;
}

void relay_sink_breaker_tell(struct relay_sink_breaker *breaker, enum fg_breaker_result result,
                             uint64_t started_ns)
{
    pthread_mutex_lock(&breaker->lock);
    uint8_t before = breaker->breaker.state;
    uint64_t now_ns = fg_clock_steady_ns();
    fg_breaker_tell(&breaker->breaker, result, 1, started_ns, now_ns - started_ns, now_ns);
    say_moved(breaker, before);
    pthread_mutex_unlock(&breaker->lock);
}

uint64_t relay_sink_breaker_wait_ns(struct relay_sink_breaker *breaker, uint64_t now_ns)
{
    pthread_mutex_lock(&breaker->lock);
    uint64_t wait_ns = fg_breaker_wait_ns(&breaker->breaker, now_ns);
    pthread_mutex_unlock(&breaker->lock);
    return wait_ns;
}

void relay_sink_breaker_force(struct relay_sink_breaker *breaker, enum fg_breaker_force force)
{
    pthread_mutex_lock(&breaker->lock);
    uint8_t before = breaker->breaker.state;
    if (force != breaker->breaker.force)
        fg_breaker_force(&breaker->breaker, force, fg_clock_steady_ns());
    say_moved(breaker, before);
    pthread_mutex_unlock(&breaker->lock);
}
