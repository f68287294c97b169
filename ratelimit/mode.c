/* mode.c - see flashgate/ratelimit/mode.h. */
#include "flashgate/ratelimit/mode.h"

#include <stddef.h>

const char *const fg_mode_words[] = { "enforce", "shadow", "off", NULL };
