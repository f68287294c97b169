/* metrics.h - Prometheus metrics, declared once in tables.
 *
 * A table of `struct fg_metric` declares a module's families: name, type, help, the label's key and
 * its fixed values. A block of cells is one thread's own copy: only that thread writes it (relaxed
 * stores, no lock), any thread may read it; a page is rendered by summing the cells of all blocks.
 * Families with label values that come from the catalogue are rendered by the caller with
 * fg_metrics_begin and fg_metrics_sample, from the same table row. The docs are checked against
 * these tables. */
#ifndef FLASHGATE_BASE_METRICS_H
#define FLASHGATE_BASE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/histogram.h"

enum fg_metric_type {
    FG_COUNTER,
    FG_GAUGE,
    FG_HISTOGRAM
};

struct fg_metric {
    const char *name; /* flashgate_…, ends in _total, _seconds, _bytes as the conventions say */
    enum fg_metric_type type;
    const char *help;
    const char *label; /* NULL: no label */
    const char *const
        *values; /* the label's fixed values, ended by NULL; NULL: rendered by the caller */
    /* A second label with fixed values; a cell is then values × second values, the second one the
     * faster (fg_metrics_pair), and samples that are zero are left out of the page. */
    const char *second_label;
    const char *const *second_values;
};

/* The cell of a family with two labels. */
unsigned fg_metrics_pair(const struct fg_metric *family, unsigned value, unsigned second);

struct fg_metrics_layout; /* where each family's cells lie in a block */

/* `families` must outlive the layout. The caller frees it with fg_metrics_layout_free. */
struct fg_metrics_layout *fg_metrics_layout_new(const struct fg_metric *families, size_t count);
void fg_metrics_layout_free(struct fg_metrics_layout **layout);

struct fg_metrics_block; /* one thread's cells, cache aligned */
struct fg_metrics_block *fg_metrics_block_new(const struct fg_metrics_layout *layout);
void fg_metrics_block_free(struct fg_metrics_block **block);

/* Writers: the owning thread only. `family` is the row's index, `value` the index into its values
 * (0 without a label). Never block, never allocate. */
void fg_metrics_add(struct fg_metrics_block *block, unsigned family, unsigned value, uint64_t n);
void fg_metrics_set(struct fg_metrics_block *block, unsigned family, unsigned value, int64_t to);
void fg_metrics_observe(struct fg_metrics_block *block, unsigned family, unsigned value,
                        uint64_t duration_ns);
/* Readers: any thread. */
uint64_t fg_metrics_sum(struct fg_metrics_block *const *blocks, size_t count, unsigned family,
                        unsigned value);

/* Renders every family with fixed values (zero samples included), in the table's order. */
void fg_metrics_render(const struct fg_metrics_layout *layout,
                       struct fg_metrics_block *const *blocks, size_t count,
                       struct fg_buffer *page);
/* For families rendered by the caller: HELP and TYPE lines, then samples. `labels` is already in
 * the form key="value",… (see fg_metrics_label) or NULL. */
void fg_metrics_begin(struct fg_buffer *page, const struct fg_metric *family);
void fg_metrics_sample(struct fg_buffer *page, const struct fg_metric *family, const char *labels,
                       double value);
void fg_metrics_histogram(struct fg_buffer *page, const struct fg_metric *family,
                          const char *labels, const struct fg_histogram *histogram);
/* Appends key="escaped value", with a comma before it if `labels` is not empty. */
void fg_metrics_label(struct fg_buffer *labels, const char *key, struct fg_text value);

#endif
