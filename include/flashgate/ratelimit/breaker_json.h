/* breaker_json.h - a breaker as the admin interfaces show it, and the body that forces one. The gateway adds
 * which worker's it is. Any thread; never blocks.
 *
 *   {"id","guards","state","forced","mode","step","since_s",
 *    "window":{"calls","errors","slow"},
 *    "calls":{"good","error","slow","refused","would_refuse"},
 *    "transitions":{"closed","open","half_open"}} */
#ifndef FLASHGATE_RATELIMIT_BREAKER_JSON_H
#define FLASHGATE_RATELIMIT_BREAKER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/text.h"
#include "flashgate/ratelimit/breaker.h"

/* Appends one breaker. `forced` is what was asked for: the thread follows a moment later. */
void fg_breaker_add_json(struct fg_buffer *out, const char *id, const char *guards,
                         enum fg_breaker_force forced, const struct fg_breaker_view *view,
                         uint64_t now_ns);

/* Reads {"to":"open|closed|observe|automatic"}, and nothing else. */
bool fg_breaker_read_force(struct fg_text json, enum fg_breaker_force *force_r) FG_MUST_CHECK;

#endif
