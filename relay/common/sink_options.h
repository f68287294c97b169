/* sink_options.h - an element of the list `sinks` of relay.yaml: its options, and which of them each kind of sink
 * needs and knows. */
#ifndef FLASHGATE_RELAY_SINK_OPTIONS_H
#define FLASHGATE_RELAY_SINK_OPTIONS_H

#include "flashgate/base/attributes.h"
#include "flashgate/base/config.h"
#include "flashgate/base/error.h"

/* For a MAP_LIST of struct relay_sink_settings. */
extern const struct fg_option relay_sink_option_fields[];

/* What the rows cannot say: every sink has what its kind needs and nothing that its kind does not know, and no two
 * sinks write to the same place. Takes the defaults of options that a kind does not know away. */
enum fg_result relay_sink_options_settle(const struct fg_config_source *source,
                                         const struct fg_config_list *sinks,
                                         struct fg_error *error) FG_MUST_CHECK;

#endif
