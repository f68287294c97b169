/* attributes.h - the few compiler attributes the code uses, under names that say what they are for.
 */
#ifndef FLASHGATE_BASE_ATTRIBUTES_H
#define FLASHGATE_BASE_ATTRIBUTES_H

#define FG_MUST_CHECK                  __attribute__((warn_unused_result))
#define FG_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define FG_CACHE_LINE_BYTES            64
#define FG_CACHE_ALIGNED               __attribute__((aligned(FG_CACHE_LINE_BYTES)))

/* For short functions on the purchase path: otherwise it depends on what else is linked into a program whether they are
 * inlined. */
#define FG_ALWAYS_INLINE static inline __attribute__((always_inline))

#define FG_COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* The object that holds `member`. */
#define FG_CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
