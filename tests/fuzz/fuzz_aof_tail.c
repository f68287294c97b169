/* fuzz_aof_tail.c - any bytes as an append-only file: what is whole of it lies inside, and is whole by itself. */
#include "fuzz.h"

#include <stdio.h>

#include "inventory/aof_tail.h"

static enum fg_result find(const uint8_t *bytes, size_t length, uint64_t *whole_r)
{
    struct fg_error error;
    FILE *file = fmemopen((void *)(uintptr_t)bytes, length, "r");
    MUST(file != NULL);
    enum fg_result result = aof_tail_find(file, whole_r, &error);
    (void)fclose(file);
    MUST(result == FG_OK || result == FG_INVALID);
    MUST(*whole_r <= length);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    uint64_t whole, again;
    if (length == 0)
        return 0;
    (void)find(bytes, length, &whole);
    if (whole == 0)
        return 0;
    MUST(find(bytes, whole, &again) == FG_OK);
    MUST(again == whole);
    return 0;
}
