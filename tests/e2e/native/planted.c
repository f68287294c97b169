/* planted.c - the faults that a sanitizer must find: a leak, a race, a read after free, an overflow. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *volatile kept;
static int shared;

static void *race(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100000; i++)
        shared++;
    return NULL;
}

static void leak(void)
{
    kept = malloc(4321);
    kept = NULL;
}

static int read_freed(void)
{
    char *at = calloc(1, 16);
    kept = at;
    free(at);
    return ((volatile char *)kept)[3];
}

int main(int argc, char **argv)
{
    const char *fault = argc > 1 ? argv[1] : "none";
    if (strcmp(fault, "leak") == 0) {
        leak();
    } else if (strcmp(fault, "race") == 0) {
        pthread_t one, two;
        pthread_create(&one, NULL, race, NULL);
        pthread_create(&two, NULL, race, NULL);
        pthread_join(one, NULL);
        pthread_join(two, NULL);
    } else if (strcmp(fault, "freed") == 0) {
        (void)read_freed();
    } else if (strcmp(fault, "overflow") == 0) {
        int large = 2147483647;
        large += argc;
        return large == 0;
    }
    puts(fault);
    return 0;
}
