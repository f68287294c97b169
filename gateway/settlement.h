/* settlement.h - how a settled order reads: as a word for lists and metrics, and as a refusal for who asked. */
#ifndef FLASHGATE_GATEWAY_SETTLEMENT_H
#define FLASHGATE_GATEWAY_SETTLEMENT_H

#include "flashgate/http/server.h"
#include "flashgate/inventory/settle.h"

extern const char *const settlement_verb_words[]; /* in the enum's order, ended by NULL */
/* fg_settle_words, then one for each way in which Redis did not decide; ended by NULL. */
extern const char *const settlement_outcome_words[];
unsigned settlement_outcome(const struct fg_settlement *settlement); /* an index of them */

/* DONE or ALREADY: it is as was asked for. */
bool settlement_is_good(const struct fg_settlement *settlement);
/* Whether `found` says something that the one who asked may know. */
bool settlement_has_order(const struct fg_settlement *settlement);
/* Of one that is not good: the problem, and a sentence that says why. */
enum fg_problem settlement_problem(const struct fg_settlement *settlement,
                                   struct fg_buffer *detail);
/* Answers with it; the order's status and the outcome are extension members. */
void settlement_refuse(struct fg_http_request *request, const struct fg_settlement *settlement);

#endif
