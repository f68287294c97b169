/* gateway_metrics.h - every metric of the gateway, declared once; the page is made from the table. */
#ifndef FLASHGATE_GATEWAY_METRICS_H
#define FLASHGATE_GATEWAY_METRICS_H

#include <stdio.h>

#include "flashgate/base/metrics.h"

struct fg_settlement;
struct gateway;

/* The families whose cells the workers write themselves. */
enum gateway_metric {
    METRIC_REQUESTS,
    METRIC_REQUEST_SECONDS,
    METRIC_PURCHASES,
    METRIC_SETTLEMENTS, /* the control thread has a block too, for those of the admin API */
    METRIC_COUNT
};

struct fg_metrics_block *gateway_metrics_block_new(void);
/* The cell of METRIC_REQUESTS: `route` as in public_route_labels, `problem` 0 for an answer of 2xx. */
unsigned gateway_request_cell(unsigned route, unsigned problem);
void gateway_count_settlement(struct fg_metrics_block *block,
                              const struct fg_settlement *settlement);

enum {
    GATEWAY_PAGE_BYTES = 16 << 20
};
/* Control thread. `page` of GATEWAY_PAGE_BYTES. */
void gateway_metrics_render(const struct gateway *gateway, struct fg_buffer *page);
/* What requests to buy were answered since the program began, by code ("ok": 2xx), without those that never were. */
void gateway_metrics_each_answer(const struct gateway *gateway,
                                 void (*each)(void *context, const char *code, uint64_t count),
                                 void *context);
/* The tables themselves, for docs and checks: name, type, help. */
void gateway_metrics_print(FILE *out);

#endif
