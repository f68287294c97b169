/* postgres_schema.h - the schema `flashgate` of a database: its version, and how it comes to be. */
#ifndef FLASHGATE_RELAY_SINKS_POSTGRES_SCHEMA_H
#define FLASHGATE_RELAY_SINKS_POSTGRES_SCHEMA_H

#include "postgres_link.h"

/* Creates what is not there. FG_INVALID when it is of a newer version, or not flashgate-relay's. */
enum fg_result postgres_schema_prepare(struct postgres_link *link,
                                       struct fg_error *error) FG_MUST_CHECK;

#endif
