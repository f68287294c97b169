/* breaker.c - see flashgate/ratelimit/breaker.h. */
#include "flashgate/ratelimit/breaker.h"
