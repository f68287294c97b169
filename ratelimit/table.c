/* table.c - see flashgate/ratelimit/table.h. */
#include "flashgate/ratelimit/table.h"
