/* admin.h - asking the admin sockets, and turning what comes back into a document or a sentence.
 *
 * All gateways share one Redis, so any of them may answer for all. A question goes to the next gateway
 * when one is silent; a change only when one cannot be connected to, for a change that was sent may have
 * happened. Every call blocks, at most its time. Documents are the caller's (json_decref). */
#ifndef FLASHGATE_CTL_ADMIN_H
#define FLASHGATE_CTL_ADMIN_H

#include <jansson.h>

#include "ctl.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"

enum {
    FG_ADMIN_TARGET_BYTES = 1024,
    FG_ADMIN_SECONDS = 10,
    FG_ADMIN_AUDIT_SECONDS = 300, /* it reads whole ledgers */
};

struct fg_admin_change {
    const char *target;
    const char *content_type; /* NULL: without body */
    struct fg_text body;
    const char
        *check; /* a sentence: how to find out whether it happened; NULL: it changes nothing */
};

/* What one server said. */
struct fg_admin_answer {
    const char *address; /* NULL: it was not asked */
    enum fg_result result;
    json_t *document; /* a refusal's too; NULL: it said nothing */
    struct fg_error error;
};

/* One GET to one address. FG_REFUSED or FG_NOT_FOUND with the server's own words; FG_UNREACHABLE with
 * "ADDRESS: why". */
enum fg_result fg_admin_ask(const struct fg_ctl *ctl, const char *address, const char *target,
                            unsigned seconds, json_t **document_r,
                            struct fg_error *error) FG_MUST_CHECK;
/* One GET (change NULL) or POST to answer->address; the rest of *answer must be 0. The document is the
 * caller's. */
void fg_admin_call(const struct fg_ctl *ctl, const char *target,
                   const struct fg_admin_change *change, unsigned seconds,
                   struct fg_admin_answer *answer);
/* One GET, to the first gateway that answers. With --json a refusal's document is printed. */
enum fg_result fg_admin_read(const struct fg_ctl *ctl, const char *target, unsigned seconds,
                             json_t **document_r, struct fg_error *error) FG_MUST_CHECK;
/* As fg_admin_read, but a POST, that must change nothing. */
enum fg_result fg_admin_consult(const struct fg_ctl *ctl, const struct fg_admin_change *question,
                                json_t **document_r, struct fg_error *error) FG_MUST_CHECK;
/* One POST, to the first gateway that can be connected to; where there are several, prints which one took
 * it. FG_UNKNOWN: it may have happened. */
enum fg_result fg_admin_change(const struct fg_ctl *ctl, const struct fg_admin_change *change,
                               json_t **document_r, struct fg_error *error) FG_MUST_CHECK;

/* Ends a verb: prints the document, with --json as it is, and takes it from the caller. */
void fg_admin_deliver(const struct fg_ctl *ctl, json_t *document,
                      void (*print)(const struct fg_ctl *ctl, const json_t *document));
/* A whole verb: reads what `pattern` and `values` name (fg_admin_target), and delivers it. */
enum fg_result fg_admin_show(const struct fg_ctl *ctl, const char *pattern,
                             const char *const *values,
                             void (*print)(const struct fg_ctl *ctl, const json_t *document),
                             struct fg_error *error) FG_MUST_CHECK;

/* "/admin/v1/sales/%s/pause": every %s becomes the next of `words`, percent-encoded. FG_INVALID when it
 * is too long. */
enum fg_result fg_admin_target(char target[FG_ADMIN_TARGET_BYTES], const char *pattern,
                               const char *const *words, struct fg_error *error) FG_MUST_CHECK;

#endif
