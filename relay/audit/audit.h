/* audit.h - compares the ledgers with the sinks, event by event, on demand.
 *
 * The order of looking makes it exact while delivery goes on: first what is acknowledged, then the sink (one
 * moment of it), then the ledger's last id, then the ledger. What is acknowledged must be in the sink, whatever
 * is in the sink must be in the ledger, and both must say the same. Runs in a thread of its own, one
 * audit at a time; changes nothing. */
#ifndef FLASHGATE_RELAY_AUDIT_H
#define FLASHGATE_RELAY_AUDIT_H

#include <stdbool.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"
#include "relay_options.h"

struct relay_audit;

/* `done` is called in the audit's thread when the result is there. NULL without memory. */
struct relay_audit *relay_audit_new(const struct relay_options *options,
                                    void (*done)(void *context), void *context);
/* Ends a running audit soon, and waits for it. */
void relay_audit_free(struct relay_audit **audit);
bool relay_audit_is_running(const struct relay_audit *audit);
/* Must not be running: asserted. */
enum fg_result relay_audit_start(struct relay_audit *audit, struct fg_error *error) FG_MUST_CHECK;
/* The result, once, after `done`; false before. `json_r` holds until the next start or free. */
bool relay_audit_take(struct relay_audit *audit, struct fg_text *json_r) FG_MUST_CHECK;

#endif
