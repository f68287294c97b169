/* delivery.c - see delivery.h. What one lane does stands in lane.c. */
#include "delivery.h"

#include <stdlib.h>

#include "flashgate/base/clock.h"
#include "lane.h"
#include "sink_breaker.h"

struct relay_delivery {
    const struct relay_sink_settings *sink;
    struct relay_sink_breaker breaker;
    size_t lane_count; /* of those that run */
    struct relay_lane lanes[];
};

static enum fg_result start_lanes(struct relay_delivery *delivery,
                                  const struct relay_delivery_settings *settings,
                                  struct fg_error *error)
{
    struct relay_lane_settings lane = {
        .options = settings->options,
        .sink = settings->sink,
        .owner = settings->owner,
        .breaker = &delivery->breaker,
        .metrics_value = (unsigned)settings->index,
        .finished = settings->finished,
        .context = settings->context,
    };
    for (; lane.number < settings->sink->lanes; lane.number++) {
        lane.metrics = relay_metrics_lane_block(settings->metrics, settings->index, lane.number);
        enum fg_result result = relay_lane_start(&delivery->lanes[lane.number], &lane, error);
        if (result != FG_OK)
            return result;
        delivery->lane_count++;
    }
    return FG_OK;
}

enum fg_result relay_delivery_start(const struct relay_delivery_settings *settings,
                                    struct relay_delivery **delivery_r, struct fg_error *error)
{
    struct relay_delivery *delivery =
        calloc(1, sizeof *delivery + settings->sink->lanes * sizeof *delivery->lanes);
    *delivery_r = NULL;
    if (delivery == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory for the sink %s", settings->sink->id);
    delivery->sink = settings->sink;
    relay_sink_breaker_init(&delivery->breaker, settings->options, settings->sink);
    enum fg_result result = start_lanes(delivery, settings, error);
    if (result == FG_OK) {
        *delivery_r = delivery;
    } else {
        relay_delivery_stop(delivery);
        relay_delivery_free(&delivery);
    }
    return result;
}

void relay_delivery_stop(struct relay_delivery *delivery)
{
    for (size_t index = 0; index < delivery->lane_count; index++)
        relay_lane_stop(&delivery->lanes[index]);
}

bool relay_delivery_is_finished(const struct relay_delivery *delivery)
{
    for (size_t index = 0; index < delivery->lane_count; index++)
        if (!atomic_load(&delivery->lanes[index].is_finished))
            return false;
    return true;
}

void relay_delivery_free(struct relay_delivery **delivery_at)
{
    struct relay_delivery *delivery = *delivery_at;
    *delivery_at = NULL;
    if (delivery == NULL)
        return;
    for (size_t index = 0; index < delivery->lane_count; index++)
        relay_lane_close(&delivery->lanes[index]);
    relay_sink_breaker_close(&delivery->breaker);
    free(delivery);
}

const char *relay_delivery_sink_id(const struct relay_delivery *delivery)
{
    return delivery->sink->id;
}

struct relay_status_sums relay_delivery_sums(struct relay_delivery *delivery)
{
    struct relay_status_sums sums = { .lanes = 0 };
    for (size_t index = 0; index < delivery->lane_count; index++)
        relay_status_add(&delivery->lanes[index].status, &sums);
    return sums;
}

void relay_delivery_add_json(struct relay_delivery *delivery, struct fg_buffer *out)
{
    struct relay_status_sums sums = relay_delivery_sums(delivery);
    bool is_first = true;
    relay_status_add_json(&sums, delivery->sink->id, relay_sink_types[delivery->sink->type],
                          fg_clock_wall_ms(), out);
    for (size_t index = 0; index < delivery->lane_count; index++)
        relay_status_add_buckets(&delivery->lanes[index].status, &is_first, out);
    fg_buffer_add_string(out, "]}");
}

const char *relay_delivery_breaker_id(const struct relay_delivery *delivery)
{
    return delivery->breaker.id;
}

const struct fg_breaker_view *relay_delivery_breaker(const struct relay_delivery *delivery)
{
    return &delivery->breaker.breaker.view;
}

void relay_delivery_force(struct relay_delivery *delivery, enum fg_breaker_force force)
{
    relay_sink_breaker_force(&delivery->breaker, force);
    for (size_t index = 0; index < delivery->lane_count; index++)
        relay_lane_rouse(&delivery->lanes[index]);
}

void relay_delivery_give(struct relay_delivery *delivery, struct relay_dead_job *job)
{
    for (size_t index = 0; index < delivery->lane_count; index++)
        relay_lane_give(&delivery->lanes[index], job);
}
