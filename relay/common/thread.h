/* thread.h - a thread that works, rests and can be told to end: what sweeper and auditor have in common.
 *
 * Start, stop and join belong to one owner; rest and is_stopping to the thread itself. */
#ifndef FLASHGATE_RELAY_THREAD_H
#define FLASHGATE_RELAY_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"

struct relay_thread {
    pthread_t thread;
    pthread_mutex_t lock; /* for is_stopping */
    pthread_cond_t roused;
    bool is_stopping, is_running;
};

/* All signals are blocked in it: they are the control thread's. False: there is no thread. */
bool relay_thread_start(struct relay_thread *thread, void *(*run)(void *owner),
                        void *owner) FG_MUST_CHECK;
void relay_thread_stop(struct relay_thread *thread); /* asks; never blocks */
void relay_thread_join(struct relay_thread *thread); /* after stop; harmless if it never ran */

bool relay_thread_is_stopping(struct relay_thread *thread);
/* Until then by the steady clock, or the stop. False: it is to end. */
bool relay_thread_rest(struct relay_thread *thread, uint64_t until_ns);

#endif
