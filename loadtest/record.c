#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "flashgate-load record 1";
static const char columns[] = "press\tattempt\tkind\tuser\tsku\tkey\tquantity\tdue_us\tsent_us\t"
                              "answered_us\tstatus\treplayed\tcode\torder\tbody";

enum {
    COLUMNS = 15,
    HEADER_WORDS = 5
};

void fg_record_add(struct fg_record *record, const struct fg_row *row)
{
    record->rows =
        fg_grow(record->rows, &record->capacity, record->count + 1, sizeof *record->rows);
    struct fg_row *kept = &record->rows[record->count++];
    *kept = *row;
    struct fg_text *const texts[] = { &kept->kind, &kept->user,  &kept->sku, &kept->key,
                                      &kept->code, &kept->order, &kept->body };
    for (size_t i = 0; i < FG_COUNT_OF(texts); i++)
        *texts[i] = fg_store_text(&record->store, *texts[i]);
}

void fg_record_free(struct fg_record *record)
{
    free(record->rows);
    fg_store_free(&record->store);
    *record = (struct fg_record){ 0 };
}

/* --- writing ---------------------------------------------------------------------------------------- */
static void put_text(FILE *out, struct fg_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (byte == '\\')
            (void)fputs("\\\\", out);
        else if (byte < 0x20 || byte > 0x7e)
            (void)fprintf(out, "\\x%02x", byte);
        else
            (void)putc(byte, out);
    }
}

static void put_field(FILE *out, struct fg_text text)
{
    (void)putc('\t', out);
    put_text(out, text);
}

static void put_row(FILE *out, const struct fg_row *row)
{
    (void)fprintf(out, "%" PRIu32 "\t%" PRIu32, row->press, row->attempt);
    put_field(out, row->kind);
    put_field(out, row->user);
    put_field(out, row->sku);
    put_field(out, row->key);
    (void)fprintf(out, "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%d\t%d",
                  row->quantity, row->due_us, row->sent_us, row->answered_us, row->status,
                  row->replayed ? 1 : 0);
    put_field(out, row->code);
    put_field(out, row->order);
    put_field(out, row->body);
    (void)putc('\n', out);
}

enum fg_result fg_record_write(const struct fg_record *record, const char *path,
                               struct fg_error *error)
{
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "%s: %s", path, strerror(errno));
    (void)fputs(magic, out);
    put_field(out, record->sale);
    put_field(out, record->user_prefix);
    (void)fprintf(out, "\t%" PRIu64 "\t%s\n%s\n", record->seed,
                  record->interrupted ? "interrupted" : "whole", columns);
    for (size_t i = 0; i < record->count; i++)
        put_row(out, &record->rows[i]);
    (void)fprintf(out, "end\t%zu\n", record->count);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed)
        return fg_error_set(error, FG_UNREACHABLE, "%s: %s", path, strerror(errno));
    return FG_OK;
}

/* --- reading ---------------------------------------------------------------------------------------- */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes put_text, in place. */
static bool unescape(struct fg_text *text, char *bytes)
{
    size_t length = 0;
    for (size_t i = 0; i < text->length; i++) {
        if (bytes[i] != '\\') {
            bytes[length++] = bytes[i];
        } else if (i + 1 < text->length && bytes[i + 1] == '\\') {
            bytes[length++] = '\\';
            i++;
        } else {
            if (i + 3 >= text->length || bytes[i + 1] != 'x' || hex_digit(bytes[i + 2]) < 0 ||
                hex_digit(bytes[i + 3]) < 0)
                return false;
            bytes[length++] = (char)(hex_digit(bytes[i + 2]) * 16 + hex_digit(bytes[i + 3]));
            i += 3;
        }
    }
    *text = (struct fg_text){ bytes, length };
    return true;
}

/* Cuts a line at its tabs; returns how many fields there are, or `maximum` + 1. */
static size_t cut_line(char *line, size_t length, struct fg_text *fields, size_t maximum)
{
    struct fg_text rest = { line, length };
    size_t count = 0;
    while (rest.at != NULL) {
        if (count == maximum)
            return maximum + 1;
        fields[count] = fg_text_cut(&rest, '\t');
        if (!unescape(&fields[count], line + (fields[count].at - line)))
            return 0;
        count++;
    }
    return count;
}

static bool is_number(struct fg_text text, uint64_t maximum, uint64_t *value_r)
{
    return fg_text_decimal(text, maximum, value_r) == FG_NUMBER_OK;
}

static bool read_row(struct fg_record *record, char *line, size_t length)
{
    struct fg_text field[COLUMNS];
    uint64_t press, attempt, status, replayed;
    struct fg_row row = { 0 };
    if (cut_line(line, length, field, COLUMNS) != COLUMNS ||
        !is_number(field[0], UINT32_MAX, &press) || !is_number(field[1], UINT32_MAX, &attempt) ||
        !is_number(field[6], UINT64_MAX, &row.quantity) ||
        !is_number(field[7], UINT64_MAX, &row.due_us) ||
        !is_number(field[8], UINT64_MAX, &row.sent_us) ||
        !is_number(field[9], UINT64_MAX, &row.answered_us) || !is_number(field[10], 999, &status) ||
        !is_number(field[11], 1, &replayed))
        return false;
    row.press = (uint32_t)press;
    row.attempt = (uint32_t)attempt;
    row.kind = field[2];
    row.user = field[3];
    row.sku = field[4];
    row.key = field[5];
    row.status = (int)status;
    row.replayed = replayed == 1;
    row.code = field[12];
    row.order = field[13];
    row.body = field[14];
    fg_record_add(record, &row);
    return true;
}

static bool read_header(struct fg_record *record, char *line, size_t length)
{
    struct fg_text word[HEADER_WORDS];
    if (cut_line(line, length, word, HEADER_WORDS) != HEADER_WORDS ||
        !fg_text_equal(word[0], fg_text_of(magic)) ||
        !is_number(word[3], UINT64_MAX, &record->seed))
        return false;
    record->sale = fg_store_text(&record->store, word[1]);
    record->user_prefix = fg_store_text(&record->store, word[2]);
    record->interrupted = !fg_text_equal(word[4], FG_TEXT("whole"));
    return true;
}

/* The line with the number of rows; *right_r: it is the number there is. */
static bool read_end(const struct fg_record *record, struct fg_text line, bool *right_r)
{
    uint64_t rows;
    if (!fg_text_equal(fg_text_cut(&line, '\t'), FG_TEXT("end")))
        return false;
    *right_r = is_number(line, SIZE_MAX, &rows) && rows == record->count;
    return true;
}

static enum fg_result read_lines(struct fg_record *record, FILE *in, const char *path,
                                 struct fg_error *error)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t got;
    bool ended = false, good = true;
    while (good && !ended && (got = getline(&line, &room, in)) > 0) {
        size_t length = (size_t)got - (line[got - 1] == '\n' ? 1 : 0);
        number++;
        if (number == 1)
            good = read_header(record, line, length);
        else if (number == 2)
            good = fg_text_equal((struct fg_text){ line, length }, fg_text_of(columns));
        else if (read_end(record, (struct fg_text){ line, length }, &good))
            ended = good;
        else
            good = read_row(record, line, length);
    }
    free(line);
    if (!good)
        return fg_error_set(error, FG_INVALID, "%s:%zu: this is no line of a record", path, number);
    if (!ended)
        return fg_error_set(error, FG_INVALID, "%s: the record is cut off after line %zu", path,
                            number);
    return FG_OK;
}

enum fg_result fg_record_read(struct fg_record *record, const char *path, struct fg_error *error)
{
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return fg_error_set(error, errno == ENOENT ? FG_INVALID : FG_UNREACHABLE, "%s: %s", path,
                            strerror(errno));
    enum fg_result result = read_lines(record, in, path, error);
    (void)fclose(in);
    if (result != FG_OK)
        fg_record_free(record);
    return result;
}
