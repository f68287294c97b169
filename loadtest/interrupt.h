/* interrupt.h - SIGINT and SIGTERM, counted: the first asks for an orderly end, the second for a quick one.
 *
 * For the main thread of a program with one thread. SIGPIPE is ignored on the way. */
#ifndef FLASHGATE_LOADTEST_INTERRUPT_H
#define FLASHGATE_LOADTEST_INTERRUPT_H

struct fg_ring;

enum {
    FG_EXIT_INTERRUPTED = 130
};

void fg_interrupt_install(void);
unsigned fg_interrupt_count(void);
/* While a ring turns, an interrupt wakes it; NULL: none. Other waits end by EINTR. */
void fg_interrupt_wakes(struct fg_ring *ring);
/* Sleeps for at most that long; an interrupt ends it. */
void fg_interrupt_sleep_ms(unsigned milliseconds);

#endif
