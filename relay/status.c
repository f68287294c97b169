/* status.c - see status.h. The delivery thread touches the board a few times a batch, people a few times
 * a minute: one lock a sink is all it needs. */
#include "status.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_text(char *to, size_t bytes, const char *from)
{
    size_t length = strnlen(from, bytes - 1);
    memmove(to, from, length);
    to[length] = '\0';
}

void relay_status_init(struct relay_status *status, const char *id, const char *type)
{
    memset(status, 0, sizeof *status);
    pthread_mutex_init(&status->lock, NULL);
    status->id = id;
    status->type = type;
}

void relay_status_close(struct relay_status *status)
{
    pthread_mutex_destroy(&status->lock);
    free(status->buckets);
    memset(status, 0, sizeof *status);
}

void relay_status_set_redis(struct relay_status *status, bool is_connected, const char *problem)
{
    pthread_mutex_lock(&status->lock);
    status->redis_connected = is_connected;
    copy_text(status->problem, sizeof status->problem, problem);
    pthread_mutex_unlock(&status->lock);
}

void relay_status_set_sink(struct relay_status *status, bool is_open, const char *problem)
{
    pthread_mutex_lock(&status->lock);
    status->sink_open = is_open;
    copy_text(status->problem, sizeof status->problem, problem);
    pthread_mutex_unlock(&status->lock);
}

static void add_bucket(struct relay_bucket_status *to, const struct relay_bucket *from)
{
    memset(to, 0, sizeof *to);
    to->origin = from->origin;
    memcpy(to->sale, from->sale, sizeof to->sale);
    memcpy(to->sku, from->sku, sizeof to->sku);
}

/* A bucket number whose epoch is another is another bucket: Redis was set up anew. */
static void renew_buckets(struct relay_status *status, const struct relay_bucket *buckets)
{
    for (size_t index = 0; index < status->bucket_count; index++)
        if (strcmp(status->buckets[index].origin.epoch, buckets[index].origin.epoch) != 0)
            add_bucket(&status->buckets[index], &buckets[index]);
}

static bool grow_buckets(struct relay_status *status, const struct relay_bucket *buckets,
                         size_t count)
{
    struct relay_bucket_status *grown = realloc(status->buckets, count * sizeof *status->buckets);
    if (grown == NULL)
        return false;
    status->buckets = grown;
    for (size_t index = status->bucket_count; index < count; index++)
        add_bucket(&grown[index], &buckets[index]);
    status->bucket_count = count;
    return true;
}

bool relay_status_set_buckets(struct relay_status *status, const struct relay_bucket *buckets,
                              size_t count)
{
    pthread_mutex_lock(&status->lock);
    renew_buckets(status, buckets);
    bool has_room = count <= status->bucket_count || grow_buckets(status, buckets, count);
    if (has_room && !status->catalogue_read)
        status->problem[0] = '\0';
    status->catalogue_read = has_room;
    pthread_mutex_unlock(&status->lock);
    return has_room;
}

void relay_status_miss_catalogue(struct relay_status *status, const char *problem)
{
    pthread_mutex_lock(&status->lock);
    status->catalogue_read = false;
    copy_text(status->problem, sizeof status->problem, problem);
    pthread_mutex_unlock(&status->lock);
}

void relay_status_set_lease(struct relay_status *status, size_t index,
                            const struct relay_bucket *bucket)
{
    pthread_mutex_lock(&status->lock);
    assert(index < status->bucket_count);
    struct relay_bucket_status *shown = &status->buckets[index];
    copy_text(shown->owner, sizeof shown->owner, bucket->owner);
    shown->token = bucket->token;
    pthread_mutex_unlock(&status->lock);
}

void relay_status_set_backlog(struct relay_status *status, size_t index,
                              const struct relay_backlog *backlog)
{
    pthread_mutex_lock(&status->lock);
    assert(index < status->bucket_count);
    status->buckets[index].backlog = *backlog;
    pthread_mutex_unlock(&status->lock);
}

void relay_status_set_stopped(struct relay_status *status, size_t index, const char *problem)
{
    pthread_mutex_lock(&status->lock);
    assert(index < status->bucket_count);
    char *shown = status->buckets[index].problem;
    status->buckets_stopped -= shown[0] != '\0';
    copy_text(shown, RELAY_PROBLEM_BYTES, problem);
    status->buckets_stopped += shown[0] != '\0';
    pthread_mutex_unlock(&status->lock);
}

void relay_status_add_batch(struct relay_status *status, size_t index, uint64_t events,
                            const char *last_event)
{
    pthread_mutex_lock(&status->lock);
    assert(index < status->bucket_count);
    status->delivered += events;
    status->batches++;
    copy_text(status->buckets[index].last_event, RELAY_ID_BYTES, last_event);
    pthread_mutex_unlock(&status->lock);
}

/* --- reading ---------------------------------------------------------------------------------------- */

static bool is_ready(const struct relay_status *status)
{
    return status->redis_connected && status->sink_open && status->catalogue_read &&
           status->buckets_stopped == 0;
}

bool relay_status_is_ready(struct relay_status *status)
{
    pthread_mutex_lock(&status->lock);
    bool ready = is_ready(status);
    pthread_mutex_unlock(&status->lock);
    return ready;
}

bool relay_status_is_redis_connected(struct relay_status *status)
{
    pthread_mutex_lock(&status->lock);
    bool connected = status->redis_connected;
    pthread_mutex_unlock(&status->lock);
    return connected;
}

static struct relay_backlog sum_backlog(const struct relay_status *status)
{
    struct relay_backlog sum = { 0, 0 };
    for (size_t index = 0; index < status->bucket_count; index++) {
        const struct relay_backlog *one = &status->buckets[index].backlog;
        sum.events += one->events;
        if (one->oldest_ms != 0 && (sum.oldest_ms == 0 || one->oldest_ms < sum.oldest_ms))
            sum.oldest_ms = one->oldest_ms;
    }
    return sum;
}

struct relay_backlog relay_status_backlog(struct relay_status *status)
{
    pthread_mutex_lock(&status->lock);
    struct relay_backlog sum = sum_backlog(status);
    pthread_mutex_unlock(&status->lock);
    return sum;
}

static void add_member(struct fg_buffer *out, const char *name, const char *value)
{
    fg_buffer_add_format(out, ",\"%s\":", name);
    if (value[0] == '\0')
        fg_buffer_add_string(out, "null");
    else
        fg_buffer_add_json_string(out, fg_text_of(value));
}

static void add_bucket_json(const struct relay_bucket_status *bucket, struct fg_buffer *out)
{
    fg_buffer_add_format(out, "{\"bucket\":%" PRIu32, bucket->origin.bucket);
    add_member(out, "sale", bucket->sale);
    add_member(out, "sku", bucket->sku);
    add_member(out, "owner", bucket->owner);
    fg_buffer_add_format(out, ",\"token\":%" PRIu64 ",\"backlog\":%" PRIu64, bucket->token,
                         bucket->backlog.events);
    add_member(out, "last_event", bucket->last_event);
    add_member(out, "problem", bucket->problem);
    fg_buffer_add_byte(out, '}');
}

void relay_status_add_json(struct relay_status *status, int64_t now_ms, struct fg_buffer *out)
{
    pthread_mutex_lock(&status->lock);
    struct relay_backlog backlog = sum_backlog(status);
    int64_t age_ms = backlog.oldest_ms == 0 ? 0 : now_ms - backlog.oldest_ms;
    fg_buffer_add_string(out, "{\"id\":");
    fg_buffer_add_json_string(out, fg_text_of(status->id));
    add_member(out, "type", status->type);
    fg_buffer_add_format(out,
                         ",\"ready\":%s,\"redis_connected\":%s,\"sink_open\":%s"
                         ",\"delivered\":%" PRIu64 ",\"batches\":%" PRIu64 ",\"backlog\":%" PRIu64
                         ",\"oldest_age_s\":%" PRId64,
                         is_ready(status) ? "true" : "false",
                         status->redis_connected ? "true" : "false",
                         status->sink_open ? "true" : "false", status->delivered, status->batches,
                         backlog.events, age_ms < 0 ? 0 : age_ms / 1000);
    add_member(out, "problem", status->problem);
    fg_buffer_add_string(out, ",\"buckets\":[");
    for (size_t index = 0; index < status->bucket_count; index++) {
        if (index > 0)
            fg_buffer_add_byte(out, ',');
        add_bucket_json(&status->buckets[index], out);
    }
    fg_buffer_add_string(out, "]}");
    pthread_mutex_unlock(&status->lock);
}

void relay_status_add_reason(struct relay_status *status, struct fg_buffer *out)
{
    pthread_mutex_lock(&status->lock);
    if (!is_ready(status)) {
        fg_buffer_add_format(out, "sink %s: ", status->id);
        if (status->buckets_stopped > 0)
            fg_buffer_add_format(out, "%zu buckets are stopped; ", status->buckets_stopped);
        if (status->problem[0] != '\0')
            fg_buffer_add_string(out, status->problem);
        else if (status->buckets_stopped == 0)
            fg_buffer_add_string(out, "starting");
        fg_buffer_add_byte(out, '\n');
    }
    pthread_mutex_unlock(&status->lock);
}
