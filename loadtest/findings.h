/* findings.h - what the audit found wrong: counted by kind, a few examples of each in words. */
#ifndef FLASHGATE_LOADTEST_FINDINGS_H
#define FLASHGATE_LOADTEST_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/text.h"
#include "store.h"

/* X(name in C, what the reader is told) */
#define FG_FINDINGS(X)                                                        \
    X(OVERSOLD, "more units sold than there were")                            \
    X(LOST, "an order that a shopper was told of is missing")                 \
    X(DUPLICATED, "one press of buy became two orders, or one order two")     \
    X(OVER_LIMIT, "a shopper has more units than the limit allows")           \
    X(PHANTOM, "an order in the books that nobody was told of")               \
    X(REFUSED_BUT_SOLD, "a refused shopper has an order all the same")        \
    X(CHANGED_REPLAY, "an answer told again differs from the first one")      \
    X(DENIED_REPLAY, "a shopper with an order was refused when asking again") \
    X(WRONG_REFUSAL, "a shopper was refused though nothing stood against it") \
    X(UNRESOLVED, "a shopper never learnt what became of the order")          \
    X(BOOKS_DIFFER, "the books do not agree with each other")                 \
    X(WRONG_ANSWER, "nonsense was not answered as it should be")              \
    X(UNEXPECTED_ANSWER, "a proper request got an answer it should never get")

enum fg_finding {
#define FG_FINDING_ENUM(name, text) FG_FINDING_##name,
    FG_FINDINGS(FG_FINDING_ENUM)
#undef FG_FINDING_ENUM
    FG_FINDING_KINDS
};

enum {
    FG_FINDING_EXAMPLES = 5
};

struct fg_findings {
    uint64_t counts[FG_FINDING_KINDS];
    struct fg_text examples[FG_FINDING_KINDS][FG_FINDING_EXAMPLES];
    uint64_t units, sold, units_oversold;
    struct fg_store store;
};

/* `what` and so on become an example while there are few. */
void fg_findings_add(struct fg_findings *findings, enum fg_finding kind, const char *what, ...)
    FG_PRINTF(3, 4);
bool fg_findings_are_good(const struct fg_findings *findings);
const char *fg_finding_text(enum fg_finding kind);
void fg_findings_free(struct fg_findings *findings);

#endif
