#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "flashgate/base/buffer.h"
#include "meaning.h"

enum {
    OUTCOMES = 32,
    LABEL_BYTES = 64,
    BAR_WIDTH = 40
};

struct press { /* what became of one press */
    const struct fg_row *last;
    bool uncertain, settled;
};

struct outcome {
    char label[LABEL_BYTES];
    uint64_t count;
    int rank; /* orders come first, what went wrong last, between them by count */
};

struct outcomes {
    struct outcome rows[OUTCOMES];
    size_t count;
};

const char *fg_count_text(uint64_t count, char text[FG_COUNT_TEXT_BYTES])
{
    char digits[FG_COUNT_TEXT_BYTES];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *at = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *at++ = ' ';
        *at++ = digits[i];
    }
    *at = '\0';
    return text;
}

/* --- presses ---------------------------------------------------------------------------------------- */
static size_t count_presses(const struct fg_record *record)
{
    size_t count = 0;
    for (size_t i = 0; i < record->count; i++)
        if (record->rows[i].press >= count)
            count = (size_t)record->rows[i].press + 1;
    return count;
}

/* Rows come in the order in which attempts ended, and attempts of one press follow each other. */
static struct press *collect_presses(const struct fg_record *record, size_t count)
{
    struct press *presses = fg_allocate(count, sizeof *presses);
    for (size_t i = 0; i < record->count; i++) {
        const struct fg_row *row = &record->rows[i];
        struct press *press = &presses[row->press];
        press->last = row;
        press->settled =
            fg_meaning_settles(fg_meaning_of(row->status, row->code), &press->uncertain);
    }
    return presses;
}

static bool is_rubbish(const struct fg_row *row)
{
    return fg_text_starts_with(row->kind, FG_TEXT("rubbish"));
}

/* --- outcomes --------------------------------------------------------------------------------------- */
static void label_press(const struct press *press, struct outcome *outcome_r)
{
    const struct fg_row *row = press->last;
    const char *label = NULL;
    *outcome_r = (struct outcome){ .rank = 2 };
    if (is_rubbish(row)) {
        outcome_r->rank = 3;
        label =
            row->status >= 200 && row->status < 300 ? "nonsense, accepted" : "nonsense, refused";
    } else if (row->status == 201 || row->status == 200) {
        outcome_r->rank = row->status == 201 ? 0 : 1;
        label = row->status == 201 ? "bought" : "the same order again";
    } else if (!press->settled) {
        outcome_r->rank = 4;
        label = press->uncertain ? "never learnt the outcome" : "gateway not reached";
    }
    if (label != NULL) {
        (void)snprintf(outcome_r->label, sizeof outcome_r->label, "%s", label);
        return;
    }
    (void)snprintf(outcome_r->label, sizeof outcome_r->label, "%.*s", (int)row->code.length,
                   row->code.at);
    for (char *at = outcome_r->label; *at != '\0'; at++)
        if (*at == '_')
            *at = ' ';
    if (outcome_r->label[0] == '\0')
        (void)snprintf(outcome_r->label, sizeof outcome_r->label, "answer %d", row->status);
}

static void count_outcome(struct outcomes *outcomes, const struct outcome *one)
{
    size_t at = 0;
    while (at < outcomes->count && strcmp(outcomes->rows[at].label, one->label) != 0)
        at++;
    if (at == outcomes->count) {
        if (at == OUTCOMES)
            return;
        outcomes->rows[outcomes->count++] = *one;
    }
    outcomes->rows[at].count++;
}

static int by_rank(const void *left, const void *right)
{
    const struct outcome *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank - b->rank;
    return (a->count < b->count) - (a->count > b->count);
}

static bool speaks_utf8(void)
{
    const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (size_t i = 0; i < FG_COUNT_OF(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

static void put_bar(uint64_t count, uint64_t most, bool utf8, FILE *out)
{
    static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    uint64_t length = most > 0 ? (count * BAR_WIDTH * 8 + most - 1) / most : 0; /* never nothing */
    for (uint64_t i = 0; i < length / 8; i++)
        (void)fputs(utf8 ? "█" : "#", out);
    if (utf8)
        (void)fputs(eighths[length % 8], out);
    else if (length < 8 && length > 0)
        (void)fputs(".", out);
}

static void put_outcomes(struct outcomes *outcomes, FILE *out)
{
    char count[FG_COUNT_TEXT_BYTES];
    uint64_t most = 0;
    bool utf8 = speaks_utf8();
    qsort(outcomes->rows, outcomes->count, sizeof outcomes->rows[0], by_rank);
    for (size_t i = 0; i < outcomes->count; i++)
        if (outcomes->rows[i].count > most)
            most = outcomes->rows[i].count;
    (void)fprintf(out, "\n  %-26s %10s\n", "what shoppers were told", "presses");
    for (size_t i = 0; i < outcomes->count; i++) {
        (void)fprintf(out, "  %-26s %10s  ", outcomes->rows[i].label,
                      fg_count_text(outcomes->rows[i].count, count));
        put_bar(outcomes->rows[i].count, most, utf8, out);
        (void)putc('\n', out);
    }
}

/* --- latencies -------------------------------------------------------------------------------------- */
enum latency_of {
    ACCEPTED,
    REPLAYED,
    REFUSED,
    LATENCIES
};

static int latency_kind(const struct press *press)
{
    if (!press->settled || is_rubbish(press->last))
        return -1;
    if (press->last->status == 201)
        return ACCEPTED;
    return press->last->status == 200 ? REPLAYED : REFUSED;
}

static int by_size(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void put_percentiles(const char *label, uint64_t *latencies_us, size_t count, FILE *out)
{
    static const double fractions[] = { 0.5, 0.9, 0.99, 0.999, 1.0 };
    if (count == 0)
        return;
    qsort(latencies_us, count, sizeof *latencies_us, by_size);
    (void)fprintf(out, "  %-26s", label);
    for (size_t i = 0; i < FG_COUNT_OF(fractions); i++) {
        size_t at = (size_t)(fractions[i] * (double)(count - 1) + 0.5);
        (void)fprintf(out, " %9.2f", (double)latencies_us[at] / 1000);
    }
    (void)putc('\n', out);
}

static void put_latencies(const struct press *presses, size_t count, FILE *out)
{
    static const char *const labels[LATENCIES] = { "bought", "told again", "refused" };
    (void)fprintf(out, "\n  %-26s %9s %9s %9s %9s %9s\n", "from press to answer, in ms", "p50",
                  "p90", "p99", "p99.9", "max");
    uint64_t *latencies_us = fg_allocate(count, sizeof *latencies_us);
    for (int kind = 0; kind < LATENCIES; kind++) {
        size_t samples = 0;
        for (size_t i = 0; i < count; i++)
            if (presses[i].last != NULL && latency_kind(&presses[i]) == kind)
                latencies_us[samples++] = presses[i].last->answered_us - presses[i].last->due_us;
        put_percentiles(labels[kind], latencies_us, samples, out);
    }
    free(latencies_us);
}

void fg_report_crowd(const struct fg_record *record, FILE *out)
{
    char presses_text[FG_COUNT_TEXT_BYTES], requests_text[FG_COUNT_TEXT_BYTES];
    size_t count = count_presses(record);
    struct press *presses = collect_presses(record, count);
    struct outcomes outcomes = { 0 };
    uint64_t pressed = 0;
    for (size_t i = 0; i < count; i++) {
        if (presses[i].last == NULL)
            continue;
        struct outcome outcome;
        label_press(&presses[i], &outcome);
        count_outcome(&outcomes, &outcome);
        pressed++;
    }
    (void)fprintf(out, "\n  buy was pressed %s times in %s requests%s\n",
                  fg_count_text(pressed, presses_text), fg_count_text(record->count, requests_text),
                  record->interrupted ? "; then the crowd was interrupted" : "");
    put_outcomes(&outcomes, out);
    put_latencies(presses, count, out);
    free(presses);
}

/* --- books and verdict ------------------------------------------------------------------------------ */
static void put_units(int64_t units, FILE *out)
{
    char text[FG_COUNT_TEXT_BYTES + 1] = "-";
    (void)fg_count_text((uint64_t)(units < 0 ? -units : units), text + 1);
    (void)fprintf(out, " %10s", units < 0 ? text : text + 1);
}

void fg_report_books(const struct fg_sale *sale, const struct fg_sku_units *units, FILE *out)
{
    (void)fprintf(out, "\n  %-17s %10s %10s %10s %10s %10s %10s\n", "units of each SKU", "on sale",
                  "free", "sold", "told", "ledger", "database");
    int64_t left = 0;
    for (size_t i = 0; i < fg_sale_sku_count(sale); i++) {
        (void)fprintf(out, "  %-17s", fg_sale_sku(sale, i)->sku);
        put_units(units[i].total, out);
        put_units(units[i].free, out);
        put_units(units[i].taken, out);
        put_units((int64_t)units[i].units[FG_IN_ANSWERS], out);
        put_units((int64_t)units[i].units[FG_IN_LEDGER], out);
        put_units((int64_t)units[i].units[FG_IN_DATABASE], out);
        (void)putc('\n', out);
        left += units[i].free > 0 ? units[i].free : 0;
    }
    char text[FG_COUNT_TEXT_BYTES];
    if (left > 0)
        (void)fprintf(out, "  %s units found no buyer\n", fg_count_text((uint64_t)left, text));
}

static void put_finding(const struct fg_findings *findings, enum fg_finding kind, FILE *out)
{
    char count[FG_COUNT_TEXT_BYTES];
    (void)fprintf(out, "  %s: %s\n", fg_finding_text(kind),
                  fg_count_text(findings->counts[kind], count));
    for (size_t i = 0; i < FG_FINDING_EXAMPLES && findings->examples[kind][i].length > 0; i++)
        (void)fprintf(out, "      %s\n", findings->examples[kind][i].at);
    if (findings->examples[kind][FG_FINDING_EXAMPLES - 1].length > 0 &&
        findings->counts[kind] > FG_FINDING_EXAMPLES)
        (void)fprintf(out, "      ...\n");
}

void fg_report_verdict(const struct fg_findings *findings, FILE *out)
{
    bool good = fg_findings_are_good(findings);
    (void)putc('\n', out);
    for (int kind = 0; kind < FG_FINDING_KINDS; kind++)
        if (findings->counts[kind] > 0)
            put_finding(findings, (enum fg_finding)kind, out);
    if (!good)
        (void)putc('\n', out);
    (void)fprintf(out,
                  "verdict: %s (units %" PRIu64 ", sold %" PRIu64 ", oversold %" PRIu64
                  ", lost %" PRIu64 ", duplicated %" PRIu64 ", over limit %" PRIu64 ")\n",
                  good ? "ok" : "FAILED", findings->units, findings->sold, findings->units_oversold,
                  findings->counts[FG_FINDING_LOST], findings->counts[FG_FINDING_DUPLICATED],
                  findings->counts[FG_FINDING_OVER_LIMIT]);
    (void)fflush(out);
}
