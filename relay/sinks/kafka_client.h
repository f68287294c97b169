/* kafka_client.h - a librdkafka client, set up as the Kafka sink needs it: its own settings, then the
 * operator's properties file, which may change anything but those.
 *
 * What librdkafka says goes to the log, a few lines a second at most. Its newest complaint is kept, for a broker
 * that cannot be reached is told of there and nowhere else. All calls are of the sink's thread. */
#ifndef FLASHGATE_RELAY_KAFKA_CLIENT_H
#define FLASHGATE_RELAY_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "flashgate/relay/sink.h"

enum {
    RELAY_KAFKA_COMPLAINT_BYTES = 256
};

/* The newest complaint of any client; "" none. Must outlive the clients. */
struct relay_kafka_complaint {
    char text[RELAY_KAFKA_COMPLAINT_BYTES];
};

/* The settings and the properties file, by themselves. */
enum fg_result relay_kafka_check(const struct relay_sink_settings *settings,
                                 struct fg_error *error) FG_MUST_CHECK;

/* A producer; `transactional_id` NULL: without transactions. Nothing is connected yet. A delivery report stores
 * its result where the message's opaque points: an rd_kafka_resp_err_t. FG_INVALID: the properties file, or what
 * librdkafka makes of it all. */
enum fg_result relay_kafka_client_new(const struct relay_sink_settings *settings,
                                      const char *transactional_id,
                                      struct relay_kafka_complaint *complaint,
                                      rd_kafka_t **client_r, struct fg_error *error) FG_MUST_CHECK;
/* Gives up whatever it has not sent. Nulls it; harmless on NULL. */
void relay_kafka_client_free(rd_kafka_t **client);

/* Learns where the topic is; a client that is asked to send without knowing waits up to a second before it looks.
 * A topic that is not there is not made: whoever runs the cluster decides on its partitions. (A cluster that makes
 * topics by itself does so when it is asked.) */
enum fg_result relay_kafka_find_topic(const struct relay_sink_settings *settings,
                                      rd_kafka_t *client, struct relay_kafka_complaint *complaint,
                                      uint64_t deadline_ns, struct fg_error *error) FG_MUST_CHECK;

/* What is left until a deadline, as librdkafka takes it: at least 1 ms. */
int relay_kafka_left_ms(uint64_t deadline_ns);

/* "TOPIC at BROKERS: DOING: why (the newest complaint)". FG_UNREACHABLE. */
enum fg_result relay_kafka_say(struct fg_error *error, const struct relay_sink_settings *settings,
                               const struct relay_kafka_complaint *complaint, const char *doing,
                               const char *why);

#endif
