/* archive_read.c - the reading half of archive_file.h. Each line is judged by itself and against what came before it;
 * a problem is told with its line, and reading goes on, so that one look names all there is. */
#include "archive_file.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "flashgate/inventory/names.h"

enum {
    LINE_BYTES = 512 << 10,
    PROBLEM_BYTES = 512,
    CANCEL_LINES = 1000, /* between two looks whether to go on */
};

struct reading {
    const struct relay_archive_reader *reader;
    struct relay_archive *archive;
    uint64_t line;
    size_t current; /* the SKU whose entries are read; sku_count: none */
    bool has_head, has_end;
    char text[LINE_BYTES];
};

static void tell(struct reading *reading, const char *format, ...) FG_PRINTF(2, 3);
static void tell(struct reading *reading, const char *format, ...)
{
    char text[PROBLEM_BYTES];
    int length =
        reading->line == 0 ? 0 : snprintf(text, sizeof text, "line %" PRIu64 ": ", reading->line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    reading->archive->problems++;
    reading->reader->problem(reading->reader->context, text);
}

/* --- members ---------------------------------------------------------------------------------------- */

static bool read_number(const json_t *object, const char *name, uint64_t *number_r)
{
    const json_t *number = json_object_get(object, name);
    if (!json_is_integer(number) || json_integer_value(number) < 0)
        return false;
    *number_r = (uint64_t)json_integer_value(number);
    return true;
}

static bool read_time(const json_t *object, const char *name, int64_t *time_r)
{
    uint64_t number;
    if (!read_number(object, name, &number))
        return false;
    *time_r = (int64_t)number;
    return true;
}

static bool read_text(const json_t *object, const char *name, char *text, size_t bytes)
{
    const json_t *found = json_object_get(object, name);
    if (!json_is_string(found) || json_string_length(found) >= bytes)
        return false;
    memcpy(text, json_string_value(found), json_string_length(found) + 1);
    return true;
}

static bool read_entry(const json_t *object, const char *name, struct fg_ledger_entry *entry_r)
{
    const json_t *found = json_object_get(object, name);
    return json_is_string(found) &&
           fg_ledger_entry_parse(
               (struct fg_text){ json_string_value(found), json_string_length(found) }, entry_r);
}

/* --- the head --------------------------------------------------------------------------------------- */

static bool read_sku(const json_t *object, struct relay_archive_sku *sku)
{
    uint64_t bucket;
    if (!read_text(object, "sku", sku->sku, sizeof sku->sku) ||
        !read_text(object, "epoch", sku->origin.epoch, sizeof sku->origin.epoch) ||
        !read_number(object, "bucket", &bucket) || bucket > UINT32_MAX ||
        !read_number(object, "stock", &sku->stock) || !read_number(object, "added", &sku->added) ||
        !read_number(object, "per_user", &sku->per_user))
        return false;
    sku->origin.bucket = (uint32_t)bucket;
    return true;
}

static bool read_skus(const json_t *list, struct relay_archive *archive)
{
    size_t count = json_array_size(list);
    if (count == 0 || count > FG_SALE_SKUS)
        return false;
    archive->skus = calloc(count, sizeof *archive->skus);
    if (archive->skus == NULL)
        return false;
    archive->sku_count = count;
    for (size_t index = 0; index < count; index++)
        if (!read_sku(json_array_get(list, index), &archive->skus[index]))
            return false;
    return true;
}

/* False: what follows means nothing without it. */
static bool read_head(struct reading *reading, const json_t *head)
{
    struct relay_archive *archive = reading->archive;
    char format[32];
    uint64_t version = 0;
    if (!read_text(head, "format", format, sizeof format) ||
        strcmp(format, "flashgate-archive") != 0) {
        tell(reading, "this is no archive of flashgate");
        return false;
    }
    if (!read_number(head, "version", &version) || version != RELAY_ARCHIVE_VERSION) {
        tell(reading, "format version %" PRIu64 ", this program knows %d", version,
             RELAY_ARCHIVE_VERSION);
        return false;
    }
    if (!read_text(head, "sale", archive->sale, sizeof archive->sale) ||
        !read_text(head, "hold", archive->hold, sizeof archive->hold) ||
        !read_text(head, "late_payment", archive->late_payment, sizeof archive->late_payment) ||
        !read_time(head, "opens_ms", &archive->opens_ms) ||
        !read_time(head, "closes_ms", &archive->closes_ms) ||
        !read_time(head, "made_ms", &archive->made_ms) ||
        !read_skus(json_object_get(head, "skus"), archive)) {
        tell(reading, "the head is not whole");
        return false;
    }
    reading->current = archive->sku_count;
    if (reading->reader->begin != NULL)
        reading->reader->begin(reading->reader->context, archive);
    return true;
}

/* --- an entry --------------------------------------------------------------------------------------- */

static struct relay_archive_sku *find_sku(struct reading *reading, const json_t *line)
{
    struct relay_archive *archive = reading->archive;
    uint64_t bucket;
    if (!read_number(line, "bucket", &bucket)) {
        tell(reading, "not a line of an archive");
        return NULL;
    }
    for (size_t index = 0; index < archive->sku_count; index++) {
        if (archive->skus[index].origin.bucket != bucket)
            continue;
        if (index != reading->current && reading->reader->begin_sku != NULL)
            reading->reader->begin_sku(reading->reader->context, archive, index);
        reading->current = index;
        return &archive->skus[index];
    }
    tell(reading, "bucket %" PRIu64 " is not in the head", bucket);
    return NULL;
}

static enum fg_result decode(const struct relay_archive_sku *sku, const json_t *line,
                             struct relay_event *event_r, struct fg_error *error)
{
    const json_t *list = json_object_get(line, "fields"), *entry = json_object_get(line, "entry");
    struct fg_text fields[2 * RELAY_ENTRY_FIELDS];
    size_t count = json_array_size(list);
    if (!json_is_string(entry) || count > FG_COUNT_OF(fields))
        return fg_error_set(error, FG_INVALID, "not an entry of a ledger");
    for (size_t index = 0; index < count; index++) {
        const json_t *field = json_array_get(list, index);
        fields[index] = (struct fg_text){ json_string_value(field), json_string_length(field) };
    }
    return relay_decode(&sku->origin,
                        (struct fg_text){ json_string_value(entry), json_string_length(entry) },
                        fields, count, event_r, error);
}

/* After a gap it goes on from there, so that each is told once. */
static void check_number(struct reading *reading, struct relay_archive_sku *sku, const json_t *line)
{
    uint64_t number, expected = sku->number + 1;
    if (!read_number(line, "number", &number)) {
        tell(reading, "not a line of an archive");
        return;
    }
    if (number > expected)
        tell(reading, "a gap: entries %" PRIu64 " to %" PRIu64 " of bucket %" PRIu32 " are missing",
             expected, number - 1, sku->origin.bucket);
    sku->number = number;
}

static void read_event(struct reading *reading, const json_t *line)
{
    struct relay_archive_sku *sku = find_sku(reading, line);
    struct relay_event event;
    struct fg_error error;
    if (sku == NULL)
        return;
    reading->archive->entries++;
    check_number(reading, sku, line);
    if (decode(sku, line, &event, &error) != FG_OK) {
        tell(reading, "%s", error.text);
        return;
    }
    if (sku->is_whole || fg_ledger_entry_compare(event.position, sku->sums.upto) <= 0)
        tell(reading, "entry %s of bucket %" PRIu32 " is out of order", event.entry,
             sku->origin.bucket);
    relay_sums_add(&sku->sums, &event);
    sku->orders += event.is_first_of_order;
    reading->archive->orders += event.is_first_of_order;
    if (reading->reader->event != NULL)
        reading->reader->event(reading->reader->context, reading->current, &event);
}

static void read_letter(struct reading *reading, const json_t *line)
{
    const struct relay_archive_sku *sku = find_sku(reading, line);
    const json_t *letter = json_object_get(line, "dropped");
    char sink[FG_NAME_BYTES + 1], event_id[RELAY_ID_BYTES];
    if (sku == NULL)
        return;
    if (!read_text(letter, "sink", sink, sizeof sink) ||
        !read_text(letter, "event_id", event_id, sizeof event_id))
        tell(reading, "not a dead letter");
    else if (reading->reader->dropped != NULL)
        reading->reader->dropped(reading->reader->context, reading->current, sink, event_id);
}

/* --- counters and the end --------------------------------------------------------------------------- */

static void check_books(struct reading *reading, const struct relay_archive_sku *sku,
                        uint64_t entries)
{
    const struct fg_stock_books *books = &sku->books;
    char words[PROBLEM_BYTES];
    struct fg_buffer out = fg_buffer_over(words, sizeof words - 1);
    struct relay_delta delta = relay_delta_of(books, entries, &sku->sums);
    relay_delta_add_counters(&out, books, &sku->sums);
    if (delta.balance != 0)
        fg_buffer_add_format(&out, "%stotal is not free + held + sold",
                             out.length == 0 ? "" : "; ");
    if (delta.entries != 0)
        fg_buffer_add_format(&out, "%s%" PRIu64 " entries are here, %" PRIu64 " were written",
                             out.length == 0 ? "" : "; ", sku->sums.entries, entries);
    if (fg_ledger_entry_compare(sku->last, sku->sums.upto) != 0)
        fg_buffer_add_format(&out, "%sthe last entry is another", out.length == 0 ? "" : "; ");
    words[out.length] = '\0';
    if (out.length > 0)
        tell(reading, "SKU %s: %s", sku->sku, words);
}

static void read_books(struct reading *reading, const json_t *line)
{
    struct relay_archive_sku *sku = find_sku(reading, line);
    const json_t *counters = json_object_get(line, "counters");
    uint64_t entries;
    if (sku == NULL)
        return;
    struct fg_stock_books *books = &sku->books;
    if (sku->is_whole || !read_number(counters, "total", &books->total) ||
        !read_number(counters, "free", &books->free_units) ||
        !read_number(counters, "held", &books->held) ||
        !read_number(counters, "sold", &books->sold) || !read_number(line, "entries", &entries) ||
        !read_entry(line, "last", &sku->last)) {
        tell(reading, "the counters of SKU %s are not whole", sku->sku);
        return;
    }
    sku->is_whole = true;
    check_books(reading, sku, entries);
    if (reading->reader->end_sku != NULL)
        reading->reader->end_sku(reading->reader->context, reading->archive, reading->current);
}

static void read_end(struct reading *reading, const json_t *line)
{
    const struct relay_archive *archive = reading->archive;
    uint64_t entries, orders;
    reading->has_end = true;
    if (!read_number(line, "entries", &entries) || !read_number(line, "orders", &orders))
        tell(reading, "the end is not whole");
    else if (entries != archive->entries || orders != archive->orders)
        tell(reading,
             "%" PRIu64 " entries and %" PRIu64 " orders are here, %" PRIu64 " and %" PRIu64
             " were written",
             archive->entries, archive->orders, entries, orders);
}

/* --- all of it -------------------------------------------------------------------------------------- */

/* False: there is no use in going on. */
static bool read_line(struct reading *reading)
{
    json_error_t why;
    json_t *line = json_loads(reading->text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    bool goes_on = true;
    if (line == NULL)
        tell(reading, "not JSON: %s", why.text);
    else if (reading->has_end)
        tell(reading, "there is more behind the end");
    else if (!reading->has_head)
        goes_on = reading->has_head = read_head(reading, line);
    else if (json_object_get(line, "end") != NULL)
        read_end(reading, line);
    else if (json_object_get(line, "counters") != NULL)
        read_books(reading, line);
    else if (json_object_get(line, "dropped") != NULL)
        read_letter(reading, line);
    else
        read_event(reading, line);
    if (line == NULL && !reading->has_head)
        goes_on = false;
    json_decref(line);
    return goes_on;
}

static enum fg_result read_lines(struct reading *reading, gzFile gzip, struct fg_error *error)
{
    int code = Z_OK;
    while (gzgets(gzip, reading->text, LINE_BYTES) != NULL) {
        reading->line++;
        size_t length = strlen(reading->text);
        if (length == 0 || reading->text[length - 1] != '\n') {
            tell(reading, "the line is cut off");
            break;
        }
        if (!read_line(reading))
            return FG_OK;
        if (reading->line % CANCEL_LINES == 0 &&
            reading->reader->is_cancelled(reading->reader->context))
            return fg_error_set(error, FG_UNREACHABLE, "the relay is stopping");
    }
    const char *why = gzerror(gzip, &code);
    if (code != Z_OK && code != Z_STREAM_END)
        tell(reading, "%sthe file is damaged: %s", reading->line == 0 ? "" : "behind it ",
             code == Z_ERRNO ? strerror(errno) : why);
    return FG_OK;
}

static void check_end(struct reading *reading)
{
    const struct relay_archive *archive = reading->archive;
    for (size_t index = 0; index < archive->sku_count; index++)
        if (!archive->skus[index].is_whole)
            tell(reading, "SKU %s has no counters here", archive->skus[index].sku);
    if (!reading->has_end)
        tell(reading, "the file ends too early");
}

/* As sha256sum --check would. */
static void check_checksum(struct reading *reading, const char *path)
{
    char is[RELAY_CHECKSUM_BYTES], should[RELAY_CHECKSUM_BYTES] = "", beside[4096];
    struct fg_error error;
    FILE *file = NULL;
    if (snprintf(beside, sizeof beside, "%s.sha256", path) < (int)sizeof beside)
        file = fopen(beside, "re");
    size_t got = file == NULL ? 0 : fread(should, 1, sizeof should - 1, file);
    if (file != NULL)
        fclose(file);
    if (got != sizeof should - 1)
        tell(reading, "there is no checksum beside it");
    else if (relay_archive_checksum(path, is, &error) != FG_OK)
        tell(reading, "%s", error.text);
    else if (strcmp(is, should) != 0)
        tell(reading, "the checksum is not that of FILE.sha256: the file was changed");
}

enum fg_result relay_archive_read(const char *path, const struct relay_archive_reader *reader,
                                  struct relay_archive *archive_r, struct fg_error *error)
{
    struct reading *reading = calloc(1, sizeof *reading);
    gzFile gzip = gzopen(path, "rbe");
    *archive_r = (struct relay_archive){ .skus = NULL };
    enum fg_result result = FG_OK;
    if (gzip == NULL)
        result = fg_error_set(error, errno == ENOENT ? FG_NOT_FOUND : FG_UNREACHABLE, "%s: %s",
                              path, strerror(errno));
    else if (reading == NULL)
        result = fg_error_set(error, FG_EXHAUSTED, "no memory");
    if (result == FG_OK) {
        reading->reader = reader;
        reading->archive = archive_r;
        check_checksum(reading, path);
        result = read_lines(reading, gzip, error);
        if (result == FG_OK && reading->has_head)
            check_end(reading);
        else if (result == FG_OK && reading->line == 0)
            tell(reading, "there is nothing in it");
    }
    if (gzip != NULL)
        gzclose(gzip);
    free(reading);
    return result;
}

void relay_archive_free(struct relay_archive *archive)
{
    free(archive->skus);
    archive->skus = NULL;
    archive->sku_count = 0;
}
