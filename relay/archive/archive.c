/* archive.c - see archive.h. */
#include "archive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_job.h"
#include "dead_letter.h"
#include "flashgate/base/clock.h"
#include "flashgate/inventory/settle.h"
#include "ledger_pages.h"

enum {
    WAIT_MS = 30000, /* for the sinks to take the ledger's last event */
    LOOK_MS = 20,
};

/* --- small steps ------------------------------------------------------------------------------------ */

static void enter(struct relay_archive_job *job, enum relay_archive_phase phase)
{
    relay_archive_progress_enter(job->progress, phase, job->name);
}

struct fg_redis *relay_archive_redis(struct relay_archive_job *job)
{
    return relay_consumer_redis(job->consumer);
}

enum fg_result relay_archive_check_cancelled(struct relay_archive_job *job)
{
    return atomic_load(job->is_cancelled)
               ? fg_error_set(job->error, FG_UNREACHABLE, "the relay is stopping: repeat it")
               : FG_OK;
}

struct relay_bucket relay_archive_bucket(const struct relay_archive_job *job,
                                         const struct fg_catalogue_sku *sku)
{
    struct relay_bucket bucket = { .origin.bucket = sku->terms.bucket };
    memcpy(bucket.origin.epoch, sku->terms.epoch, sizeof bucket.origin.epoch);
    memcpy(bucket.sale, job->sale->sale, sizeof bucket.sale);
    memcpy(bucket.sku, sku->sku, sizeof bucket.sku);
    return bucket;
}

bool relay_archive_is_cancelled(void *context)
{
    return atomic_load(((struct relay_archive_job *)context)->is_cancelled);
}

/* --- writing ---------------------------------------------------------------------------------------- */

struct page_out {
    struct relay_archive_writer *writer;
    uint32_t bucket;
    uint64_t entries;
    struct fg_ledger_entry last;
};

static enum fg_result write_raw(void *context, const struct relay_raw_entry *entry,
                                struct fg_error *error)
{
    struct page_out *out = context;
    out->entries++;
    out->last = entry->position;
    return relay_archive_write_entry(out->writer, out->bucket, out->entries, entry->id,
                                     entry->fields, entry->field_count, entry->makes_an_order,
                                     error);
}

/* What a sink lacks with somebody's word that it may. */
static enum fg_result write_letters(struct relay_archive_job *job,
                                    struct relay_archive_writer *writer,
                                    const struct relay_bucket *bucket)
{
    struct relay_letters letters;
    enum fg_result result = relay_letters_load(job->consumer, bucket, NULL, &letters, job->error);
    for (size_t index = 0; result == FG_OK && index < letters.count; index++)
        if (letters.items[index].dropped[0] != '\0')
            result = relay_archive_write_letter(writer, bucket->origin.bucket,
                                                &letters.items[index], job->error);
    relay_letters_free(&letters);
    return result;
}

static enum fg_result write_sku(struct relay_archive_job *job, struct relay_archive_writer *writer,
                                const struct fg_catalogue_sku *sku)
{
    struct page_out out = { .writer = writer, .bucket = sku->terms.bucket };
    const struct relay_bucket bucket = relay_archive_bucket(job, sku);
    struct fg_stock_books books;
    enum fg_result result = write_letters(job, writer, &bucket);
    if (result == FG_OK)
        result = relay_ledger_pages(relay_archive_redis(job), &bucket.origin, write_raw, &out,
                                    relay_archive_is_cancelled, job, job->error);
    if (result == FG_OK)
        result = fg_stock_read(relay_archive_redis(job), sku, &books, job->error);
    if (result == FG_OK)
        result = relay_archive_write_books(writer, sku->terms.bucket, &books, out.entries, out.last,
                                           job->error);
    return result;
}

static enum fg_result write_file(struct relay_archive_job *job)
{
    struct relay_archive_writer *writer;
    enum fg_result result = relay_archive_writer_open(job->fresh, &writer, job->error);
    if (result != FG_OK)
        return result;
    result = relay_archive_write_head(writer, job->sale, fg_clock_wall_ms(), job->error);
    for (uint32_t index = 0; result == FG_OK && index < job->sale->sku_count; index++)
        result = write_sku(job, writer, &job->sale->skus[index]);
    if (result == FG_OK)
        result = relay_archive_writer_end(writer, job->sale->sku_count, job->error);
    relay_archive_writer_close(&writer);
    return result;
}

/* As the file will be, but for the ends of the ledgers; and room for those. */
static enum fg_result try_room(struct relay_archive_job *job)
{
    enum {
        END_BYTES = 256 /* of a bucket: the event `archived`, as a line */
    };
    enter(job, RELAY_ARCHIVE_TRYING);
    enum fg_result result = write_file(job);
    struct stat status;
    size_t more = END_BYTES * ((size_t)job->sale->sku_count + 16);
    char *room = result == FG_OK ? calloc(1, more) : NULL;
    FILE *file = room == NULL ? NULL : fopen(job->fresh, "ae");
    bool is_written = file != NULL && fwrite(room, 1, more, file) == more;
    if (file != NULL && fclose(file) != 0)
        is_written = false;
    if (result == FG_OK && (!is_written || stat(job->fresh, &status) != 0))
        result = fg_error_set(job->error, FG_UNREACHABLE, "%s: writing it: %s", job->fresh,
                              strerror(errno));
    free(room);
    return result;
}

/* --- closing ---------------------------------------------------------------------------------------- */

static enum fg_result close_books(struct relay_archive_job *job)
{
    enter(job, RELAY_ARCHIVE_CLOSING);
    for (uint32_t index = 0; index < job->sale->sku_count; index++) {
        enum fg_result result = fg_bucket_close(relay_archive_redis(job), &job->sale->skus[index],
                                                &job->lasts[index], job->error);
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}

static enum fg_result wait_for_sinks(struct relay_archive_job *job)
{
    uint64_t end_ns = fg_clock_steady_ns() + WAIT_MS * FG_MS_IN_NS;
    enter(job, RELAY_ARCHIVE_WAITING);
    for (uint32_t index = 0; index < job->sale->sku_count;) {
        const struct relay_bucket bucket = relay_archive_bucket(job, &job->sale->skus[index]);
        char memory[RELAY_LAGGARDS_BYTES];
        struct fg_buffer laggards = fg_buffer_over(memory, sizeof memory);
        enum fg_result result =
            relay_archive_find_laggards(job, &bucket, job->lasts[index], &laggards);
        if (result == FG_OK)
            result = relay_archive_check_cancelled(job);
        if (result != FG_OK)
            return result;
        if (laggards.length == 0) {
            index++;
            continue;
        }
        if (fg_clock_steady_ns() > end_ns)
            return fg_error_set(job->error, FG_UNREACHABLE,
                                "the end of SKU %s is not acknowledged: %.*s; mend it and repeat "
                                "this",
                                bucket.sku, (int)laggards.length, laggards.at);
        usleep(LOOK_MS * 1000);
    }
    return FG_OK;
}

/* --- reading back ----------------------------------------------------------------------------------- */

static void keep_problem(void *context, const char *text)
{
    struct relay_archive_job *job = context;
    if (job->problems++ == 0)
        fg_error_set(job->error, FG_REFUSED, "%s", text);
}

static const struct relay_archive_sku *find_sku(const struct relay_archive *archive,
                                                const struct fg_catalogue_sku *sku)
{
    for (size_t index = 0; index < archive->sku_count; index++)
        if (archive->skus[index].origin.bucket == sku->terms.bucket &&
            strcmp(archive->skus[index].origin.epoch, sku->terms.epoch) == 0)
            return &archive->skus[index];
    return NULL;
}

/* All SKUs of the sale must be in it; it says how far their ledgers go. */
static enum fg_result take_lasts(struct relay_archive_job *job, const struct relay_archive *archive,
                                 const char *path)
{
    for (uint32_t index = 0; index < job->sale->sku_count; index++) {
        const struct relay_archive_sku *sku = find_sku(archive, &job->sale->skus[index]);
        if (sku == NULL || !sku->is_whole)
            return fg_error_set(job->error, FG_REFUSED, "%s: SKU %s is not in it", path,
                                job->sale->skus[index].sku);
        job->lasts[index] = sku->last;
    }
    relay_archive_progress_count(job->progress, archive->entries, archive->orders);
    return FG_OK;
}

static enum fg_result verify(struct relay_archive_job *job, const char *path)
{
    const struct relay_archive_reader reader = {
        .context = job,
        .problem = keep_problem,
        .is_cancelled = relay_archive_is_cancelled,
    };
    struct relay_archive archive;
    enter(job, RELAY_ARCHIVE_VERIFYING);
    job->problems = 0;
    enum fg_result result = relay_archive_read(path, &reader, &archive, job->error);
    if (result == FG_OK && job->problems > 0)
        result = fg_error_prefix(job->error, "%s", path);
    if (result == FG_OK)
        result = take_lasts(job, &archive, path);
    relay_archive_free(&archive);
    return result;
}

/* --- the end ---------------------------------------------------------------------------------------- */

static enum fg_result retire(struct relay_archive_job *job)
{
    enter(job, RELAY_ARCHIVE_RETIRING);
    for (uint32_t index = 0; index < job->sale->sku_count; index++) {
        enum fg_result result = fg_bucket_retire(relay_archive_redis(job), &job->sale->skus[index],
                                                 job->lasts[index], job->error);
        if (result == FG_OK)
            result = relay_archive_check_cancelled(job);
        if (result != FG_OK)
            return result;
    }
    return fg_sale_remove(relay_archive_redis(job), job->sale->sale, job->error);
}

/* --- all of it -------------------------------------------------------------------------------------- */

static enum fg_result make_file(struct relay_archive_job *job)
{
    enter(job, RELAY_ARCHIVE_CHECKING);
    enum fg_result result = relay_archive_check(job);
    if (result == FG_OK)
        result = try_room(job);
    if (result == FG_OK)
        result = close_books(job);
    if (result == FG_OK)
        result = wait_for_sinks(job);
    if (result == FG_OK)
        enter(job, RELAY_ARCHIVE_WRITING);
    if (result == FG_OK)
        result = write_file(job);
    if (result == FG_OK)
        result = relay_archive_publish(job->fresh, job->path, job->name, job->error);
    if (result != FG_OK)
        unlink(job->fresh);
    return result;
}

static enum fg_result prepare(struct relay_archive_job *job)
{
    static const char fresh_suffix[] = ".new";
    char *folder = relay_archive_path(job->options->state_dir, "");
    if (folder == NULL)
        return fg_error_set(job->error, FG_EXHAUSTED, "no memory");
    enum fg_result result = FG_OK;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        result = fg_error_set(job->error, FG_UNREACHABLE, "%s: %s", folder, strerror(errno));
    free(folder);
    relay_archive_name(job->sale, job->name);
    job->path = relay_archive_path(job->options->state_dir, job->name);
    job->lasts = calloc(job->sale->sku_count, sizeof *job->lasts);
    size_t bytes = job->path == NULL ? 0 : strlen(job->path) + sizeof fresh_suffix;
    job->fresh = job->path == NULL ? NULL : malloc(bytes);
    if (job->fresh == NULL || job->lasts == NULL)
        return fg_error_set(job->error, FG_EXHAUSTED, "no memory");
    snprintf(job->fresh, bytes, "%s%s", job->path, fresh_suffix);
    return result;
}

/* A sale that Redis does not have was archived before, or never was. */
static enum fg_result find_archived(struct relay_archive_job *job, const char *sale)
{
    enum fg_result result =
        relay_archive_find(job->options->state_dir, fg_text_of(sale), job->name, job->error);
    if (result == FG_OK)
        enter(job, RELAY_ARCHIVE_DONE);
    else if (result == FG_NOT_FOUND)
        fg_error_set(job->error, FG_NOT_FOUND, "there is no sale %s, and no archive of it", sale);
    return result;
}

static enum fg_result connect_and_load(struct relay_archive_job *job)
{
    job->consumer = relay_consumer_new(job->options, "", "archive");
    if (job->consumer == NULL)
        return fg_error_set(job->error, FG_EXHAUSTED, "no memory");
    enum fg_result result = relay_consumer_connect(job->consumer, job->error);
    if (result == FG_OK)
        result =
            fg_catalogue_load(relay_archive_redis(job), UINT64_MAX, &job->catalogue, job->error);
    return result;
}

static enum fg_result run(struct relay_archive_job *job, const char *sale)
{
    enum fg_result result = connect_and_load(job);
    if (result != FG_OK)
        return result;
    job->sale = fg_catalogue_find_sale(job->catalogue, fg_text_of(sale));
    if (job->sale == NULL)
        return find_archived(job, sale);
    result = prepare(job);
    bool is_there = result == FG_OK && access(job->path, F_OK) == 0;
    if (result == FG_OK && !is_there)
        result = make_file(job);
    if (result == FG_OK)
        result = verify(job, job->path);
    return result == FG_OK ? retire(job) : result;
}

enum fg_result relay_archive_sale(const struct relay_options *options, const char *sale,
                                  struct relay_archive_progress *progress,
                                  const atomic_bool *is_cancelled, struct fg_error *error)
{
    struct relay_archive_job job = {
        .options = options,
        .progress = progress,
        .is_cancelled = is_cancelled,
        .error = error,
    };
    enum fg_result result = run(&job, sale);
    fg_catalogue_release(&job.catalogue);
    relay_consumer_free(&job.consumer);
    free(job.lasts);
    free(job.path);
    free(job.fresh);
    relay_archive_progress_end(progress, result, error);
    return result;
}
