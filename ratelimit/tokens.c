/* tokens.c - see flashgate/ratelimit/tokens.h. */
#include "flashgate/ratelimit/tokens.h"
