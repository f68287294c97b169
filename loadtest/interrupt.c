#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "flashgate/ring/ring.h"

static atomic_uint interrupts;
static _Atomic(struct fg_ring *) sleeping_ring;

static void interrupted(int signal_number)
{
    (void)signal_number;
    int kept = errno;
    atomic_fetch_add(&interrupts, 1);
    struct fg_ring *ring = atomic_load(&sleeping_ring);
    if (ring != NULL)
        fg_ring_wake(ring);
    errno = kept;
}

void fg_interrupt_install(void)
{
    struct sigaction action = { .sa_handler = interrupted }; /* no SA_RESTART: waits must end */
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

unsigned fg_interrupt_count(void)
{
    return atomic_load(&interrupts);
}

void fg_interrupt_wakes(struct fg_ring *ring)
{
    atomic_store(&sleeping_ring, ring);
}

void fg_interrupt_sleep_ms(unsigned milliseconds)
{
    const struct timespec length = { .tv_sec = milliseconds / 1000,
                                     .tv_nsec = (long)(milliseconds % 1000) * 1000000 };
    (void)nanosleep(&length, NULL);
}
