/* crowd.h - runs a plan against gateways and fills the record: one thread, one ring.
 *
 * Presses go out when they are due. What ends without a settled answer is asked again with the same key
 * until it is settled or the crowd's patience ends (shopper.c). Blocks until every press has ended;
 * the first interrupt ends it early, with the record marked so. */
#ifndef FLASHGATE_LOADTEST_CROWD_H
#define FLASHGATE_LOADTEST_CROWD_H

#include "flashgate/base/error.h"
#include "lines.h"
#include "plan.h"
#include "record.h"
#include "sale.h"

enum {
    FG_CROWD_CONNECTIONS = 2000,
    FG_CROWD_CONNECTIONS_MAX = 60000
};

struct fg_crowd_settings {
    const struct fg_sale *sale;
    const struct fg_plan *plan;
    const char *const *gateways; /* "127.0.0.1:8080" */
    size_t gateway_count;        /* 1 ... FG_GATEWAYS */
    uint32_t connections;
    bool quiet; /* no progress line */
};

/* Adds to `record`, whose sale, prefix and seed the caller has set. FG_UNREACHABLE also when not one
 * request was answered. */
enum fg_result fg_crowd_run(const struct fg_crowd_settings *settings, struct fg_record *record,
                            struct fg_error *error) FG_MUST_CHECK;

#endif
