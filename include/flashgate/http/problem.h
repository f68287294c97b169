/* problem.h - every way an HTTP request is refused, in one table: status, code, title (RFC 9457).
 *
 * The table is the source for answers, metrics labels and docs. */
#ifndef FLASHGATE_HTTP_PROBLEM_H
#define FLASHGATE_HTTP_PROBLEM_H

#include "flashgate/base/buffer.h"
#include "flashgate/base/text.h"

/* X(name in C, status, code on the wire, title) */
#define FG_PROBLEMS(X)                                                                          \
    X(BAD_REQUEST, 400, "bad_request", "The request is malformed")                              \
    X(UNAUTHENTICATED, 401, "unauthenticated", "Nobody is signed in")                           \
    X(NOT_STARTED, 403, "not_started", "The sale has not started")                              \
    X(FORBIDDEN, 403, "forbidden", "Not allowed")                                               \
    X(NOT_FOUND, 404, "not_found", "There is nothing here")                                     \
    X(METHOD_NOT_ALLOWED, 405, "method_not_allowed", "This method is not served here")          \
    X(TIMEOUT, 408, "timeout", "The request took too long to arrive")                           \
    X(SOLD_OUT, 409, "sold_out", "Sold out")                                                    \
    X(LIMIT_REACHED, 409, "limit_reached", "The limit for each shopper is reached")             \
    X(ORDER_STATE, 409, "order_state", "The order's state does not allow this")                 \
    X(CONFLICT, 409, "conflict", "The change does not fit what is there")                       \
    X(ENDED, 410, "ended", "The sale is over")                                                  \
    X(PAYLOAD_TOO_LARGE, 413, "payload_too_large", "The body is too large")                     \
    X(UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type", "The body must be JSON")           \
    X(EXPECTATION_FAILED, 417, "expectation_failed", "This expectation cannot be met")          \
    X(BAD_QUANTITY, 422, "bad_quantity", "The quantity is not possible")                        \
    X(IDEMPOTENCY_MISMATCH, 422, "idempotency_mismatch", "The key was used for something else") \
    X(INVALID_DEFINITION, 422, "invalid_definition", "The definition is not valid")             \
    X(RATE_LIMITED, 429, "rate_limited", "Too many requests")                                   \
    X(HEADERS_TOO_LARGE, 431, "headers_too_large", "The header is too large")                   \
    X(INTERNAL, 500, "internal", "An error of the gateway")                                     \
    X(PAUSED, 503, "paused", "The sale is paused")                                              \
    X(FROZEN, 503, "frozen", "The books of this article are being checked")                     \
    X(BUSY, 503, "busy", "Nothing was bought; please try again")                                \
    X(BREAKER_OPEN, 503, "breaker_open", "The inventory is resting")                            \
    X(QUEUE_FULL, 503, "queue_full", "Too many orders wait for delivery")                       \
    X(OUTCOME_UNKNOWN, 503, "outcome_unknown", "The outcome is not known; ask again, same key")

enum fg_problem {
    FG_NO_PROBLEM = 0,
#define FG_PROBLEM_ENUM(name, status, code, title) FG_PROBLEM_##name,
    FG_PROBLEMS(FG_PROBLEM_ENUM)
#undef FG_PROBLEM_ENUM
    FG_PROBLEM_COUNT
};

int fg_problem_status(enum fg_problem problem);
const char *fg_problem_code(enum fg_problem problem);
const char *fg_problem_title(enum fg_problem problem);
/* {"type":"about:blank","title":…,"status":…,"code":…,"detail":…}; no detail when it is empty. */
void fg_problem_body(struct fg_buffer *body, enum fg_problem problem, struct fg_text detail);
/* The same with extension members: between the two come ,"name":value for each. */
void fg_problem_body_open(struct fg_buffer *body, enum fg_problem problem, struct fg_text detail);
void fg_problem_body_close(struct fg_buffer *body);
const char *fg_http_reason(int status);

#endif
