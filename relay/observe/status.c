/* status.c - see status.h. A lane touches its board a few times a batch, people a few times a minute: one lock
 * a board is all it needs. */
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

void relay_status_init(struct relay_status *status)
{
    memset(status, 0, sizeof *status);
    pthread_mutex_init(&status->lock, NULL);
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

void relay_status_set_gone(struct relay_status *status, size_t index, bool is_gone)
{
    pthread_mutex_lock(&status->lock);
    assert(index < status->bucket_count);
    struct relay_bucket_status *shown = &status->buckets[index];
    shown->is_gone = is_gone;
    if (is_gone) {
        status->buckets_stopped -= shown->problem[0] != '\0';
        shown->problem[0] = '\0';
        shown->token = 0;
        shown->backlog = (struct relay_backlog){ 0, 0 };
        shown->dead = 0;
    }
    pthread_mutex_unlock(&status->lock);
}

void relay_status_set_dead(struct relay_status *status, size_t index, uint64_t letters)
{
    pthread_mutex_lock(&status->lock);
    assert(index < status->bucket_count);
    status->buckets[index].dead = letters;
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

static void add_backlog(struct relay_backlog *sum, const struct relay_backlog *one)
{
    sum->events += one->events;
    if (one->oldest_ms != 0 && (sum->oldest_ms == 0 || one->oldest_ms < sum->oldest_ms))
        sum->oldest_ms = one->oldest_ms;
}

void relay_status_add(struct relay_status *status, struct relay_status_sums *sums)
{
    pthread_mutex_lock(&status->lock);
    sums->lanes++;
    sums->redis_connected += status->redis_connected;
    sums->sink_open += status->sink_open;
    sums->catalogue_read += status->catalogue_read;
    sums->delivered += status->delivered;
    sums->batches += status->batches;
    sums->buckets_stopped += status->buckets_stopped;
    if (sums->problem[0] == '\0')
        copy_text(sums->problem, sizeof sums->problem, status->problem);
    for (size_t index = 0; index < status->bucket_count; index++) {
        sums->buckets += !status->buckets[index].is_gone;
        add_backlog(&sums->backlog, &status->buckets[index].backlog);
        sums->dead += status->buckets[index].dead;
        sums->leases_held += status->buckets[index].token != 0;
    }
    pthread_mutex_unlock(&status->lock);
}

bool relay_status_is_ready(const struct relay_status_sums *sums)
{
    return sums->redis_connected == sums->lanes && sums->sink_open == sums->lanes &&
           sums->catalogue_read == sums->lanes && sums->buckets_stopped == 0;
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
    fg_buffer_add_format(out, ",\"token\":%" PRIu64 ",\"backlog\":%" PRIu64 ",\"dead\":%" PRIu64,
                         bucket->token, bucket->backlog.events, bucket->dead);
    add_member(out, "last_event", bucket->last_event);
    add_member(out, "problem", bucket->problem);
    fg_buffer_add_byte(out, '}');
}

void relay_status_add_json(const struct relay_status_sums *sums, const char *id, const char *type,
                           int64_t now_ms, struct fg_buffer *out)
{
    int64_t age_ms = sums->backlog.oldest_ms == 0 ? 0 : now_ms - sums->backlog.oldest_ms;
    fg_buffer_add_string(out, "{\"id\":");
    fg_buffer_add_json_string(out, fg_text_of(id));
    add_member(out, "type", type);
    fg_buffer_add_format(out,
                         ",\"ready\":%s,\"redis_connected\":%s,\"sink_open\":%s,\"lanes\":%zu"
                         ",\"delivered\":%" PRIu64 ",\"batches\":%" PRIu64 ",\"dead\":%" PRIu64
                         ",\"backlog\":%" PRIu64 ",\"oldest_age_s\":%" PRId64,
                         relay_status_is_ready(sums) ? "true" : "false",
                         sums->redis_connected == sums->lanes ? "true" : "false",
                         sums->sink_open == sums->lanes ? "true" : "false", sums->lanes,
                         sums->delivered, sums->batches, sums->dead, sums->backlog.events,
                         age_ms < 0 ? 0 : age_ms / 1000);
    add_member(out, "problem", sums->problem);
    fg_buffer_add_string(out, ",\"buckets\":[");
}

void relay_status_add_buckets(struct relay_status *status, bool *is_first, struct fg_buffer *out)
{
    pthread_mutex_lock(&status->lock);
    for (size_t index = 0; index < status->bucket_count; index++) {
        if (status->buckets[index].is_gone)
            continue;
        if (!*is_first)
            fg_buffer_add_byte(out, ',');
        *is_first = false;
        add_bucket_json(&status->buckets[index], out);
    }
    pthread_mutex_unlock(&status->lock);
}

void relay_status_add_reason(const struct relay_status_sums *sums, const char *id,
                             struct fg_buffer *out)
{
    if (relay_status_is_ready(sums))
        return;
    fg_buffer_add_format(out, "sink %s: ", id);
    if (sums->buckets_stopped > 0)
        fg_buffer_add_format(out, "%zu buckets are stopped; ", sums->buckets_stopped);
    if (sums->problem[0] != '\0')
        fg_buffer_add_string(out, sums->problem);
    else if (sums->buckets_stopped == 0)
        fg_buffer_add_string(out, "starting");
    fg_buffer_add_byte(out, '\n');
}
