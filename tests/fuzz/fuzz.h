/* fuzz.h - what libFuzzer calls, and an assertion that always counts. */
#ifndef FLASHGATE_TESTS_FUZZ_FUZZ_H
#define FLASHGATE_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

#endif
