/* archive_write.c - the writing half of archive_file.h, and the names of archives. */
#include "archive_file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <mbedtls/md.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "flashgate/base/buffer.h"
#include "flashgate/inventory/sale.h"

enum {
    LINE_BYTES = 256 << 10, /* a head of 1024 SKUs; an entry is at most a tenth */
    READ_BYTES = 64 << 10,
    GZIP_LEVEL = 6,
};

static const char suffix[] = ".jsonl.gz";

struct relay_archive_writer {
    char *path;
    int descriptor;
    gzFile gzip; /* has a descriptor of its own */
    uint64_t entries, orders;
    struct fg_buffer line;
    char memory[LINE_BYTES];
};

static enum fg_result say(struct fg_error *error, const char *path, const char *doing)
{
    return fg_error_set(error, FG_UNREACHABLE, "%s: %s: %s", path, doing, strerror(errno));
}

/* --- names ------------------------------------------------------------------------------------------ */

char *relay_archive_path(const char *state_dir, const char *name)
{
    static const char form[] = "%s/archive/%s";
    size_t bytes = sizeof form + strlen(state_dir) + strlen(name);
    char *path = malloc(bytes);
    if (path != NULL)
        snprintf(path, bytes, form, state_dir, name);
    return path;
}

void relay_archive_name(const struct fg_catalogue_sale *sale, char name[RELAY_ARCHIVE_NAME_BYTES])
{
    const struct fg_catalogue_sku *first = &sale->skus[0];
    for (uint32_t index = 1; index < sale->sku_count; index++)
        if (sale->skus[index].terms.bucket < first->terms.bucket)
            first = &sale->skus[index];
    snprintf(name, RELAY_ARCHIVE_NAME_BYTES, "%s-%s%s", sale->sale, first->terms.epoch, suffix);
}

static bool ends_with(struct fg_text text, struct fg_text end)
{
    return text.length >= end.length &&
           memcmp(text.at + text.length - end.length, end.at, end.length) == 0;
}

/* Is this file called so? By its name, its name without the end, or its sale. */
static bool is_meant(struct fg_text file, struct fg_text wanted)
{
    if (!ends_with(file, fg_text_of(suffix)))
        return false;
    struct fg_text bare = { file.at, file.length - (sizeof suffix - 1) };
    if (fg_text_equal(file, wanted) || fg_text_equal(bare, wanted))
        return true;
    return bare.length == wanted.length + 1 + FG_EPOCH_BYTES && fg_text_starts_with(bare, wanted) &&
           bare.at[wanted.length] == '-';
}

enum fg_result relay_archive_find(const char *state_dir, struct fg_text wanted,
                                  char name_r[RELAY_ARCHIVE_NAME_BYTES], struct fg_error *error)
{
    char *path = relay_archive_path(state_dir, "");
    DIR *folder = path == NULL ? NULL : opendir(path);
    enum fg_result result = FG_OK;
    name_r[0] = '\0';
    for (struct dirent *file = folder == NULL ? NULL : readdir(folder);
         result == FG_OK && file != NULL; file = readdir(folder)) {
        if (!is_meant(fg_text_of(file->d_name), wanted) ||
            strlen(file->d_name) >= RELAY_ARCHIVE_NAME_BYTES)
            continue;
        if (name_r[0] != '\0')
            result = fg_error_set(error, FG_REFUSED, "there are several: name %s or %s", name_r,
                                  file->d_name);
        strcpy(name_r, file->d_name);
    }
    if (result == FG_OK && name_r[0] == '\0')
        result = fg_error_set(error, FG_NOT_FOUND, "there is no archive %.*s in %s",
                              (int)wanted.length, wanted.at, path == NULL ? state_dir : path);
    if (folder != NULL)
        closedir(folder);
    free(path);
    return result;
}

/* --- lines ------------------------------------------------------------------------------------------ */

enum fg_result relay_archive_writer_open(const char *path, struct relay_archive_writer **writer_r,
                                         struct fg_error *error)
{
    struct relay_archive_writer *writer = calloc(1, sizeof *writer);
    *writer_r = writer;
    if (writer == NULL || (writer->path = strdup(path)) == NULL) {
        relay_archive_writer_close(writer_r);
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    }
    writer->descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int copy = writer->descriptor < 0 ? -1 : fcntl(writer->descriptor, F_DUPFD_CLOEXEC, 0);
    writer->gzip = copy < 0 ? NULL : gzdopen(copy, "wb");
    if (writer->gzip != NULL) {
        gzsetparams(writer->gzip, GZIP_LEVEL, Z_DEFAULT_STRATEGY);
        return FG_OK;
    }
    enum fg_result result = say(error, path, "creating it");
    if (copy >= 0)
        close(copy);
    relay_archive_writer_close(writer_r);
    return result;
}

void relay_archive_writer_close(struct relay_archive_writer **writer_at)
{
    struct relay_archive_writer *writer = *writer_at;
    *writer_at = NULL;
    if (writer == NULL)
        return;
    if (writer->gzip != NULL)
        (void)gzclose(writer->gzip);
    if (writer->descriptor >= 0 && writer->path != NULL)
        close(writer->descriptor);
    free(writer->path);
    free(writer);
}

static struct fg_buffer *begin_line(struct relay_archive_writer *writer)
{
    writer->line = fg_buffer_over(writer->memory, sizeof writer->memory);
    return &writer->line;
}

static enum fg_result end_line(struct relay_archive_writer *writer, struct fg_error *error)
{
    fg_buffer_add_byte(&writer->line, '\n');
    assert(!writer->line.overflowed);
    if (gzwrite(writer->gzip, writer->line.at, (unsigned)writer->line.length) ==
        (int)writer->line.length)
        return FG_OK;
    return say(error, writer->path, "writing it");
}

static void add_time(struct fg_buffer *out, const char *name, int64_t wall_ms)
{
    fg_buffer_add_format(out, ",\"%s\":%" PRId64, name, wall_ms);
}

enum fg_result relay_archive_write_head(struct relay_archive_writer *writer,
                                        const struct fg_catalogue_sale *sale, int64_t now_ms,
                                        struct fg_error *error)
{
    struct fg_buffer *out = begin_line(writer);
    fg_buffer_add_format(out,
                         "{\"format\":\"flashgate-archive\",\"version\":%d,\"sale\":\"%s\","
                         "\"hold\":\"%s\",\"late_payment\":\"%s\"",
                         RELAY_ARCHIVE_VERSION, sale->sale, sale->hold,
                         fg_late_payments[sale->late_payment]);
    add_time(out, "opens_ms", sale->opens_ms);
    add_time(out, "closes_ms", sale->closes_ms);
    add_time(out, "made_ms", now_ms);
    fg_buffer_add_string(out, ",\"skus\":[");
    for (uint32_t index = 0; index < sale->sku_count; index++) {
        const struct fg_catalogue_sku *sku = &sale->skus[index];
        fg_buffer_add_format(out,
                             "%s{\"sku\":\"%s\",\"bucket\":%" PRIu32
                             ",\"epoch\":\"%s\",\"stock\":%" PRIu64 ",\"added\":%" PRIu64
                             ",\"per_user\":%" PRIu64 "}",
                             index == 0 ? "" : ",", sku->sku, sku->terms.bucket, sku->terms.epoch,
                             sku->stock, sku->added, (uint64_t)sku->terms.per_user);
    }
    fg_buffer_add_string(out, "]}");
    return end_line(writer, error);
}

enum fg_result relay_archive_write_entry(struct relay_archive_writer *writer, uint32_t bucket,
                                         uint64_t number, struct fg_text entry,
                                         const struct fg_text *fields, size_t field_count,
                                         bool makes_an_order, struct fg_error *error)
{
    struct fg_buffer *out = begin_line(writer);
    fg_buffer_add_format(
        out, "{\"bucket\":%" PRIu32 ",\"number\":%" PRIu64 ",\"entry\":\"%.*s\",\"fields\":[",
        bucket, number, (int)entry.length, entry.at);
    for (size_t index = 0; index < field_count; index++) {
        if (!fg_text_is_utf8(fields[index]))
            return fg_error_set(error, FG_INVALID,
                                "bucket %" PRIu32 ", entry %.*s: a field is not UTF-8", bucket,
                                (int)entry.length, entry.at);
        if (index > 0)
            fg_buffer_add_byte(out, ',');
        fg_buffer_add_json_string(out, fields[index]);
    }
    fg_buffer_add_string(out, "]}");
    writer->entries++;
    writer->orders += makes_an_order;
    return end_line(writer, error);
}

enum fg_result relay_archive_write_letter(struct relay_archive_writer *writer, uint32_t bucket,
                                          const struct relay_letter *letter, struct fg_error *error)
{
    struct fg_buffer *out = begin_line(writer);
    fg_buffer_add_format(
        out, "{\"bucket\":%" PRIu32 ",\"dropped\":{\"sink\":\"%s\",\"event_id\":\"%s\",\"reason\":",
        bucket, letter->sink, letter->event_id);
    fg_buffer_add_json_string(out, fg_text_of(letter->reason));
    fg_buffer_add_string(out, ",\"why\":");
    fg_buffer_add_json_string(out, fg_text_of(letter->dropped));
    fg_buffer_add_string(out, "}}");
    return end_line(writer, error);
}

enum fg_result relay_archive_write_books(struct relay_archive_writer *writer, uint32_t bucket,
                                         const struct fg_stock_books *books, uint64_t entries,
                                         struct fg_ledger_entry last, struct fg_error *error)
{
    struct fg_buffer *out = begin_line(writer);
    fg_buffer_add_format(
        out,
        "{\"bucket\":%" PRIu32 ",\"counters\":{\"total\":%" PRIu64 ",\"free\":%" PRIu64
        ",\"held\":%" PRIu64 ",\"sold\":%" PRIu64 "},\"entries\":%" PRIu64 ",\"last\":\"",
        bucket, books->total, books->free_units, books->held, books->sold, entries);
    fg_ledger_entry_add(out, last);
    fg_buffer_add_string(out, "\"}");
    return end_line(writer, error);
}

enum fg_result relay_archive_writer_end(struct relay_archive_writer *writer, uint32_t skus,
                                        struct fg_error *error)
{
    struct fg_buffer *out = begin_line(writer);
    fg_buffer_add_format(
        out, "{\"end\":true,\"entries\":%" PRIu64 ",\"orders\":%" PRIu64 ",\"skus\":%" PRIu32 "}",
        writer->entries, writer->orders, skus);
    enum fg_result result = end_line(writer, error);
    if (result != FG_OK)
        return result;
    int code = gzclose(writer->gzip);
    writer->gzip = NULL;
    off_t end = code == Z_OK ? lseek(writer->descriptor, 0, SEEK_CUR) : -1;
    if (end < 0 || ftruncate(writer->descriptor, end) != 0 || fsync(writer->descriptor) != 0)
        return say(error, writer->path, "writing it");
    return FG_OK;
}

/* --- its name --------------------------------------------------------------------------------------- */

static const char hexadecimal[] = "0123456789abcdef";

static enum fg_result digest(int descriptor, const char *path, mbedtls_md_context_t *context,
                             unsigned char sum[MBEDTLS_MD_MAX_SIZE], struct fg_error *error)
{
    unsigned char bytes[READ_BYTES];
    ssize_t got = 1;
    if (mbedtls_md_setup(context, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0) != 0 ||
        mbedtls_md_starts(context) != 0)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    while (got > 0) {
        got = read(descriptor, bytes, sizeof bytes);
        if (got > 0 && mbedtls_md_update(context, bytes, (size_t)got) != 0)
            return fg_error_set(error, FG_UNREACHABLE, "%s: SHA-256 failed", path);
    }
    if (got < 0 || mbedtls_md_finish(context, sum) != 0)
        return say(error, path, "reading it");
    return FG_OK;
}

enum fg_result relay_archive_checksum(const char *path, char checksum[RELAY_CHECKSUM_BYTES],
                                      struct fg_error *error)
{
    unsigned char sum[MBEDTLS_MD_MAX_SIZE];
    mbedtls_md_context_t context;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return say(error, path, "reading it");
    mbedtls_md_init(&context);
    enum fg_result result = digest(descriptor, path, &context, sum, error);
    mbedtls_md_free(&context);
    close(descriptor);
    if (result != FG_OK)
        return result;
    for (size_t index = 0; index < RELAY_CHECKSUM_BYTES / 2; index++) {
        checksum[2 * index] = hexadecimal[sum[index] >> 4];
        checksum[2 * index + 1] = hexadecimal[sum[index] & 15];
    }
    checksum[RELAY_CHECKSUM_BYTES - 1] = '\0';
    return FG_OK;
}

static enum fg_result write_checksum(const char *path, const char *name,
                                     const char checksum[RELAY_CHECKSUM_BYTES],
                                     struct fg_error *error)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool is_good = descriptor >= 0 && dprintf(descriptor, "%s  %s\n", checksum, name) > 0 &&
                   fsync(descriptor) == 0;
    enum fg_result result = is_good ? FG_OK : say(error, path, "writing it");
    if (descriptor >= 0)
        close(descriptor);
    return result;
}

static bool sync_folder(const char *path)
{
    char *copy = strdup(path);
    int descriptor = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_good = descriptor >= 0 && fsync(descriptor) == 0;
    if (descriptor >= 0)
        close(descriptor);
    free(copy);
    return is_good;
}

enum fg_result relay_archive_publish(const char *from, const char *path, const char *name,
                                     struct fg_error *error)
{
    static const char checksum_suffix[] = ".sha256";
    char checksum[RELAY_CHECKSUM_BYTES];
    size_t bytes = strlen(path) + sizeof checksum_suffix;
    char *beside = malloc(bytes);
    if (beside == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    snprintf(beside, bytes, "%s%s", path, checksum_suffix);
    enum fg_result result = relay_archive_checksum(from, checksum, error);
    if (result == FG_OK)
        result = write_checksum(beside, name, checksum, error);
    if (result == FG_OK &&
        (!sync_folder(path) || renameat2(AT_FDCWD, from, AT_FDCWD, path, RENAME_NOREPLACE) != 0))
        result = say(error, path, "giving it its name");
    if (result != FG_OK)
        (void)unlink(beside);
    else if (!sync_folder(path))
        result = say(error, path, "giving it its name");
    free(beside);
    return result;
}
