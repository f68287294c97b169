/* check_connect.h - is everything that the config names good, and can it be reached? For who sets a relay up. */
#ifndef FLASHGATE_RELAY_CHECK_CONNECT_H
#define FLASHGATE_RELAY_CHECK_CONNECT_H

#include <stdio.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "relay_options.h"

/* What the sinks' settings say by themselves, the files they name included; asks nobody. FG_INVALID and its like. */
enum fg_result relay_check_sinks(const struct relay_options *options,
                                 struct fg_error *error) FG_MUST_CHECK;

/* Connects to Redis and opens and closes every sink, and what reads it back: a sink makes what it needs there, as when
 * the relay starts. One line each to `out`. FG_UNREACHABLE when one of them is not good. Blocks. */
enum fg_result relay_check_connect(const struct relay_options *options, FILE *out) FG_MUST_CHECK;

#endif
