/* archive_file.h - a sale as a file: gzip of one JSON document a line, readable by anything, and by an auditor to the
 * last unit.
 *
 *   {"format":"flashgate-archive","version":1,"sale":…,…,"skus":[{"sku","bucket","epoch",…},…]}
 *   {"bucket":1,"dropped":{"sink","event_id","reason","why"}}       each dead letter that was given up, before
 *   {"bucket":1,"number":1,"entry":"1718712000123-0","fields":["event","opened","quantity","1000"]}
 *   …                                                         every entry of the ledger, bucket after bucket, numbered
 *   {"bucket":1,"counters":{"total","free","held","sold"},"entries":…,"last":"…"}             after each bucket's
 *   {"end":true,"entries":…,"orders":…,"skus":…}
 *
 * Beside FILE lies FILE.sha256, as sha256sum writes and checks it. Writing and reading block on the disk; a writer or
 * a reading belongs to one thread. */
#ifndef FLASHGATE_RELAY_ARCHIVE_FILE_H
#define FLASHGATE_RELAY_ARCHIVE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit_sums.h"
#include "dead_letter.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/inventory/catalogue.h"
#include "flashgate/relay/event.h"

enum {
    RELAY_ARCHIVE_VERSION = 1,
    RELAY_ARCHIVE_NAME_BYTES = FG_NAME_BYTES + 1 + FG_EPOCH_BYTES + sizeof ".jsonl.gz.sha256",
    RELAY_CHECKSUM_BYTES = 65 /* hexadecimal and its terminator */
};

/* --- names ------------------------------------------------------------------------------------------ */

/* STATE_DIR/archive/NAME; the caller frees it. NULL without memory. */
char *relay_archive_path(const char *state_dir, const char *name);
/* SALE-EPOCH.jsonl.gz, by the epoch of the bucket with the lowest number: made once, it never changes. */
void relay_archive_name(const struct fg_catalogue_sale *sale, char name[RELAY_ARCHIVE_NAME_BYTES]);
/* The file that `wanted` names: a file's name with or without its end, or a sale's that has one archive.
 * FG_NOT_FOUND; FG_REFUSED: several, which are named. */
enum fg_result relay_archive_find(const char *state_dir, struct fg_text wanted,
                                  char name_r[RELAY_ARCHIVE_NAME_BYTES],
                                  struct fg_error *error) FG_MUST_CHECK;

/* --- writing ---------------------------------------------------------------------------------------- */

struct relay_archive_writer;

/* Opens or creates `path`. What is there is written over, and cut off only by the end: so whoever has written as
 * much before has the room. Any failure is FG_UNREACHABLE. */
enum fg_result relay_archive_writer_open(const char *path, struct relay_archive_writer **writer_r,
                                         struct fg_error *error) FG_MUST_CHECK;
enum fg_result relay_archive_write_head(struct relay_archive_writer *writer,
                                        const struct fg_catalogue_sale *sale, int64_t now_ms,
                                        struct fg_error *error) FG_MUST_CHECK;
/* FG_INVALID: a text that is not UTF-8, which would not come back as it was. */
enum fg_result relay_archive_write_entry(struct relay_archive_writer *writer, uint32_t bucket,
                                         uint64_t number, struct fg_text entry,
                                         const struct fg_text *fields, size_t field_count,
                                         bool makes_an_order, struct fg_error *error) FG_MUST_CHECK;
enum fg_result relay_archive_write_letter(struct relay_archive_writer *writer, uint32_t bucket,
                                          const struct relay_letter *letter,
                                          struct fg_error *error) FG_MUST_CHECK;
enum fg_result relay_archive_write_books(struct relay_archive_writer *writer, uint32_t bucket,
                                         const struct fg_stock_books *books, uint64_t entries,
                                         struct fg_ledger_entry last,
                                         struct fg_error *error) FG_MUST_CHECK;
/* The last line; after it all is on the disk. */
enum fg_result relay_archive_writer_end(struct relay_archive_writer *writer, uint32_t skus,
                                        struct fg_error *error) FG_MUST_CHECK;
void relay_archive_writer_close(struct relay_archive_writer **writer); /* harmless on NULL */

/* Writes PATH.sha256 for a file that will be called `name`; then gives the file at `from` its name, which nothing
 * may have yet. Both are on the disk after it, the checksum first; on failure neither is there. */
enum fg_result relay_archive_publish(const char *from, const char *path, const char *name,
                                     struct fg_error *error) FG_MUST_CHECK;

/* --- reading ---------------------------------------------------------------------------------------- */

struct relay_archive_sku {
    char sku[FG_NAME_BYTES + 1];
    struct relay_origin origin;
    uint64_t stock, added, per_user;
    /* After its last line: */
    bool is_whole; /* its counters were met */
    struct fg_stock_books books;
    struct relay_sums sums; /* of what was read */
    uint64_t number;        /* of the last entry read */
    uint64_t orders;
    struct fg_ledger_entry last;
};

struct relay_archive {
    char sale[FG_NAME_BYTES + 1], hold[FG_HOLD_BYTES + 1], late_payment[16];
    int64_t opens_ms, closes_ms, made_ms;
    struct relay_archive_sku *skus;
    size_t sku_count;
    uint64_t entries, orders;
    uint64_t problems; /* that were told */
};

/* Who reads; every call may be NULL but the first two. */
struct relay_archive_reader {
    void *context;
    /* Something is wrong with the file. Reading goes on where that makes sense. */
    void (*problem)(void *context, const char *text);
    bool (*is_cancelled)(void *context);
    void (*begin)(void *context, const struct relay_archive *archive); /* the head was read */
    void (*begin_sku)(void *context, const struct relay_archive *archive, size_t sku);
    void (*dropped)(void *context, size_t sku, const char *sink, const char *event_id);
    void (*event)(void *context, size_t sku, const struct relay_event *event);
    void (*end_sku)(void *context, const struct relay_archive *archive, size_t sku);
};

/* Reads the whole file and tells every problem: the checksum, the version, a gap, ids out of order, entries that cannot be
 * understood, sums that are not the counters, a missing end. FG_OK: it was read to where it could be; *archive_r is to
 * be freed in any case. FG_NOT_FOUND, FG_UNREACHABLE: it was not. */
enum fg_result relay_archive_read(const char *path, const struct relay_archive_reader *reader,
                                  struct relay_archive *archive_r,
                                  struct fg_error *error) FG_MUST_CHECK;
void relay_archive_free(struct relay_archive *archive);

enum fg_result relay_archive_checksum(const char *path, char checksum[RELAY_CHECKSUM_BYTES],
                                      struct fg_error *error) FG_MUST_CHECK;

#endif
