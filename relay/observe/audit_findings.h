/* audit_findings.h - the differences that are open now, and since when.
 *
 * An auditor looks at one subject after the other (the books of a bucket, a bucket in a sink), again and again.
 * What it meets in a look is told to the list; what it does not meet again is gone. A finding counts as agreed on
 * when two consecutive looks met the very same one: kind, subject and mark. An amount may change from look to look
 * (whatever makes the difference goes on making it); then three looks in a row must have met one of its kind.
 *
 *   (nothing) ──met──► new: logged once ──met again──► agreed: freezes, if its kind does
 *        ▲                      │                         │
 *        └──── a look that does not meet it, or a resolve ┘
 *
 * The auditor's thread changes the list; any thread may read it as JSON. Bounded: what there is no room for is
 * neither counted nor shown; but what freezes takes the place of something that does not. */
#ifndef FLASHGATE_RELAY_AUDIT_FINDINGS_H
#define FLASHGATE_RELAY_AUDIT_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/buffer.h"
#include "flashgate/inventory/names.h"

enum {
    RELAY_FINDING_TEXT_BYTES = 256,
    RELAY_FINDING_MARKS = 5,
    RELAY_FINDINGS_OF_SUBJECT = 16,
    RELAY_FINDINGS_MAX = 1024,
};

/* X(name in C, word in metrics and logs, whether it freezes when looks agree, whether its marks are amounts) */
/* clang-format off */
#define RELAY_FINDING_KINDS(X)                                                                                        \
    X(BALANCE,      "balance",      true,  true)  /* total is not free + held + sold */                               \
    X(COUNTERS,     "counters",     true,  true)  /* they are not what the ledger says */                             \
    X(LEDGER_GAP,   "ledger_gap",   true,  true)  /* it has another number of entries than were read */               \
    X(LEDGER_BACK,  "ledger_back",  true,  false) /* the last entry that was read is not in it any more */            \
    X(UNREADABLE,   "unreadable",   false, false) /* an entry cannot be understood: maybe a newer program */          \
    X(CLOSED,       "closed",       false, false) /* a part of the books is missing: nothing is sold */               \
    X(SINK_MISSING, "sink_missing", false, false) /* acknowledged, and not there */                                   \
    X(SINK_UNKNOWN, "sink_unknown", true,  false) /* there, and in no ledger */                                       \
    X(SINK_DIFFERS, "sink_differs", false, false) /* ledger and sink say something else of an event */
/* clang-format on */

enum relay_finding_kind {
#define RELAY_FINDING_ENUM(name, word, freezes, amounts) RELAY_FINDING_##name,
    RELAY_FINDING_KINDS(RELAY_FINDING_ENUM)
#undef RELAY_FINDING_ENUM
    RELAY_FINDING_KIND_COUNT
};
extern const char *const relay_finding_words[]; /* in the enum's order, ended by NULL */
bool relay_finding_freezes(enum relay_finding_kind kind);

/* What a look is at. */
struct relay_subject {
    uint32_t bucket;
    const char *sink; /* its id, compared by address; NULL: the books themselves */
};

struct relay_finding {
    enum relay_finding_kind kind;
    struct relay_subject subject;
    int64_t
        marks[RELAY_FINDING_MARKS]; /* what makes it the same one: amounts, or the ledger's entry */
    char sale[FG_NAME_BYTES + 1], sku[FG_NAME_BYTES + 1];
    char text[RELAY_FINDING_TEXT_BYTES];
    int64_t since_ms;
    unsigned looks;    /* consecutive ones that met it */
    unsigned in_a_row; /* consecutive ones that met one of its kind, whatever the amounts */
    bool is_met;       /* in the look that goes on */
};

enum relay_meeting {
    RELAY_MET_NO_ROOM,
    RELAY_MET_NEW,
    RELAY_MET_AGAIN, /* with other amounts */
    RELAY_MET_AGREED,
};

struct relay_findings;

struct relay_findings *relay_findings_new(void); /* NULL without memory */
void relay_findings_free(struct relay_findings **findings);

/* --- the auditor's thread --------------------------------------------------------------------------- */
/* A look ends with `looked`, or never: one that could not be finished proves nothing. */
void relay_findings_look(struct relay_findings *findings, struct relay_subject subject);
enum relay_meeting relay_findings_meet(struct relay_findings *findings,
                                       const struct relay_finding *met, int64_t now_ms);
void relay_findings_looked(struct relay_findings *findings, struct relay_subject subject);
/* Of the bucket, in books and sinks: it was resolved, or is gone. */
void relay_findings_forget(struct relay_findings *findings, uint32_t bucket);
/* Those of a subject, in no order; at most RELAY_FINDINGS_OF_SUBJECT. They hold until the next change. */
size_t relay_findings_of(const struct relay_findings *findings, struct relay_subject subject,
                         const struct relay_finding *found[RELAY_FINDINGS_OF_SUBJECT]);
uint64_t relay_findings_count(const struct relay_findings *findings, enum relay_finding_kind kind);

/* --- any thread ------------------------------------------------------------------------------------- */
/* "differences":[{"kind":…,"sale":…,"sku":…,"sink":…,"text":…,"since_ms":…,"agreed":…},…] */
void relay_findings_add_json(struct relay_findings *findings, struct fg_buffer *out);

#endif
