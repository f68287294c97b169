/* concurrency.c - see flashgate/ratelimit/concurrency.h. */
#include "flashgate/ratelimit/concurrency.h"
