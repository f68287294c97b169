/* unit.h - what every unit test needs: cmocka with its includes, and numbers that are random to the
 * code but the same in every run. */
#ifndef FLASHGATE_TESTS_UNIT_UNIT_H
#define FLASHGATE_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* splitmix64 (Steele, Lea & Flood, 2014). */
static inline uint64_t unit_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#endif
