/* test_sinks_kafka.c - the Kafka sink against librdkafka's own mock cluster: what arrives, in which order and how
 * often, as another client reads it back; brokers that go away, are slow, refuse or fence.
 *
 * The mock keeps what an aborted transaction wrote, so an event counts as written when its Produce request was not
 * refused. */
#include "sink_contract.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/inventory/carried.h"

enum {
    BROKERS = 3,
    TIMEOUT_MS = 8000, /* generous: only what is meant to fail waits for it */
    SHORT_MS = 1500,
    /* Kafka's numbers of requests. */
    PRODUCE = 0,
    OFFSET_FETCH = 9,
    END_TRANSACTION = 26,
};

#define REFUSE(request, ...)                                                                      \
    do {                                                                                          \
        static const rd_kafka_resp_err_t codes_[] = { __VA_ARGS__ };                              \
        rd_kafka_mock_push_request_errors_array(cluster, (request), FG_COUNT_OF(codes_), codes_); \
    } while (0)

#define FINE      RD_KAFKA_RESP_ERR_NO_ERROR
#define TOO_LARGE RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE

static char folder[64], properties[96];
static rd_kafka_t *cluster_client;
static rd_kafka_mock_cluster_t *cluster;
static char brokers[512], topic[] = "orders", prefix[32];
static rd_kafka_t *reader;   /* another program, that reads what arrived */
static int64_t first_offset; /* of the test under way */
static struct relay_sink_settings settings;

static void write_properties(const char *text, mode_t mode)
{
    FILE *file = fopen(properties, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(properties, mode);
    settings.properties_file = properties;
}

static void start_reader(void)
{
    static const char *const words[][2] = {
        { "group.id", "test" },
        { "enable.partition.eof", "true" },
        { "enable.auto.commit", "false" },
        { "fetch.wait.max.ms", "10" },
        { "reconnect.backoff.max.ms", "100" },
        { "log_level", "0" },
    };
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
    for (size_t index = 0; index < FG_COUNT_OF(words); index++)
        rd_kafka_conf_set(conf, words[index][0], words[index][1], NULL, 0);
    reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    assert_non_null(reader);
}

/* One cluster and one topic for all tests, for what is asked of the mock may take a second. Each test begins where
 * the one before ended. The topic has one partition, so that there is one order. */
static void start_cluster(void)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    cluster_client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    assert_non_null(cluster_client);
    cluster = rd_kafka_mock_cluster_new(cluster_client, BROKERS);
    assert_non_null(cluster);
    assert_int_equal(rd_kafka_mock_topic_create(cluster, topic, 1, 1), 0);
    snprintf(brokers, sizeof brokers, "%s", rd_kafka_mock_cluster_bootstraps(cluster));
    start_reader();
}

/* The reader ends with the program: a consumer that has fetched may wait for its own threads for ever when it is
 * destroyed (seen with librdkafka 2.0.2 on a busy machine). */
static void stop_cluster(void)
{
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(cluster_client);
}

/* Right after the brokers came back the reader may not have noticed. */
static void find_first_offset(void)
{
    int64_t oldest;
    unsigned tries = 0;
    while (rd_kafka_query_watermark_offsets(reader, topic, 0, &oldest, &first_offset, 10000) != 0) {
        assert_true(++tries < 200);
        usleep(50 * 1000);
    }
}

static const struct relay_sink_settings *make_plain(void)
{
    static unsigned tests;
    snprintf(prefix, sizeof prefix, "test-%u", ++tests);
    find_first_offset();
    strcpy(folder, "/tmp/flashgate-kafka-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(properties, sizeof properties, "%s/properties", folder);
    settings = (struct relay_sink_settings){ .brokers = brokers,
                                             .topic = topic,
                                             .timeout_ns = TIMEOUT_MS * FG_MS_IN_NS };
    /* A batch is one request, however slow this machine is. */
    write_properties("linger.ms=500\n", 0644);
    return &settings;
}

static const struct relay_sink_settings *make_exact(void)
{
    make_plain();
    settings.transactional_id = prefix;
    return &settings;
}

static void go_away(void)
{
    settings.timeout_ns = SHORT_MS * FG_MS_IN_NS;
    for (int broker = 1; broker <= BROKERS; broker++)
        rd_kafka_mock_broker_set_down(cluster, broker);
}

static void come_back(void)
{
    settings.timeout_ns = TIMEOUT_MS * FG_MS_IN_NS;
    for (int broker = 1; broker <= BROKERS; broker++)
        rd_kafka_mock_broker_set_up(cluster, broker);
}

static void set_delay(int delay_ms)
{
    for (int broker = 1; broker <= BROKERS; broker++)
        rd_kafka_mock_broker_set_rtt(cluster, broker, delay_ms);
}

static void remove_files(void)
{
    unlink(properties);
    rmdir(folder);
}

/* --- what the mock lacks ---------------------------------------------------------------------------- */

/* It forgets the offsets that are sent to a transaction; here they are kept, and committed with it. */
static struct {
    char group[128], metadata[4096];
    int64_t offset;
    bool is_there;
} sent_progress;

rd_kafka_consumer_group_metadata_t *__real_rd_kafka_consumer_group_metadata_new(const char *group);
rd_kafka_consumer_group_metadata_t *__wrap_rd_kafka_consumer_group_metadata_new(const char *group);
rd_kafka_consumer_group_metadata_t *__wrap_rd_kafka_consumer_group_metadata_new(const char *group)
{
    snprintf(sent_progress.group, sizeof sent_progress.group, "%s", group);
    return __real_rd_kafka_consumer_group_metadata_new(group);
}

rd_kafka_error_t *__real_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *client, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *group, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *client, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *group, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *client, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *group, int timeout_ms)
{
    const rd_kafka_topic_partition_t *offset = &offsets->elems[0];
    assert_string_equal(offset->topic, topic);
    assert_int_equal(offset->partition, 0);
    snprintf(sent_progress.metadata, sizeof sent_progress.metadata, "%.*s",
             (int)offset->metadata_size, (const char *)offset->metadata);
    sent_progress.offset = offset->offset;
    sent_progress.is_there = true;
    return __real_rd_kafka_send_offsets_to_transaction(client, offsets, group, timeout_ms);
}

static void commit_sent_progress(void)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
    rd_kafka_conf_set(conf, "group.id", sent_progress.group, NULL, 0);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    assert_non_null(client);
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *offset = rd_kafka_topic_partition_list_add(offsets, topic, 0);
    offset->offset = sent_progress.offset;
    offset->metadata = sent_progress.metadata;
    offset->metadata_size = strlen(sent_progress.metadata);
    assert_int_equal(rd_kafka_commit(client, offsets, 0), 0);
    offset->metadata = NULL;
    rd_kafka_topic_partition_list_destroy(offsets);
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

rd_kafka_error_t *__real_rd_kafka_commit_transaction(rd_kafka_t *client, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *client, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *client, int timeout_ms)
{
    rd_kafka_error_t *failure = __real_rd_kafka_commit_transaction(client, timeout_ms);
    if (failure == NULL && sent_progress.is_there)
        commit_sent_progress();
    sent_progress.is_there = false;
    return failure;
}

/* --- what arrived ----------------------------------------------------------------------------------- */

static char read_back[RELAY_BATCH_MAX * RELAY_ID_BYTES * 2];

/* `write` appends what it wants of each message. */
static const char *read_topic(void (*write)(struct fg_buffer *out,
                                            const rd_kafka_message_t *message))
{
    struct fg_buffer out = fg_buffer_over(read_back, sizeof read_back - 1);
    rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(partitions, topic, 0)->offset = first_offset;
    assert_int_equal(rd_kafka_assign(reader, partitions), 0);
    rd_kafka_topic_partition_list_destroy(partitions);
    bool is_at_end = false;
    while (!is_at_end) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 10000);
        assert_non_null(message);
        is_at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            write(&out, message);
        rd_kafka_message_destroy(message);
    }
    assert_int_equal(rd_kafka_assign(reader, NULL), 0);
    assert_false(out.overflowed);
    read_back[out.length] = '\0';
    return read_back;
}

static void write_header(struct fg_buffer *out, const rd_kafka_message_t *message, const char *name)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t length;
    assert_int_equal(rd_kafka_message_headers(message, &headers), 0);
    assert_int_equal(rd_kafka_header_get_last(headers, name, &value, &length), 0);
    fg_buffer_add(out, value, length);
    fg_buffer_add_byte(out, ' ');
}

static void write_id(struct fg_buffer *out, const rd_kafka_message_t *message)
{
    write_header(out, message, "event_id");
}

static void write_all(struct fg_buffer *out, const rd_kafka_message_t *message)
{
    static const char *const names[] = { "event_id", "event", "sale", "sku", "bucket", "token" };
    for (size_t index = 0; index < FG_COUNT_OF(names); index++)
        write_header(out, message, names[index]);
    fg_buffer_add(out, message->key, message->key_len);
    fg_buffer_add_byte(out, ' ');
    fg_buffer_add(out, message->payload, message->len);
    fg_buffer_add_byte(out, '\n');
}

static const char *ids(void)
{
    return read_topic(write_id);
}

static void assert_outcomes(const enum relay_outcome_kind *expected, size_t count)
{
    assert_int_equal(sink_applied, count);
    for (size_t index = 0; index < count; index++)
        assert_int_equal(sink_outcomes[index].kind, expected[index]);
}

#define ASSERT_OUTCOMES(...)                                                \
    do {                                                                    \
        static const enum relay_outcome_kind expected_[] = { __VA_ARGS__ }; \
        assert_outcomes(expected_, FG_COUNT_OF(expected_));                 \
    } while (0)
#define NEW   RELAY_OUTCOME_NEW
#define KNOWN RELAY_OUTCOME_KNOWN
#define DEAD  RELAY_OUTCOME_DEAD

/* Alice's order and what follows, Bob's between. */
static void apply_two_orders(void)
{
    apply(held("1790000000001-0", "alice"));
    apply(held("1790000000001-1", "bob"));
    apply(later("1790000000001-2", "confirmed", ORDER("1790000000001-0")));
    apply(later("1790000000001-3", "confirmed", ORDER("1790000000001-1")));
}

/* --- both ways -------------------------------------------------------------------------------------- */

static void a_message_says_what_it_is_about(void **state)
{
    (void)state;
    open_sink();
    assert_result(begin(3), FG_OK);
    apply(EVENT("1790000000000-0", "event", "opened", "quantity", "10"));
    apply(later("1790000000001-2", "cancelled", ORDER("1790000000001-0")));
    commit();
    const char *text = read_topic(write_all);
    const char *order = strchr(text, '\n') + 1;
    assert_non_null(strstr(text, ORDER("1790000000000-0") " opened demo 8801 7 3 7 {\"version\":1,"
                                                          "\"event\":\"opened\","));
    assert_non_null(strstr(text, "\"sale\":\"demo\",\"sku\":\"8801\",\"quantity\":10}"));
    assert_non_null(strstr(order, ORDER("1790000000001-2") " cancelled demo 8801 7 3 " ORDER(
                                      "1790000000001-0") " {\"version\":1,\"main\":"));
}

static void brokers_that_are_away_are_named_in_time(void **state)
{
    (void)state;
    go_away();
    uint64_t before_ns = fg_clock_steady_ns();
    assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_UNREACHABLE);
    assert_null(sink);
    uint64_t after_ns = fg_clock_steady_ns();
    come_back();
    assert_true(after_ns - before_ns < 10 * SHORT_MS * FG_MS_IN_NS);
    assert_non_null(strstr(error.text, " at 127.0.0.1:"));
    assert_non_null(strstr(error.text, "Connection refused"));
}

static void a_topic_that_is_not_there_is_named(void **state)
{
    (void)state;
    rd_kafka_mock_topic_set_error(cluster, topic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    enum fg_result result = sink_contract->calls->open(&settings, &sink, &error);
    rd_kafka_mock_topic_set_error(cluster, topic, FINE);
    assert_result(result, FG_UNREACHABLE);
    assert_non_null(strstr(error.text, " at 127.0.0.1:"));
    assert_non_null(strstr(error.text, "Unknown topic or partition"));
}

static void slow_brokers_do_not_hold_a_commit_up_for_ever(void **state)
{
    (void)state;
    settings.timeout_ns = SHORT_MS * FG_MS_IN_NS;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    set_delay(60000);
    uint64_t before_ns = fg_clock_steady_ns();
    assert_result(try_deliver(1, held("1790000000002-0", "bob")), FG_UNREACHABLE);
    sink_contract->calls->close(&sink);
    uint64_t after_ns = fg_clock_steady_ns();
    set_delay(0);
    assert_true(after_ns - before_ns < 10 * settings.timeout_ns);
}

static void what_a_client_will_not_take_is_dead(void **state)
{
    static char extension[3000], carried[FG_CARRIED_BYTES];
    (void)state;
    memset(extension, 'x', sizeof extension - 1);
    snprintf(carried, sizeof carried, "{\"extension\":{\"note\":\"%s\"}}", extension);
    write_properties("linger.ms=500\nmessage.max.bytes=2500\n", 0644);
    open_sink();
    assert_result(begin(1), FG_OK);
    apply(held("1790000000000-0", "zoe"));
    apply(EVENT("1790000000001-0", "held", "1 alice - 1790000900000", "carried", carried));
    apply(held("1790000000001-1", "bob"));
    apply(later("1790000000001-2", "confirmed", ORDER("1790000000001-0")));
    commit();
    ASSERT_OUTCOMES(NEW, DEAD, NEW, DEAD);
    assert_non_null(strstr(sink_outcomes[1].reason, "Message size too large"));
    assert_non_null(strstr(sink_outcomes[3].reason, ORDER("1790000000001-0")));
    assert_ids(ORDER("1790000000000-0") " " ORDER("1790000000001-1") " ");
}

/* A properties file may make the client's queue smaller than a batch is. */
static void a_batch_larger_than_the_clients_queue_goes_out_in_parts(void **state)
{
    (void)state;
    write_properties("linger.ms=1\nqueue.buffering.max.kbytes=4\n", 0644);
    open_sink();
    assert_result(begin(1), FG_OK);
    apply_many(0, 100);
    commit();
    assert_int_equal(count_outcomes(RELAY_OUTCOME_NEW), 100);
    assert_int_equal(count_ids(), 100);
}

/* --- at least once ---------------------------------------------------------------------------------- */

static void an_orders_later_event_waits_for_the_earlier(void **state)
{
    (void)state;
    open_sink();
    /* The orders are made in one request, and confirmed in the next one: that is refused, and then each alone. */
    REFUSE(PRODUCE, FINE, TOO_LARGE, TOO_LARGE, FINE);
    assert_result(begin(1), FG_OK);
    apply_two_orders();
    commit();
    ASSERT_OUTCOMES(NEW, NEW, DEAD, NEW);
    assert_ids(
        ORDER("1790000000001-0") " " ORDER("1790000000001-1") " " ORDER("1790000000001-3") " ");
}

static void a_message_that_is_refused_alone_is_dead(void **state)
{
    (void)state;
    open_sink();
    /* The wave; then Alice's alone, then Bob's alone, then the confirmation that may still go. */
    REFUSE(PRODUCE, TOO_LARGE, TOO_LARGE, FINE, FINE);
    assert_result(begin(1), FG_OK);
    apply_two_orders();
    commit();
    ASSERT_OUTCOMES(DEAD, NEW, DEAD, NEW);
    assert_ids(ORDER("1790000000001-1") " " ORDER("1790000000001-3") " ");
}

static void a_passing_error_is_retried_and_nothing_is_lost(void **state)
{
    (void)state;
    open_sink();
    REFUSE(PRODUCE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
           RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    assert_result(begin(1), FG_OK);
    apply_many(0, 100);
    commit();
    assert_int_equal(count_outcomes(RELAY_OUTCOME_NEW), 100);
    assert_int_equal(count_ids(), 100);
}

static void what_was_not_reported_is_sent_again(void **state)
{
    (void)state;
    settings.timeout_ns = SHORT_MS * FG_MS_IN_NS;
    open_sink();
    REFUSE(PRODUCE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_result(begin(1), FG_OK);
    apply_many(0, 10);
    assert_result(sink_contract->calls->commit(sink, sink_outcomes, &error), FG_UNREACHABLE);
    assert_non_null(strstr(error.text, "authorization failed"));
    sink_contract->calls->close(&sink);
    open_sink();
    assert_result(begin(1), FG_OK);
    apply_many(0, 10);
    commit();
    assert_int_equal(count_ids(), 10);
}

/* --- exactly once ----------------------------------------------------------------------------------- */

static void a_batch_that_was_committed_and_not_acknowledged_is_known(void **state)
{
    (void)state;
    open_sink();
    assert_result(begin(1), FG_OK);
    apply_two_orders();
    commit();
    sink_contract->calls->close(&sink);
    open_sink();
    assert_result(begin(2), FG_OK);
    apply_two_orders();
    apply(held("1790000000002-0", "carol"));
    commit();
    ASSERT_OUTCOMES(KNOWN, KNOWN, KNOWN, KNOWN, NEW);
    assert_int_equal(count_ids(), 5);
}

static void the_one_that_is_refused_is_found_and_stays_dead(void **state)
{
    (void)state;
    open_sink();
    /* All four; the first two; the first alone, which is dead; the second; the two behind, of which the one that
     * follows the dead is not sent. */
    REFUSE(PRODUCE, TOO_LARGE, TOO_LARGE, TOO_LARGE, FINE, FINE);
    assert_result(begin(1), FG_OK);
    apply_two_orders();
    commit();
    ASSERT_OUTCOMES(DEAD, NEW, DEAD, NEW);
    assert_ids(ORDER("1790000000001-1") " " ORDER("1790000000001-3") " ");
    /* The relay dies before it acknowledged: the dead are dead to the next one as well. */
    sink_contract->calls->close(&sink);
    open_sink();
    assert_result(begin(2), FG_OK);
    apply_two_orders();
    commit();
    ASSERT_OUTCOMES(DEAD, KNOWN, DEAD, KNOWN);
    assert_non_null(strstr(sink_outcomes[0].reason, "sent before"));
    assert_int_equal(count_ids(), 2);
}

/* It has room for a hundred; what comes behind them may be sent twice, but it is sent. */
static void more_dead_than_progress_has_room_for_stop_nobody(void **state)
{
    enum {
        MANY = 120
    };
    static char extension[3000], carried[FG_CARRIED_BYTES];
    char entry[RELAY_ENTRY_BYTES];
    (void)state;
    memset(extension, 'x', sizeof extension - 1);
    snprintf(carried, sizeof carried, "{\"extension\":{\"note\":\"%s\"}}", extension);
    write_properties("linger.ms=500\nmessage.max.bytes=2500\n", 0644);
    for (uint64_t token = 1; token <= 2; token++) { /* the first one dies before it acknowledged */
        open_sink();
        assert_result(begin(token), FG_OK);
        apply_many(0, 1);
        for (unsigned n = 1; n <= MANY; n++) {
            snprintf(entry, sizeof entry, "179000000%04u-0", n);
            apply(EVENT(entry, "held", "1 alice - 1790000900000", "carried", carried));
        }
        apply_many(MANY + 1, 1);
        commit();
        assert_int_equal(count_outcomes(RELAY_OUTCOME_DEAD), MANY);
        assert_int_equal(sink_outcomes[0].kind, token == 1 ? NEW : KNOWN);
        assert_int_equal(sink_outcomes[MANY + 1].kind, NEW);
        sink_contract->calls->close(&sink);
    }
    assert_int_equal(count_ids(), 1 + 2);
}

static void a_dead_letter_that_is_retried_is_sent(void **state)
{
    struct relay_batch_head head = {
        .origin = origin,
        .token = 1,
        .sale = FG_TEXT("demo"),
        .sku = FG_TEXT("8801"),
        .is_retry = true,
    };
    (void)state;
    open_sink();
    deliver(1, held("1790000000002-0", "bob"));
    assert_result(sink_contract->calls->begin(sink, &head, &error), FG_OK);
    sink_applied = 0;
    apply(held("1790000000001-0", "alice"));
    commit();
    assert_int_equal(sink_outcomes[0].kind, RELAY_OUTCOME_NEW);
    assert_ids(ORDER("1790000000002-0") " " ORDER("1790000000001-0") " ");
    assert_int_equal(deliver(1, held("1790000000002-0", "bob")), RELAY_OUTCOME_KNOWN);
}

static void an_answer_that_says_no_aborts_and_comes_again(void **state)
{
    (void)state;
    open_sink();
    REFUSE(PRODUCE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_result(begin(1), FG_OK);
    apply_two_orders();
    assert_result(sink_contract->calls->commit(sink, sink_outcomes, &error), FG_UNREACHABLE);
    sink_contract->calls->close(&sink);
    open_sink();
    assert_result(begin(1), FG_OK);
    apply_two_orders();
    commit();
    ASSERT_OUTCOMES(NEW, NEW, NEW, NEW);
    assert_int_equal(count_ids(), 4);
}

static void a_fenced_producer_is_refused_and_closed(void **state)
{
    (void)state;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    REFUSE(END_TRANSACTION, RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    assert_result(try_deliver(1, held("1790000000002-0", "bob")), FG_REFUSED);
    assert_non_null(strstr(error.text, "bucket 7: another producer has been opened"));
    assert_int_equal(deliver(1, held("1790000000003-0", "carol")), RELAY_OUTCOME_NEW);
}

static void progress_that_cannot_be_read_sends_nothing(void **state)
{
    (void)state;
    settings.timeout_ns = SHORT_MS * FG_MS_IN_NS;
    open_sink();
    REFUSE(OFFSET_FETCH, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    assert_result(begin(1), FG_UNREACHABLE);
    assert_non_null(strstr(error.text, "reading the progress"));
    assert_ids("");
}

static void a_bucket_that_gave_way_is_opened_again(void **state)
{
    struct relay_batch_head head = { .origin = origin, .token = 1, .sale = FG_TEXT("demo") };
    (void)state;
    open_sink();
    for (unsigned turn = 0; turn < 2; turn++)
        for (uint32_t bucket = 1; bucket <= 34; bucket++) {
            head.origin.bucket = bucket;
            assert_result(sink_contract->calls->begin(sink, &head, &error), FG_OK);
            sink_applied = 0;
            struct relay_event event = held("1790000000001-0", "alice");
            snprintf(event.id, sizeof event.id, "%" PRIu32 "-0a1b2c3d-1790000000001-0", bucket);
            apply(event);
            commit();
            assert_int_equal(sink_outcomes[0].kind, turn == 0 ? NEW : KNOWN);
        }
    assert_int_equal(count_ids(), 34);
}

/* --- the properties file ---------------------------------------------------------------------------- */

static void expect_refusal(const char *text, mode_t mode, const char *expected)
{
    write_properties(text, mode);
    assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_INVALID);
    assert_null(sink);
    if (strstr(error.text, expected) == NULL)
        print_error("%s\n", error.text);
    assert_non_null(strstr(error.text, expected));
}

static void a_properties_file_is_read_line_by_line(void **state)
{
    (void)state;
    expect_refusal("# ours\n\n  client.id = shop \nno.such.thing=1\n", 0644,
                   "/properties:4: No such configuration property: \"no.such.thing\"");
    expect_refusal("security.protocol=nonsense\n", 0644, "/properties:1: ");
    expect_refusal("client.id\n", 0644, "/properties:1: expected NAME=VALUE");
    expect_refusal("linger.ms=1\nacks=1\n", 0644, "/properties:2: acks is set by flashgate itself");
    expect_refusal("sasl.password=x\n", 0640, "/properties:1: sasl.password is a secret");
    settings.properties_file = folder;
    assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_INVALID);
    write_properties("client.id=shop\nsasl.password=x\n", 0600);
    open_sink();
    assert_int_equal(deliver(1, held("1790000000001-0", "alice")), RELAY_OUTCOME_NEW);
}

int main(void)
{
    static const struct sink_contract plain = {
        .calls = &relay_sink_kafka,
        .make = make_plain,
        .remove = remove_files,
        .ids = ids,
        .go_away = go_away,
        .come_back = come_back,
        .is_atomic = true,
    };
    static const struct sink_contract exact = {
        .calls = &relay_sink_kafka,
        .make = make_exact,
        .remove = remove_files,
        .ids = ids,
        .go_away = go_away,
        .come_back = come_back,
        .checks_tokens = true,
        .tells_known = true,
        .tells_by_progress = true,
        .keeps_once = true,
        .is_atomic = true,
    };
    const struct CMUnitTest both[] = {
        SINK_STORY(a_message_says_what_it_is_about),
        SINK_STORY(brokers_that_are_away_are_named_in_time),
        SINK_STORY(a_topic_that_is_not_there_is_named),
        SINK_STORY(slow_brokers_do_not_hold_a_commit_up_for_ever),
        SINK_STORY(what_a_client_will_not_take_is_dead),
        SINK_STORY(a_batch_larger_than_the_clients_queue_goes_out_in_parts),
        SINK_STORY(a_properties_file_is_read_line_by_line),
    };
    const struct CMUnitTest at_least_once[] = {
        SINK_STORY(an_orders_later_event_waits_for_the_earlier),
        SINK_STORY(a_message_that_is_refused_alone_is_dead),
        SINK_STORY(a_passing_error_is_retried_and_nothing_is_lost),
        SINK_STORY(what_was_not_reported_is_sent_again),
    };
    const struct CMUnitTest exactly_once[] = {
        SINK_STORY(a_batch_that_was_committed_and_not_acknowledged_is_known),
        SINK_STORY(the_one_that_is_refused_is_found_and_stays_dead),
        SINK_STORY(more_dead_than_progress_has_room_for_stop_nobody),
        SINK_STORY(a_dead_letter_that_is_retried_is_sent),
        SINK_STORY(an_answer_that_says_no_aborts_and_comes_again),
        SINK_STORY(a_fenced_producer_is_refused_and_closed),
        SINK_STORY(progress_that_cannot_be_read_sends_nothing),
        SINK_STORY(a_bucket_that_gave_way_is_opened_again),
    };
    start_cluster();
    int failed = sink_contract_run(&plain);
    failed += cmocka_run_group_tests(both, NULL, NULL);
    failed += cmocka_run_group_tests(at_least_once, NULL, NULL);
    failed += sink_contract_run(&exact);
    failed += cmocka_run_group_tests(both, NULL, NULL);
    failed += cmocka_run_group_tests(exactly_once, NULL, NULL);
    stop_cluster();
    return failed;
}
