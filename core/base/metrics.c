/* metrics.c - a block is one flat piece of memory: the families' cells one after the other in the
 * table's order, a word for a counter or gauge, a struct fg_histogram for a histogram. The layout
 * knows where each family begins; the same index works in the block of every thread, so a page is a
 * sum over blocks.
 *
 * Invariants: a cell has one writer, so a load and a store are enough; rendering only reads. A
 * gauge is a two's complement number in its word, so negative ones add up too. The layout must
 * outlive its blocks. */
#include "flashgate/base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    LABELS_BYTES = 512
}; /* of the labels of one sample */

struct family_place {
    size_t offset;
    unsigned cells;
};

struct fg_metrics_layout {
    const struct fg_metric *families;
    size_t count;
    size_t block_bytes;
    struct family_place places[];
};

struct fg_metrics_block {
    const struct fg_metrics_layout *layout;
    _Alignas(FG_CACHE_LINE_BYTES) unsigned char cells[];
};

static bool is_rendered_by_caller(const struct fg_metric *family)
{
    return family->label != NULL && family->values == NULL;
}

static unsigned count_values(const char *const *values)
{
    unsigned count = 0;
    while (values[count] != NULL) {
        count++;
    }
    return count;
}

static unsigned cells_of(const struct fg_metric *family)
{
    if (is_rendered_by_caller(family)) {
        return 0;
    }
    if (family->label == NULL) {
        return 1;
    }
    unsigned count = count_values(family->values);
    return family->second_label == NULL ? count : count * count_values(family->second_values);
}

unsigned fg_metrics_pair(const struct fg_metric *family, unsigned value, unsigned second)
{
    return value * count_values(family->second_values) + second;
}

static size_t cell_bytes(const struct fg_metric *family)
{
    return family->type == FG_HISTOGRAM ? sizeof(struct fg_histogram) : sizeof(_Atomic uint64_t);
}

struct fg_metrics_layout *fg_metrics_layout_new(const struct fg_metric *families, size_t count)
{
    struct fg_metrics_layout *layout =
        calloc(1, sizeof *layout + count * sizeof(struct family_place));
    if (layout == NULL) {
        return NULL;
    }
    layout->families = families;
    layout->count = count;
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        layout->places[i].offset = offset;
        layout->places[i].cells = cells_of(&families[i]);
        offset += layout->places[i].cells * cell_bytes(&families[i]);
    }
    size_t bytes = sizeof(struct fg_metrics_block) + offset;
    /* Whole cache lines: no other thread's data shares the last one. */
    layout->block_bytes =
        (bytes + FG_CACHE_LINE_BYTES - 1) / FG_CACHE_LINE_BYTES * FG_CACHE_LINE_BYTES;
    return layout;
}

void fg_metrics_layout_free(struct fg_metrics_layout **layout)
{
    free(*layout);
    *layout = NULL;
}

struct fg_metrics_block *fg_metrics_block_new(const struct fg_metrics_layout *layout)
{
    struct fg_metrics_block *block = aligned_alloc(FG_CACHE_LINE_BYTES, layout->block_bytes);
    if (block != NULL) {
        memset(block, 0, layout->block_bytes);
        block->layout = layout;
    }
    return block;
}

void fg_metrics_block_free(struct fg_metrics_block **block)
{
    free(*block);
    *block = NULL;
}

/* const is cast away here once, for readers and writers alike. */
static void *cell_at(const struct fg_metrics_block *block, unsigned family, unsigned value)
{
    const struct fg_metrics_layout *layout = block->layout;
    assert(family < layout->count && value < layout->places[family].cells);
    size_t offset = layout->places[family].offset + value * cell_bytes(&layout->families[family]);
    return (void *)(uintptr_t)(block->cells + offset);
}

void fg_metrics_add(struct fg_metrics_block *block, unsigned family, unsigned value, uint64_t n)
{
    assert(block->layout->families[family].type != FG_HISTOGRAM);
    _Atomic uint64_t *cell = cell_at(block, family, value);
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void fg_metrics_set(struct fg_metrics_block *block, unsigned family, unsigned value, int64_t to)
{
    assert(block->layout->families[family].type == FG_GAUGE);
    _Atomic uint64_t *cell = cell_at(block, family, value);
    atomic_store_explicit(cell, (uint64_t)to, memory_order_relaxed);
}

void fg_metrics_observe(struct fg_metrics_block *block, unsigned family, unsigned value,
                        uint64_t duration_ns)
{
    assert(block->layout->families[family].type == FG_HISTOGRAM);
    fg_histogram_add(cell_at(block, family, value), duration_ns);
}

uint64_t fg_metrics_sum(struct fg_metrics_block *const *blocks, size_t count, unsigned family,
                        unsigned value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        void *cell = cell_at(blocks[i], family, value);
        if (blocks[i]->layout->families[family].type == FG_HISTOGRAM) {
            sum += fg_histogram_count(cell);
        } else {
            sum += atomic_load_explicit((_Atomic uint64_t *)cell, memory_order_relaxed);
        }
    }
    return sum;
}

/* Help and label values: backslash and newline are escaped, in label values the quote too. */
static void add_escaped(struct fg_buffer *page, struct fg_text text, bool quotes)
{
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.at[i];
        if (byte == '\n') {
            fg_buffer_add_string(page, "\\n");
            continue;
        }
        if (byte == '\\' || (quotes && byte == '"')) {
            fg_buffer_add_byte(page, '\\');
        }
        fg_buffer_add_byte(page, byte);
    }
}

static const char *type_name(enum fg_metric_type type)
{
    static const char *const names[] = { "counter", "gauge", "histogram" };
    return names[type];
}

void fg_metrics_begin(struct fg_buffer *page, const struct fg_metric *family)
{
    fg_buffer_add_string(page, "# HELP ");
    fg_buffer_add_string(page, family->name);
    fg_buffer_add_byte(page, ' ');
    add_escaped(page, fg_text_of(family->help), false);
    fg_buffer_add_string(page, "\n# TYPE ");
    fg_buffer_add_string(page, family->name);
    fg_buffer_add_byte(page, ' ');
    fg_buffer_add_string(page, type_name(family->type));
    fg_buffer_add_byte(page, '\n');
}

void fg_metrics_label(struct fg_buffer *labels, const char *key, struct fg_text value)
{
    if (labels->length > 0) {
        fg_buffer_add_byte(labels, ',');
    }
    fg_buffer_add_string(labels, key);
    fg_buffer_add_string(labels, "=\"");
    add_escaped(labels, value, true);
    fg_buffer_add_byte(labels, '"');
}

/* NAME or NAME_bucket, the labels in braces, and the space before the value. */
static void add_name(struct fg_buffer *page, const char *name, const char *suffix,
                     struct fg_text labels)
{
    fg_buffer_add_string(page, name);
    fg_buffer_add_string(page, suffix);
    if (labels.length > 0) {
        fg_buffer_add_byte(page, '{');
        fg_buffer_add_text(page, labels);
        fg_buffer_add_byte(page, '}');
    }
    fg_buffer_add_byte(page, ' ');
}

static void add_signed(struct fg_buffer *page, int64_t value)
{
    if (value < 0) {
        fg_buffer_add_byte(page, '-');
    }
    fg_buffer_add_decimal(page, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static bool is_whole(double value)
{
    const double exact = 9007199254740992.0; /* 2^53 */
    if (value > exact || value < -exact) {
        return false;
    }
    double whole = (double)(int64_t)value;
    return whole >= value && whole <= value;
}

void fg_metrics_sample(struct fg_buffer *page, const struct fg_metric *family, const char *labels,
                       double value)
{
    add_name(page, family->name, "", fg_text_of(labels));
    if (isnan(value)) {
        fg_buffer_add_string(page, "NaN\n");
    } else if (isinf(value)) {
        fg_buffer_add_string(page, value > 0 ? "+Inf\n" : "-Inf\n");
    } else if (is_whole(value)) {
        add_signed(page, (int64_t)value); /* counts stay whole numbers beyond %g's digits */
        fg_buffer_add_byte(page, '\n');
    } else {
        fg_buffer_add_format(page, "%.15g\n", value);
    }
}

/* Nanoseconds as seconds, exactly: 0.0000625. */
static void add_seconds(struct fg_buffer *page, uint64_t ns)
{
    fg_buffer_add_decimal(page, ns / 1000000000);
    uint64_t rest = ns % 1000000000;
    if (rest == 0) {
        return;
    }
    fg_buffer_add_byte(page, '.');
    for (uint64_t divisor = 100000000; rest > 0; divisor /= 10) {
        fg_buffer_add_byte(page, (char)('0' + rest / divisor));
        rest %= divisor;
    }
}

static void add_bound(struct fg_buffer *page, unsigned bucket)
{
    if (bucket + 1 == FG_HISTOGRAM_BUCKETS) {
        fg_buffer_add_string(page, "+Inf");
    } else {
        add_seconds(page, fg_histogram_bound_ns(bucket));
    }
}

/* Buckets are cumulative; the counts are those of one reading, so the last equals _count. */
static void render_histogram(struct fg_buffer *page, const struct fg_metric *family,
                             struct fg_text labels, const struct fg_histogram *histogram)
{
    uint64_t below = 0;
    for (unsigned i = 0; i < FG_HISTOGRAM_BUCKETS; i++) {
        below += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        fg_buffer_add_string(page, family->name);
        fg_buffer_add_string(page, "_bucket{");
        fg_buffer_add_text(page, labels);
        fg_buffer_add_string(page, labels.length > 0 ? ",le=\"" : "le=\"");
        add_bound(page, i);
        fg_buffer_add_string(page, "\"} ");
        fg_buffer_add_decimal(page, below);
        fg_buffer_add_byte(page, '\n');
    }
    add_name(page, family->name, "_sum", labels);
    add_seconds(page, atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed));
    fg_buffer_add_byte(page, '\n');
    add_name(page, family->name, "_count", labels);
    fg_buffer_add_decimal(page, below);
    fg_buffer_add_byte(page, '\n');
}

void fg_metrics_histogram(struct fg_buffer *page, const struct fg_metric *family,
                          const char *labels, const struct fg_histogram *histogram)
{
    render_histogram(page, family, fg_text_of(labels), histogram);
}

static void render_number(struct fg_buffer *page, const struct fg_metric *family,
                          struct fg_text labels, uint64_t sum)
{
    add_name(page, family->name, "", labels);
    if (family->type == FG_GAUGE) {
        add_signed(page, (int64_t)sum);
    } else {
        fg_buffer_add_decimal(page, sum);
    }
    fg_buffer_add_byte(page, '\n');
}

static void render_cell(struct fg_buffer *page, const struct fg_metric *family,
                        struct fg_metrics_block *const *blocks, size_t count, unsigned index,
                        unsigned value)
{
    char memory[LABELS_BYTES];
    struct fg_buffer labels = fg_buffer_over(memory, sizeof memory);
    if (family->second_label != NULL) {
        unsigned seconds = count_values(family->second_values);
        if (fg_metrics_sum(blocks, count, index, value) == 0) {
            return;
        }
        fg_metrics_label(&labels, family->label, fg_text_of(family->values[value / seconds]));
        fg_metrics_label(&labels, family->second_label,
                         fg_text_of(family->second_values[value % seconds]));
    } else if (family->label != NULL) {
        fg_metrics_label(&labels, family->label, fg_text_of(family->values[value]));
    }
    assert(!labels.overflowed);
    if (family->type != FG_HISTOGRAM) {
        render_number(page, family, fg_buffer_text(&labels),
                      fg_metrics_sum(blocks, count, index, value));
        return;
    }
    struct fg_histogram sum = { 0 };
    for (size_t i = 0; i < count; i++) {
        fg_histogram_merge(&sum, cell_at(blocks[i], index, value));
    }
    render_histogram(page, family, fg_buffer_text(&labels), &sum);
}

void fg_metrics_render(const struct fg_metrics_layout *layout,
                       struct fg_metrics_block *const *blocks, size_t count, struct fg_buffer *page)
{
    for (unsigned i = 0; i < layout->count; i++) {
        const struct fg_metric *family = &layout->families[i];
        if (is_rendered_by_caller(family)) {
            continue;
        }
        fg_metrics_begin(page, family);
        for (unsigned value = 0; value < layout->places[i].cells; value++) {
            render_cell(page, family, blocks, count, i, value);
        }
    }
}
