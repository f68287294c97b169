/* kafka_mock.c - a Kafka cluster for tests: librdkafka's own mock, with one topic of four partitions.
 *
 * Says "BROKERS" first. Then a line of standard input each: `dump` says every message as
 * "PARTITION OFFSET KEY EVENT_ID EVENT TOKEN" and then "end"; `down` and `up` are about all brokers, and say "done".
 * Ends with its standard input. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BROKERS = 2,
    PARTITIONS = 4,
    PATIENCE_MS = 30000,
};

static const char topic[] = "orders";

static rd_kafka_t *make_client(rd_kafka_type_t type, const char *brokers)
{
    static const char *const words[][2] = {
        { "log_level", "0" },
        { "group.id", "dump" },
        { "enable.partition.eof", "true" },
        { "enable.auto.commit", "false" },
        { "fetch.wait.max.ms", "10" },
        { "reconnect.backoff.max.ms", "100" },
    };
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t index = 0; index < (brokers == NULL ? 1 : sizeof words / sizeof words[0]); index++)
        rd_kafka_conf_set(conf, words[index][0], words[index][1], NULL, 0);
    if (brokers != NULL)
        rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
    rd_kafka_t *client = rd_kafka_new(type, conf, reason, sizeof reason);
    if (client == NULL) {
        fprintf(stderr, "%s\n", reason);
        exit(1);
    }
    return client;
}

static void print_header(const rd_kafka_message_t *message, const char *name)
{
    rd_kafka_headers_t *headers;
    const void *value = "";
    size_t length = 0;
    if (rd_kafka_message_headers(message, &headers) == 0)
        rd_kafka_header_get_last(headers, name, &value, &length);
    printf(" %.*s", (int)length, (const char *)value);
}

static void print_message(const rd_kafka_message_t *message)
{
    printf("%d %lld %.*s", (int)message->partition, (long long)message->offset,
           (int)message->key_len, (const char *)message->key);
    print_header(message, "event_id");
    print_header(message, "event");
    print_header(message, "token");
    putchar('\n');
}

static void dump(rd_kafka_t *reader)
{
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int partition = 0; partition < PARTITIONS; partition++)
        rd_kafka_topic_partition_list_add(all, topic, partition)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(reader, all);
    rd_kafka_topic_partition_list_destroy(all);
    for (int ends = 0; ends < PARTITIONS;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, PATIENCE_MS);
        if (message == NULL) {
            fprintf(stderr, "nothing more, and no end\n");
            exit(1);
        }
        ends += message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            print_message(message);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_assign(reader, NULL);
    puts("end");
}

int main(void)
{
    char line[64];
    rd_kafka_t *client = make_client(RD_KAFKA_PRODUCER, NULL);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(client, BROKERS);
    rd_kafka_mock_topic_create(cluster, topic, PARTITIONS, 1);
    const char *brokers = rd_kafka_mock_cluster_bootstraps(cluster);
    rd_kafka_t *reader = make_client(RD_KAFKA_CONSUMER, brokers);
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts(brokers);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "dump\n") == 0) {
            dump(reader);
            continue;
        }
        for (int broker = 1; broker <= BROKERS; broker++)
            strcmp(line, "down\n") == 0 ? rd_kafka_mock_broker_set_down(cluster, broker)
                                        : rd_kafka_mock_broker_set_up(cluster, broker);
        puts("done");
    }
    rd_kafka_destroy_flags(reader, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
    return 0;
}
