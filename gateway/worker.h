/* worker.h - one thread that serves shoppers: a ring, a server, an inventory, a catalogue snapshot. */
#ifndef FLASHGATE_GATEWAY_WORKER_H
#define FLASHGATE_GATEWAY_WORKER_H

#include "flashgate/base/metrics.h"
#include "flashgate/http/server.h"
#include "flashgate/inventory/inventory.h"

#include "admission.h"
#include "gateway.h"
#include "settings.h"

struct worker;
struct history_question;

/* Starts the thread and waits until it listens. `listeners` are taken over, and `settings` are held. */
enum fg_result worker_start(struct gateway *gateway, unsigned index, const int *listeners,
                            unsigned listener_count, const char *redis_password,
                            struct settings *settings, struct worker **worker_r,
                            struct fg_error *error) FG_MUST_CHECK;
/* Hands over a snapshot; the worker takes its own reference. Any thread but workers. */
void worker_publish(struct worker *worker, struct fg_catalogue *catalogue);
/* The same with settings; control thread. */
void worker_publish_settings(struct worker *worker, struct settings *settings);
/* Something in struct gateway changed: look. Any thread. */
void worker_wake(struct worker *worker);
/* An answer to a question of this worker's (history.h). History's thread. */
void worker_take_history(struct worker *worker, struct history_question *question);
/* True once the thread has nothing left and is about to end. */
bool worker_has_ended(const struct worker *worker);
void worker_join(struct worker *worker);
void worker_free(struct worker **worker); /* after worker_join */

/* For the handlers, on the worker's thread. */
struct gateway *worker_gateway(const struct worker *worker);
struct fg_inventory *worker_inventory(const struct worker *worker);
struct fg_catalogue *worker_catalogue(const struct worker *worker); /* never NULL */
bool worker_has_catalogue(const struct worker *worker); /* false until the first one came */
const struct gateway_options *worker_options(const struct worker *worker); /* as reloaded last */
/* What orders carry: its blocks, and how its sections are sealed now. */
struct order_carried *worker_carried(struct worker *worker);
const struct order_seal *worker_seal(const struct worker *worker);
struct admission *worker_admission(struct worker *worker);
struct fg_metrics_block *worker_metrics(const struct worker *worker);
struct worker *worker_of(const struct fg_http_request *request);

/* For metrics and status; any thread, while the worker is not freed. */
const struct fg_ring_counts *worker_ring_counts(const struct worker *worker);
const struct fg_http_counts *worker_http_counts(const struct worker *worker);
const struct fg_breaker_view *worker_breaker(const struct worker *worker);
uint64_t worker_carried_orders(const struct worker *worker);
const struct fg_concurrency_view *worker_concurrency(const struct worker *worker);
uint64_t worker_catalogue_generation(const struct worker *worker);
uint64_t worker_config_generation(const struct worker *worker);
unsigned worker_index(const struct worker *worker);

#endif
