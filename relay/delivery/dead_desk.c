/* dead_desk.c - see dead_desk.h. */
#include "dead_desk.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "consumer.h"
#include "dead_job.h"
#include "flashgate/base/clock.h"
#include "json_page.h"

#define JOB_WAIT_NS (10 * FG_SECOND_IN_NS)

struct relay_dead_desk {
    const struct relay_options *options;
    void (*answered)(void *context);
    void *context;
    pthread_t thread;
    bool is_busy; /* the owner's: asked and not yet taken */
    atomic_bool is_answered;

    /* The thread's, until is_answered. */
    struct relay_dead_question question;
    struct relay_delivery *const *deliveries;
    size_t delivery_count;
    enum fg_result result;
    struct fg_error error;
    char *memory; /* of `json` */
    struct fg_text json;
};

/* --- one letter as JSON ----------------------------------------------------------------------------- */

static void add_member(struct fg_buffer *out, const char *name, const char *value)
{
    fg_buffer_add_format(out, ",\"%s\":", name);
    if (value[0] == '\0')
        fg_buffer_add_string(out, "null");
    else
        fg_buffer_add_json_string(out, fg_text_of(value));
}

static void add_letter(struct fg_buffer *out, const struct relay_bucket *bucket,
                       const struct relay_letter *letter)
{
    char id[RELAY_LETTER_ID_BYTES];
    struct fg_error problem = { .result = FG_OK };
    relay_letter_id(letter, id);
    if (!letter->is_known)
        relay_letter_refuse(letter, &problem);
    fg_buffer_add_string(out, "{\"id\":");
    fg_buffer_add_json_string(out, fg_text_of(id));
    add_member(out, "sink", letter->sink);
    add_member(out, "sale", bucket->sale);
    add_member(out, "sku", bucket->sku);
    fg_buffer_add_format(out, ",\"bucket\":%" PRIu32, bucket->origin.bucket);
    add_member(out, "order", letter->order);
    add_member(out, "event", letter->kind);
    add_member(out, "event_id", letter->event_id);
    add_member(out, "entry", letter->entry);
    add_member(out, "reason", letter->reason);
    add_member(out, "dropped", letter->dropped);
    fg_buffer_add_format(out, ",\"attempts\":%" PRIu64 ",\"at\":\"", letter->attempts);
    fg_buffer_add_time(out, (int64_t)letter->at_ms);
    fg_buffer_add_string(out, "\"");
    add_member(out, "problem", problem.result == FG_OK ? "" : problem.text);
    fg_buffer_add_byte(out, '}');
}

/* --- listing ---------------------------------------------------------------------------------------- */

/* The letters of a page, in the order of bucket and ledger. */
struct page {
    struct relay_dead_desk *desk;
    struct relay_consumer *consumer;
    struct relay_bucket *buckets;
    size_t bucket_count;
    struct found {
        const struct relay_bucket *bucket;
        struct relay_letter letter;
    } * found;
    size_t count, room;
    bool has_more;
};

static int by_number(const void *one_at, const void *other_at)
{
    const struct relay_bucket *one = one_at, *other = other_at;
    return (one->origin.bucket > other->origin.bucket) -
           (one->origin.bucket < other->origin.bucket);
}

static bool is_wanted(const char *wanted, const char *is)
{
    return wanted[0] == '\0' || strcmp(wanted, is) == 0;
}

/* SHOW has one id, the letter; LIST at most one, after which to go on. */
static bool is_bucket_wanted(const struct relay_dead_question *question,
                             const struct relay_bucket *bucket)
{
    if (question->verb == RELAY_DEAD_SHOW)
        return bucket->origin.bucket == question->ids[0].event.bucket;
    return is_wanted(question->sale, bucket->sale) && is_wanted(question->sku, bucket->sku) &&
           (question->id_count == 0 || bucket->origin.bucket >= question->ids[0].event.bucket);
}

static bool is_letter_wanted(const struct relay_dead_question *question,
                             const struct relay_bucket *bucket, const struct relay_letter *letter)
{
    const struct relay_dead_id *id = &question->ids[0];
    if (question->verb == RELAY_DEAD_SHOW)
        return strcmp(letter->sink, id->sink) == 0 && strcmp(letter->event_id, id->event_id) == 0;
    if (!is_wanted(question->sink, letter->sink) ||
        (letter->dropped[0] != '\0') != question->wants_dropped)
        return false;
    if (question->id_count == 0 || bucket->origin.bucket > id->event.bucket)
        return true;
    int order = fg_ledger_entry_compare(letter->position, id->event.entry);
    return order > 0 || (order == 0 && strcmp(letter->sink, id->sink) > 0);
}

static enum fg_result keep_letters(struct page *page, const struct relay_bucket *bucket,
                                   const struct relay_letters *letters)
{
    const struct relay_dead_question *question = &page->desk->question;
    uint64_t most = question->verb == RELAY_DEAD_SHOW ? 1 : question->limit;
    for (size_t index = 0; index < letters->count && !page->has_more; index++) {
        if (!is_letter_wanted(question, bucket, &letters->items[index]))
            continue;
        page->has_more = page->count == most;
        if (page->has_more)
            break;
        if (page->count == page->room) {
            size_t room = page->room == 0 ? 16 : page->room * 2;
            struct found *grown = realloc(page->found, room * sizeof *grown);
            if (grown == NULL)
                return fg_error_set(&page->desk->error, FG_EXHAUSTED, "out of memory");
            page->found = grown;
            page->room = room;
        }
        page->found[page->count].bucket = bucket;
        page->found[page->count++].letter = letters->items[index];
    }
    return FG_OK;
}

static enum fg_result fill_page(struct page *page)
{
    struct relay_dead_desk *desk = page->desk;
    page->consumer = relay_consumer_new(desk->options, "", "desk");
    if (page->consumer == NULL)
        return fg_error_set(&desk->error, FG_EXHAUSTED, "out of memory");
    enum fg_result result = relay_consumer_connect(page->consumer, &desk->error);
    if (result == FG_OK)
        result = relay_consumer_refresh(page->consumer, &page->buckets, &page->bucket_count,
                                        &desk->error);
    if (result == FG_OK && page->bucket_count > 0)
        qsort(page->buckets, page->bucket_count, sizeof *page->buckets, by_number);
    for (size_t index = 0; result == FG_OK && index < page->bucket_count && !page->has_more;
         index++) {
        struct relay_letters letters;
        if (!is_bucket_wanted(&desk->question, &page->buckets[index]))
            continue;
        result =
            relay_letters_load(page->consumer, &page->buckets[index], NULL, &letters, &desk->error);
        if (result == FG_OK)
            result = keep_letters(page, &page->buckets[index], &letters);
        relay_letters_free(&letters);
    }
    return result;
}

static void write_list(void *context, struct fg_buffer *out)
{
    const struct page *page = context;
    char next[RELAY_LETTER_ID_BYTES];
    fg_buffer_add_string(out, "{\"letters\":[");
    for (size_t index = 0; index < page->count; index++) {
        if (index > 0)
            fg_buffer_add_byte(out, ',');
        add_letter(out, page->found[index].bucket, &page->found[index].letter);
    }
    fg_buffer_add_string(out, "]");
    if (page->has_more) {
        relay_letter_id(&page->found[page->count - 1].letter, next);
        add_member(out, "next", next);
    }
    fg_buffer_add_string(out, "}\n");
}

static void write_one(void *context, struct fg_buffer *out)
{
    const struct page *page = context;
    add_letter(out, page->found[0].bucket, &page->found[0].letter);
    fg_buffer_add_byte(out, '\n');
}

static enum fg_result list(struct relay_dead_desk *desk)
{
    struct page page = { .desk = desk };
    bool is_show = desk->question.verb == RELAY_DEAD_SHOW;
    enum fg_result result = fill_page(&page);
    if (result == FG_OK && is_show && page.count == 0)
        result = fg_error_set(&desk->error, FG_NOT_FOUND, "there is no such dead letter");
    if (result == FG_OK)
        desk->memory = relay_json_page(is_show ? write_one : write_list, &page, &desk->json);
    if (result == FG_OK && desk->memory == NULL)
        result = fg_error_set(&desk->error, FG_EXHAUSTED, "no memory for this answer");
    relay_consumer_free(&page.consumer);
    free(page.buckets);
    free(page.found);
    return result;
}

/* --- changing --------------------------------------------------------------------------------------- */

static void refuse_strangers(struct relay_dead_job *job)
{
    for (size_t index = 0; index < job->question->id_count; index++)
        if (!job->is_found[index])
            relay_dead_job_refuse(job, "%s:%s: there is no such dead letter",
                                  job->question->ids[index].sink,
                                  job->question->ids[index].event_id);
}

static void write_job(void *context, struct fg_buffer *out)
{
    relay_dead_job_add_json(context, out);
}

static enum fg_result change(struct relay_dead_desk *desk)
{
    struct relay_dead_job *job = relay_dead_job_new(&desk->question);
    bool is_known = desk->question.sink[0] == '\0';
    if (job == NULL)
        return fg_error_set(&desk->error, FG_EXHAUSTED, "out of memory");
    for (size_t index = 0; index < desk->delivery_count; index++) {
        struct relay_delivery *delivery = desk->deliveries[index];
        if (!is_wanted(desk->question.sink, relay_delivery_sink_id(delivery)))
            continue;
        is_known = true;
        relay_delivery_give(delivery, job);
    }
    bool is_done = relay_dead_job_wait(job, fg_clock_steady_ns() + JOB_WAIT_NS);
    enum fg_result result = FG_OK;
    if (!is_known)
        result = fg_error_set(&desk->error, FG_NOT_FOUND, "this relay has no sink %s",
                              desk->question.sink);
    else if (!is_done)
        result = fg_error_set(&desk->error, FG_UNREACHABLE,
                              "the sink is busy with a commit: what was begun goes on, see "
                              "flashgatectl dead list");
    else
        refuse_strangers(job);
    if (result == FG_OK)
        desk->memory = relay_json_page(write_job, job, &desk->json);
    if (result == FG_OK && desk->memory == NULL)
        result = fg_error_set(&desk->error, FG_EXHAUSTED, "no memory for this answer");
    relay_dead_job_release(&job);
    return result;
}

/* --- its life --------------------------------------------------------------------------------------- */

static void *answer(void *argument)
{
    struct relay_dead_desk *desk = argument;
    bool changes =
        desk->question.verb == RELAY_DEAD_RETRY || desk->question.verb == RELAY_DEAD_DROP;
    desk->result = changes ? change(desk) : list(desk);
    atomic_store(&desk->is_answered, true);
    desk->answered(desk->context);
    return NULL;
}

struct relay_dead_desk *relay_dead_desk_new(const struct relay_options *options,
                                            void (*answered)(void *context), void *context)
{
    struct relay_dead_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL)
        return NULL;
    desk->options = options;
    desk->answered = answered;
    desk->context = context;
    return desk;
}

void relay_dead_desk_free(struct relay_dead_desk **desk_at)
{
    struct relay_dead_desk *desk = *desk_at;
    *desk_at = NULL;
    if (desk == NULL)
        return;
    if (desk->is_busy)
        pthread_join(desk->thread, NULL);
    free(desk->memory);
    free(desk);
}

bool relay_dead_desk_is_busy(const struct relay_dead_desk *desk)
{
    return desk->is_busy;
}

enum fg_result relay_dead_desk_ask(struct relay_dead_desk *desk,
                                   const struct relay_dead_question *question,
                                   struct relay_delivery *const *deliveries, size_t count,
                                   struct fg_error *error)
{
    sigset_t all, before;
    assert(!desk->is_busy);
    free(desk->memory);
    desk->memory = NULL;
    desk->question = *question;
    desk->deliveries = deliveries;
    desk->delivery_count = count;
    atomic_store(&desk->is_answered, false);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    desk->is_busy = pthread_create(&desk->thread, NULL, answer, desk) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return desk->is_busy ? FG_OK : fg_error_set(error, FG_EXHAUSTED, "no thread for this question");
}

bool relay_dead_desk_take(struct relay_dead_desk *desk, enum fg_result *result_r,
                          struct fg_text *json_r, struct fg_error *error_r)
{
    if (!desk->is_busy || !atomic_load(&desk->is_answered))
        return false;
    pthread_join(desk->thread, NULL);
    desk->is_busy = false;
    *result_r = desk->result;
    *json_r = desk->json;
    *error_r = desk->error;
    return true;
}
