/* report.h - what became of a sale, as one JSON document: from its ledger while it is in Redis, from its archive
 * after that. Reads only; blocks.
 *
 * {"sale","source":"ledger"|"archive","file","made_at","hold","late_payment","opens_at","closes_at",
 *  "skus":[{"sku","bucket","epoch","state","per_user",UNITS,ORDERS}],"totals":{UNITS,ORDERS},
 *  "timeline":{"step_s","points":[{"at","made","held","confirmed","cancelled","expired","reclaimed","free"}]},
 *  "differences":[…],"dead_letters":N,"dropped":N,"delivery":[{"sink","type","waiting"}]}
 * UNITS: total, free, held, sold, opened, added, resolved. ORDERS: made, held, confirmed, cancelled, expired (as they
 * stand), returned, reclaimed (how often it happened). A point counts orders, `free` units at its end. */
#ifndef FLASHGATE_RELAY_REPORT_H
#define FLASHGATE_RELAY_REPORT_H

#include <stdatomic.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"
#include "relay_options.h"

/* `name`: a sale's; or, where it `is_archive`, as relay_archive_find takes it, and Redis is not asked. *json_r is
 * allocated. FG_NOT_FOUND: neither in Redis nor archived. */
enum fg_result relay_report_make(const struct relay_options *options, const char *name,
                                 bool is_archive, const atomic_bool *is_cancelled, char **json_r,
                                 struct fg_text *text_r, struct fg_error *error) FG_MUST_CHECK;

#endif
