/* postgres_reader.h - reading events and orders back: struct relay_sink_calls' reader of PostgreSQL. A connection of its
 * own; each question is one snapshot, and no round trip takes longer than the settings' timeout. */
#ifndef FLASHGATE_RELAY_SINKS_POSTGRES_READER_H
#define FLASHGATE_RELAY_SINKS_POSTGRES_READER_H

#include "flashgate/relay/sink.h"

enum fg_result postgres_reader_open(const struct relay_sink_settings *settings,
                                    struct relay_sink_reader **reader_r, struct fg_error *error);
enum fg_result postgres_reader_start(struct relay_sink_reader *reader,
                                     const struct relay_origin *origin,
                                     struct fg_ledger_entry after, struct fg_ledger_entry upto,
                                     struct fg_error *error);
enum fg_result postgres_reader_next(struct relay_sink_reader *reader, struct relay_sink_row *row_r,
                                    bool *is_row_r, struct fg_error *error);
void postgres_reader_close(struct relay_sink_reader **reader);
enum fg_result postgres_reader_search(struct relay_sink_reader *reader,
                                      const struct relay_order_query *query,
                                      void (*each)(void *context,
                                                   const struct relay_order_row *row),
                                      void *context, struct fg_error *error);
enum fg_result postgres_reader_find(struct relay_sink_reader *reader, struct fg_text order,
                                    void (*made)(void *context, const struct relay_order_row *row),
                                    void (*each)(void *context,
                                                 const struct relay_history_row *row),
                                    void *context, struct fg_error *error);

#endif
