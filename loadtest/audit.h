/* audit.h - the verdict: what shoppers were told, against the books. Pure.
 *
 * The eight invariants, seen from outside: the counters add up, nothing is sold twice or beyond the stock,
 * what a shopper was told is in every book exactly once, nothing else is, nobody is above the limit,
 * every unknown outcome was resolved, a refusal used no stock, an answer told again is the same. */
#ifndef FLASHGATE_LOADTEST_AUDIT_H
#define FLASHGATE_LOADTEST_AUDIT_H

#include "books.h"
#include "findings.h"
#include "record.h"
#include "sale.h"

struct fg_evidence {
    const struct fg_sale *sale;
    const struct fg_record *record;
    const struct fg_books *books;
    bool is_shared; /* others bought in this sale too: their orders are not judged */
};

/* One row of the report's table of books: units of one SKU, as each source has them. */
struct fg_sku_units {
    int64_t total, free, taken; /* the counters; taken: held + sold */
    uint64_t units[FG_SOURCES]; /* of orders that are alive */
};

/* Fills a zeroed `findings`. `units_r` has a row for each SKU. */
void fg_audit(const struct fg_evidence *evidence, struct fg_findings *findings,
              struct fg_sku_units *units_r);

#endif
