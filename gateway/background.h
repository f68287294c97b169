/* background.h - the one thread of the gateway that may wait for Redis: it watches the embedded server, polls
 * the catalogue five times a second and hands new snapshots to the workers, reads the stock once a second,
 * and runs the jobs that admin requests are made of.
 *
 * Jobs go in through a bounded queue and come back to the control thread through its ring. */
#ifndef FLASHGATE_GATEWAY_BACKGROUND_H
#define FLASHGATE_GATEWAY_BACKGROUND_H

#include "flashgate/inventory/catalogue.h"
#include "flashgate/ring/ring.h"

#include "gateway.h"

struct background;

struct background_view { /* what a job may use, on the background thread */
    struct fg_redis *redis;
    struct fg_catalogue *catalogue; /* never NULL */
    struct gateway *gateway;
};

enum {
    BACKGROUND_ORDERS_MAX = 1000 /* of jobs that are run together */
};

struct background_job { /* embedded in the job; owned by whoever submitted it */
    /* A job that settles orders is run with all that wait and do the same: `jobs` is their list by `next`, with at
     * most BACKGROUND_ORDERS_MAX orders. Any other is alone, and the catalogue is polled after it. */
    void (*run)(struct background_job *jobs, const struct background_view *view);
    void (*done)(struct background_job *job); /* on the control thread */
    unsigned orders;                          /* 0: it settles none */
    struct background_job *next;
};

/* Blocks: with `redis: embedded`, until the server runs. The thread starts with background_run. */
enum fg_result background_open(struct gateway *gateway, struct background **background_r,
                               struct fg_error *error) FG_MUST_CHECK;
/* Starts the thread; `control` is woken when a job is done. */
enum fg_result background_run(struct background *background, struct fg_ring *control,
                              struct fg_error *error) FG_MUST_CHECK;
/* Ends the thread after the jobs it has. */
void background_stop(struct background *background);
/* After background_stop: stops the embedded server, frees. */
void background_close(struct background **background);

/* Control thread. False when the queue is full or the thread stops: the job stays the caller's. */
bool background_submit(struct background *background, struct background_job *job) FG_MUST_CHECK;
/* Control thread, when woken: calls `done` of every finished job. */
void background_finish_jobs(struct background *background);

struct stock_row {
    char sale[FG_NAME_BYTES + 1], sku[FG_NAME_BYTES + 1];
    struct fg_stock_books books;
};
/* The stock as last read; not the workers' threads: takes a lock. */
void background_each_stock(struct background *background,
                           void (*each)(const struct stock_row *row, void *argument),
                           void *argument);
/* What is wrong with Redis, as a sentence; "" when nothing is. Not the workers' threads. */
void background_problem(struct background *background, char *text, size_t bytes);
bool background_is_adopted(const struct background *background);

#endif
