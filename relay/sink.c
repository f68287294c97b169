/* sink.c - the kinds of sink. A new kind is a file with a table of calls, and a row here. */
#include "sink.h"

const struct relay_sink_calls *const relay_sinks[] = { &relay_sink_sqlite, NULL };
const char *const relay_sink_types[] = { "sqlite", NULL };
