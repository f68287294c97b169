/* inquiry.c - see inquiry.h. The reader is opened with the first question and kept; after a failure it is closed, and
 * opened for the next one. */
#include "inquiry.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "order_page.h"

struct questions { /* first in, first out */
    struct relay_question *first, **end;
};

struct relay_inquiry {
    const struct relay_sink_settings *projection; /* NULL: there is none */
    const struct relay_sink_calls *calls;
    void (*answered)(void *context);
    void *context;
    pthread_t thread;
    bool has_thread;
    struct relay_sink_reader *reader; /* the thread's */

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t asked;
    bool is_stopping;
    size_t count; /* asked and not taken */
    struct questions waiting, done;
};

static void put(struct questions *questions, struct relay_question *question)
{
    question->next = NULL;
    *questions->end = question;
    questions->end = &question->next;
}

static struct relay_question *get(struct questions *questions)
{
    struct relay_question *question = questions->first;
    if (question == NULL)
        return NULL;
    questions->first = question->next;
    if (questions->first == NULL)
        questions->end = &questions->first;
    return question;
}

/* --- the thread ------------------------------------------------------------------------------------- */

static enum fg_result open_reader(struct relay_inquiry *inquiry, struct fg_error *error)
{
    if (inquiry->reader != NULL)
        return FG_OK;
    return inquiry->calls->reader_open(inquiry->projection, &inquiry->reader, error);
}

static enum fg_result search(struct relay_inquiry *inquiry, struct relay_question *question,
                             struct relay_order_page *page)
{
    const struct relay_order_query *query = &question->search.query;
    relay_order_page_begin(page);
    enum fg_result result = inquiry->calls->search(inquiry->reader, query, relay_order_page_add,
                                                   page, &question->error);
    relay_order_page_end(page, query->limit);
    return result;
}

/* Writes the order, and looks whose it is. */
struct finding {
    struct relay_order_page *page;
    const char *user;
    bool is_foreign;
};

static void order_found(void *context, const struct relay_order_row *row)
{
    struct finding *finding = context;
    finding->is_foreign =
        finding->user[0] != '\0' && !fg_text_equal(row->user, fg_text_of(finding->user));
    relay_order_page_made(finding->page, row);
}

static void event_found(void *context, const struct relay_history_row *row)
{
    relay_order_page_event(((struct finding *)context)->page, row);
}

static enum fg_result find(struct relay_inquiry *inquiry, struct relay_question *question,
                           struct relay_order_page *page)
{
    struct finding finding = { .page = page, .user = question->user };
    enum fg_result result =
        inquiry->calls->find(inquiry->reader, fg_text_of(question->order), order_found, event_found,
                             &finding, &question->error);
    relay_order_page_close(page);
    if (result == FG_OK && finding.is_foreign)
        result = fg_error_set(&question->error, FG_NOT_FOUND, "%s has no order %s", question->user,
                              question->order);
    return result;
}

static enum fg_result try_to_answer(struct relay_inquiry *inquiry, struct relay_question *question,
                                    struct relay_order_page *page)
{
    page->out.length = page->rows = 0;
    enum fg_result result = open_reader(inquiry, &question->error);
    if (result == FG_OK)
        result =
            question->is_find ? find(inquiry, question, page) : search(inquiry, question, page);
    if (result != FG_OK && result != FG_NOT_FOUND)
        inquiry->calls->reader_close(&inquiry->reader);
    return result;
}

/* A reader that was left alone for a while may have been left by the other side too: that costs one try more. */
static void answer(struct relay_inquiry *inquiry, struct relay_question *question)
{
    struct relay_order_page page = { .rows = 0 };
    bool was_open = inquiry->reader != NULL;
    enum fg_result result = try_to_answer(inquiry, question, &page);
    if (was_open && result == FG_UNREACHABLE)
        result = try_to_answer(inquiry, question, &page);
    if (result == FG_OK && page.has_failed)
        result = fg_error_set(&question->error, FG_EXHAUSTED, "no memory for the answer");
    question->result = result;
    question->json = result == FG_OK ? page.out.at : NULL;
    question->json_length = page.out.length;
    if (result != FG_OK)
        free(page.out.at);
}

static void *run(void *argument)
{
    struct relay_inquiry *inquiry = argument;
    pthread_setname_np(pthread_self(), "inquiry");
    pthread_mutex_lock(&inquiry->lock);
    while (!inquiry->is_stopping) {
        struct relay_question *question = get(&inquiry->waiting);
        if (question == NULL) {
            pthread_cond_wait(&inquiry->asked, &inquiry->lock);
            continue;
        }
        pthread_mutex_unlock(&inquiry->lock);
        answer(inquiry, question);
        pthread_mutex_lock(&inquiry->lock);
        put(&inquiry->done, question);
        inquiry->answered(inquiry->context);
    }
    pthread_mutex_unlock(&inquiry->lock);
    if (inquiry->reader != NULL)
        inquiry->calls->reader_close(&inquiry->reader);
    return NULL;
}

/* --- its life --------------------------------------------------------------------------------------- */

/* The one that is named, else the first that can be searched. */
static const struct relay_sink_settings *choose_projection(const struct relay_options *options)
{
    for (size_t index = 0; index < options->sinks.count; index++) {
        const struct relay_sink_settings *sink = relay_options_sink(options, index);
        if (options->projection != NULL ? strcmp(options->projection, sink->id) == 0
                                        : relay_sinks[sink->type]->search != NULL)
            return sink;
    }
    return NULL;
}

static bool start_thread(struct relay_inquiry *inquiry)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    inquiry->has_thread = pthread_create(&inquiry->thread, NULL, run, inquiry) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return inquiry->has_thread;
}

enum fg_result relay_inquiry_new(const struct relay_options *options,
                                 void (*answered)(void *context), void *context,
                                 struct relay_inquiry **inquiry_r, struct fg_error *error)
{
    struct relay_inquiry *inquiry = calloc(1, sizeof *inquiry);
    *inquiry_r = inquiry;
    if (inquiry == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory for questions about orders");
    inquiry->projection = choose_projection(options);
    inquiry->answered = answered;
    inquiry->context = context;
    inquiry->waiting.end = &inquiry->waiting.first;
    inquiry->done.end = &inquiry->done.first;
    pthread_mutex_init(&inquiry->lock, NULL);
    pthread_cond_init(&inquiry->asked, NULL);
    if (inquiry->projection == NULL)
        return FG_OK;
    inquiry->calls = relay_sinks[inquiry->projection->type];
    if (start_thread(inquiry))
        return FG_OK;
    relay_inquiry_free(inquiry_r);
    return fg_error_set(error, FG_EXHAUSTED, "no thread for questions about orders");
}

void relay_inquiry_stop(struct relay_inquiry *inquiry)
{
    struct relay_question *question;
    if (inquiry == NULL)
        return;
    pthread_mutex_lock(&inquiry->lock);
    inquiry->is_stopping = true;
    pthread_cond_signal(&inquiry->asked);
    pthread_mutex_unlock(&inquiry->lock);
    if (inquiry->has_thread)
        pthread_join(inquiry->thread, NULL);
    inquiry->has_thread = false;
    while ((question = get(&inquiry->waiting)) != NULL) {
        question->result = fg_error_set(&question->error, FG_UNREACHABLE, "the relay is stopping");
        put(&inquiry->done, question);
    }
}

void relay_inquiry_free(struct relay_inquiry **inquiry_at)
{
    struct relay_inquiry *inquiry = *inquiry_at;
    *inquiry_at = NULL;
    if (inquiry == NULL)
        return;
    assert(!inquiry->has_thread && inquiry->count == 0);
    pthread_cond_destroy(&inquiry->asked);
    pthread_mutex_destroy(&inquiry->lock);
    free(inquiry);
}

bool relay_inquiry_ask(struct relay_inquiry *inquiry, struct relay_question *question)
{
    assert(inquiry->projection != NULL);
    pthread_mutex_lock(&inquiry->lock);
    bool has_room = !inquiry->is_stopping && inquiry->count < RELAY_QUESTIONS_MAX;
    if (has_room) {
        put(&inquiry->waiting, question);
        inquiry->count++;
        pthread_cond_signal(&inquiry->asked);
    }
    pthread_mutex_unlock(&inquiry->lock);
    return has_room;
}

struct relay_question *relay_inquiry_take(struct relay_inquiry *inquiry)
{
    pthread_mutex_lock(&inquiry->lock);
    struct relay_question *question = get(&inquiry->done);
    inquiry->count -= question != NULL;
    pthread_mutex_unlock(&inquiry->lock);
    return question;
}

const struct relay_sink_settings *relay_inquiry_projection(const struct relay_inquiry *inquiry)
{
    return inquiry->projection;
}
