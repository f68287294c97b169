/* archive_audit.c - see archive_audit.h. The file is read once for itself and once for each sink that can be read
 * back: entries and rows come in the same order, so of both only the heads are in memory. */
#include "archive_audit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/buffer.h"
#include "flashgate/relay/sink.h"
#include "json_page.h"

enum {
    WORDS_SHOWN = 50, /* of a kind; more are counted */
    WORD_BYTES = 512,
    ROWS_MAX = FG_SALE_SKUS * RELAY_SINKS_MAX,
};

/* Sentences, the first of them word for word. */
struct words {
    char (*shown)[WORD_BYTES];
    size_t count; /* of those shown */
    uint64_t all;
};

/* A SKU in a sink. */
struct row {
    const char *sink;
    char sku[FG_NAME_BYTES + 1];
    uint32_t bucket;
    struct words differences;
};

struct audit {
    const struct relay_options *options;
    const atomic_bool *is_cancelled;
    char name[RELAY_ARCHIVE_NAME_BYTES];
    char *path;
    struct relay_archive archive;
    struct words problems;
    struct row *rows;
    size_t row_count, row_room;

    /* Of the sink under way. */
    const struct relay_sink_settings *sink;
    const struct relay_sink_calls *calls;
    struct relay_sink_reader *reader;
    struct relay_sink_row delivered;
    bool has_delivered;
    struct row *row;                 /* of the SKU under way; NULL: it cannot be compared */
    char (*dropped)[RELAY_ID_BYTES]; /* events that it need not have, of that SKU */
    size_t dropped_count, dropped_room;
    struct fg_error trouble;
};

static void add_words(struct words *words, const char *what, struct fg_text detail)
{
    words->all++;
    if (words->count == WORDS_SHOWN)
        return;
    if (words->shown == NULL)
        words->shown = calloc(WORDS_SHOWN, sizeof *words->shown);
    if (words->shown == NULL)
        return;
    struct fg_buffer out = fg_buffer_over(words->shown[words->count], WORD_BYTES - 1);
    fg_buffer_add_string(&out, what);
    fg_buffer_add_text(&out, detail);
    words->shown[words->count++][out.length] = '\0';
}

/* --- the file against itself ------------------------------------------------------------------------ */

static void keep_problem(void *context, const char *text)
{
    add_words(&((struct audit *)context)->problems, "", fg_text_of(text));
}

static void ignore_problem(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static bool is_cancelled(void *context)
{
    return atomic_load(((struct audit *)context)->is_cancelled);
}

/* --- the file against a sink ------------------------------------------------------------------------ */

static struct row *add_row(struct audit *audit, const struct relay_archive_sku *sku)
{
    if (audit->row_count == audit->row_room) {
        size_t room = audit->row_room == 0 ? 16 : 2 * audit->row_room;
        struct row *grown = realloc(audit->rows, room * sizeof *grown);
        if (grown == NULL || room > ROWS_MAX)
            return NULL;
        audit->rows = grown;
        audit->row_room = room;
    }
    struct row *row = &audit->rows[audit->row_count++];
    *row = (struct row){ .sink = audit->sink->id, .bucket = sku->origin.bucket };
    memcpy(row->sku, sku->sku, sizeof row->sku);
    return row;
}

static void next_delivered(struct audit *audit)
{
    if (audit->calls->reader_next(audit->reader, &audit->delivered, &audit->has_delivered,
                                  &audit->trouble) == FG_OK)
        return;
    add_words(&audit->row->differences, "not compared: ", fg_text_of(audit->trouble.text));
    audit->row = NULL;
}

static void begin_sku(void *context, const struct relay_archive *archive, size_t index)
{
    struct audit *audit = context;
    const struct relay_archive_sku *sku = &archive->skus[index];
    audit->dropped_count = 0;
    audit->row = add_row(audit, sku);
    if (audit->row == NULL)
        return;
    if (audit->calls->reader_start(audit->reader, &sku->origin, RELAY_BEFORE_ALL, RELAY_AFTER_ALL,
                                   &audit->trouble) == FG_OK) {
        next_delivered(audit);
        return;
    }
    add_words(&audit->row->differences, "not compared: ", fg_text_of(audit->trouble.text));
    audit->row = NULL;
}

static void keep_dropped(void *context, size_t sku, const char *sink, const char *event_id)
{
    struct audit *audit = context;
    (void)sku;
    if (strcmp(sink, audit->sink->id) != 0)
        return;
    if (audit->dropped_count == audit->dropped_room) {
        size_t room = audit->dropped_room == 0 ? 16 : 2 * audit->dropped_room;
        void *grown =
            room > RELAY_LETTERS_MAX * 2 ? NULL : realloc(audit->dropped, room * RELAY_ID_BYTES);
        if (grown == NULL)
            return; /* then it is told as missing */
        audit->dropped = grown;
        audit->dropped_room = room;
    }
    strcpy(audit->dropped[audit->dropped_count++], event_id);
}

static bool was_dropped(const struct audit *audit, const char *event_id)
{
    for (size_t index = 0; index < audit->dropped_count; index++)
        if (strcmp(audit->dropped[index], event_id) == 0)
            return true;
    return false;
}

static bool says_the_same(const struct relay_event *event, const struct relay_sink_row *row)
{
    return fg_text_equal(row->event_id, fg_text_of(event->id)) &&
           fg_text_equal(row->event, fg_text_of(relay_event_name(event->kind))) &&
           fg_text_equal(row->order, fg_text_of(event->order)) &&
           fg_text_equal(row->user, event->user) && row->quantity == event->quantity;
}

static void tell_stranger(struct audit *audit)
{
    add_words(&audit->row->differences,
              "in the sink, but not in the archive: ", audit->delivered.event_id);
    next_delivered(audit);
}

static void compare_event(void *context, size_t sku, const struct relay_event *event)
{
    struct audit *audit = context;
    (void)sku;
    while (audit->row != NULL && audit->has_delivered &&
           fg_ledger_entry_compare(audit->delivered.position, event->position) < 0)
        tell_stranger(audit);
    if (audit->row == NULL)
        return;
    if (!audit->has_delivered ||
        fg_ledger_entry_compare(audit->delivered.position, event->position) > 0) {
        if (!was_dropped(audit, event->id))
            add_words(&audit->row->differences,
                      "in the archive, but not in the sink: ", fg_text_of(event->id));
        return;
    }
    if (!says_the_same(event, &audit->delivered))
        add_words(&audit->row->differences,
                  "archive and sink differ about: ", fg_text_of(event->id));
    next_delivered(audit);
}

static void end_sku(void *context, const struct relay_archive *archive, size_t index)
{
    struct audit *audit = context;
    (void)archive;
    (void)index;
    while (audit->row != NULL && audit->has_delivered)
        tell_stranger(audit);
    audit->row = NULL;
}

static enum fg_result compare_sink(struct audit *audit, struct fg_error *error)
{
    const struct relay_archive_reader reader = {
        .context = audit,
        .problem = ignore_problem, /* told already */
        .is_cancelled = is_cancelled,
        .begin_sku = begin_sku,
        .dropped = keep_dropped,
        .event = compare_event,
        .end_sku = end_sku,
    };
    struct relay_archive archive;
    if (audit->calls->reader_open == NULL)
        return FG_OK;
    if (audit->calls->reader_open(audit->sink, &audit->reader, &audit->trouble) != FG_OK) {
        add_words(&audit->problems, "", fg_text_of(audit->trouble.text));
        return FG_OK;
    }
    enum fg_result result = relay_archive_read(audit->path, &reader, &archive, error);
    relay_archive_free(&archive);
    audit->calls->reader_close(&audit->reader);
    return result;
}

/* --- the result ------------------------------------------------------------------------------------- */

static void write_words(const struct words *words, struct fg_buffer *out)
{
    fg_buffer_add_byte(out, '[');
    for (size_t index = 0; index < words->count; index++) {
        if (index > 0)
            fg_buffer_add_byte(out, ',');
        fg_buffer_add_json_string(out, fg_text_of(words->shown[index]));
    }
    if (words->all > words->count)
        fg_buffer_add_format(out, "%s\"and %" PRIu64 " more\"", words->count == 0 ? "" : ",",
                             words->all - words->count);
    fg_buffer_add_byte(out, ']');
}

static bool is_balanced(const struct audit *audit)
{
    uint64_t all = audit->problems.all;
    for (size_t index = 0; index < audit->row_count; index++)
        all += audit->rows[index].differences.all;
    return all == 0;
}

static void write_result(void *context, struct fg_buffer *out)
{
    const struct audit *audit = context;
    fg_buffer_add_format(out,
                         "{\"file\":\"%s\",\"sale\":\"%s\",\"balanced\":%s,\"entries\":%" PRIu64
                         ",\"orders\":%" PRIu64 ",\"skus\":%zu,\"problems\":",
                         audit->name, audit->archive.sale, is_balanced(audit) ? "true" : "false",
                         audit->archive.entries, audit->archive.orders, audit->archive.sku_count);
    write_words(&audit->problems, out);
    fg_buffer_add_string(out, ",\"sinks\":[");
    for (size_t index = 0; index < audit->row_count; index++) {
        const struct row *row = &audit->rows[index];
        fg_buffer_add_string(out, index == 0 ? "{\"id\":" : ",{\"id\":");
        fg_buffer_add_json_string(out, fg_text_of(row->sink));
        fg_buffer_add_format(out, ",\"sale\":\"%s\",\"sku\":\"%s\",\"bucket\":%" PRIu32,
                             audit->archive.sale, row->sku, row->bucket);
        fg_buffer_add_string(out, ",\"differences\":");
        write_words(&row->differences, out);
        fg_buffer_add_byte(out, '}');
    }
    fg_buffer_add_string(out, "]}\n");
}

static enum fg_result run(struct audit *audit, struct fg_error *error)
{
    const struct relay_archive_reader reader = {
        .context = audit,
        .problem = keep_problem,
        .is_cancelled = is_cancelled,
    };
    enum fg_result result = relay_archive_read(audit->path, &reader, &audit->archive, error);
    for (size_t index = 0; result == FG_OK && index < audit->options->sinks.count; index++) {
        audit->sink = relay_options_sink(audit->options, index);
        audit->calls = relay_sinks[audit->sink->type];
        result = compare_sink(audit, error);
    }
    return result;
}

static void free_audit(struct audit *audit)
{
    for (size_t index = 0; index < audit->row_count; index++)
        free(audit->rows[index].differences.shown);
    free(audit->rows);
    free(audit->problems.shown);
    free(audit->dropped);
    relay_archive_free(&audit->archive);
    free(audit->path);
}

enum fg_result relay_archive_audit(const struct relay_options *options, const char *wanted,
                                   const atomic_bool *is_cancelled_at, char **json_r,
                                   struct fg_text *text_r, struct fg_error *error)
{
    struct audit audit = { .options = options, .is_cancelled = is_cancelled_at };
    *json_r = NULL;
    enum fg_result result =
        relay_archive_find(options->state_dir, fg_text_of(wanted), audit.name, error);
    if (result == FG_OK &&
        (audit.path = relay_archive_path(options->state_dir, audit.name)) == NULL)
        result = fg_error_set(error, FG_EXHAUSTED, "no memory");
    if (result == FG_OK)
        result = run(&audit, error);
    if (result == FG_OK && (*json_r = relay_json_page(write_result, &audit, text_r)) == NULL)
        result = fg_error_set(error, FG_EXHAUSTED, "no memory for this answer");
    free_audit(&audit);
    return result;
}
