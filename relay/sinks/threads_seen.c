/* threads_seen.c - shows ThreadSanitizer the threads of librdkafka; in its builds alone.
 *
 * librdkafka uses the threads of <threads.h>, which ThreadSanitizer does not intercept: the first call of ours from such
 * a thread would crash. Here they are made of POSIX threads, which it knows; in glibc both have the same type, and a
 * program's own functions come before those of a library. What librdkafka does by itself is passed over: its atomics and
 * mutexes cannot be seen. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

const char *__tsan_default_suppressions(void); /* ThreadSanitizer asks for it */

const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:librdkafka.so.1\n";
}

struct start {
    thrd_start_t run;
    void *argument;
};

static void *begin(void *start_at)
{
    struct start start = *(struct start *)start_at;
    free(start_at);
    return (void *)(intptr_t)start.run(start.argument);
}

int thrd_create(thrd_t *thread_r, thrd_start_t run, void *argument)
{
    struct start *start = malloc(sizeof *start);
    if (start == NULL)
        return thrd_nomem;
    *start = (struct start){ run, argument };
    if (pthread_create(thread_r, NULL, begin, start) == 0)
        return thrd_success;
    free(start);
    return thrd_error;
}

int thrd_join(thrd_t thread, int *result_r)
{
    void *result;
    if (pthread_join(thread, &result) != 0)
        return thrd_error;
    if (result_r != NULL)
        *result_r = (int)(intptr_t)result;
    return thrd_success;
}
