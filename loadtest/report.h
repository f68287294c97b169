/* report.h - what a person reads at the end: who got what, how long it took, the books, the verdict. */
#ifndef FLASHGATE_LOADTEST_REPORT_H
#define FLASHGATE_LOADTEST_REPORT_H

#include <stdio.h>

#include "audit.h"
#include "record.h"

/* Outcomes of all presses with bars, and latencies from the press to the settled answer. */
void fg_report_crowd(const struct fg_record *record, FILE *out);
/* Units of each SKU in every source. */
void fg_report_books(const struct fg_sale *sale, const struct fg_sku_units *units, FILE *out);
/* What is wrong, with examples, and the last line: `verdict: …`. */
void fg_report_verdict(const struct fg_findings *findings, FILE *out);

enum {
    FG_COUNT_TEXT_BYTES = 32
};
/* 1234567 as "1 234 567"; returns `text`. */
const char *fg_count_text(uint64_t count, char text[FG_COUNT_TEXT_BYTES]);

#endif
