/* kafka_client.c - see kafka_client.h. One table says what flashgate sets; the promise of the sink rests on some of
 * it (idempotence, acknowledgement by all), and that much a properties file may not touch. */
#include "kafka_client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"

enum {
    PROPERTIES_BYTES = 64 << 10, /* of a file, at most */
    NUMBER_BYTES = 24,
    REASON_BYTES = 512,
    TRANSACTION_LEAST_MS = 10000,
};

/* What stands for itself, and what is filled in. */
enum value {
    AS_IT_IS,
    BROKERS,
    TRANSACTIONAL_ID,
    TIMEOUT_MS,
    TRANSACTION_MS,
};

/* In the file's order; what is ours comes after it, what is only a default before it. */
static const struct property {
    const char *name;
    const char *text;
    enum value value;
    bool is_ours;
} properties[] = {
    { "bootstrap.servers", NULL, BROKERS, true },
    { "metadata.broker.list", NULL, BROKERS, true },
    { "enable.idempotence", "true", AS_IT_IS, true },
    { "acks", "all", AS_IT_IS, true },
    { "request.required.acks", "all", AS_IT_IS, true },
    { "transactional.id", NULL, TRANSACTIONAL_ID, true },
    { "transaction.timeout.ms", NULL, TRANSACTION_MS, true },
    { "message.timeout.ms", NULL, TIMEOUT_MS, true },
    { "delivery.timeout.ms", NULL, TIMEOUT_MS, true },
    { "delivery.report.only.error", "false", AS_IT_IS, true },
    { "queue.buffering.max.messages", "100000", AS_IT_IS, true },
    { "log.queue", "false", AS_IT_IS, true },
    { "client.id", "flashgate-relay", AS_IT_IS, false },
    { "partitioner", "murmur2_random", AS_IT_IS, false }, /* as Java's clients */
    { "socket.timeout.ms", NULL, TIMEOUT_MS, false },
    { "socket.keepalive.enable", "true", AS_IT_IS, false },
    { "reconnect.backoff.max.ms", "1000", AS_IT_IS, false },
};

/* --- what librdkafka says --------------------------------------------------------------------------- */

static enum fg_log_level level_of(int syslog_level)
{
    if (syslog_level <= LOG_ERR)
        return FG_LOG_ERROR;
    if (syslog_level == LOG_WARNING)
        return FG_LOG_WARN;
    return syslog_level == LOG_DEBUG ? FG_LOG_DEBUG : FG_LOG_INFO;
}

/* In librdkafka's threads. */
static void log_line(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    fg_log(level_of(level), "kafka", FG_STRING_FIELD("client", rd_kafka_name(client)),
           FG_STRING_FIELD("about", facility), FG_STRING_FIELD("text", text));
}

static void keep_complaint(rd_kafka_t *client, int code, const char *reason, void *context)
{
    struct relay_kafka_complaint *complaint = context;
    (void)client;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && complaint->text[0] != '\0')
        return; /* why, was said before */
    snprintf(complaint->text, sizeof complaint->text, "%s", reason);
}

static void take_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    rd_kafka_resp_err_t *report = message->_private;
    (void)client;
    (void)context;
    *report = message->err;
}

enum fg_result relay_kafka_say(struct fg_error *error, const struct relay_sink_settings *settings,
                               const struct relay_kafka_complaint *complaint, const char *doing,
                               const char *why)
{
    bool has_complaint = complaint->text[0] != '\0';
    return fg_error_set(error, FG_UNREACHABLE, "%s at %s: %s: %s%s%s%s", settings->topic,
                        settings->brokers, doing, why, has_complaint ? " (" : "", complaint->text,
                        has_complaint ? ")" : "");
}

int relay_kafka_left_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = fg_clock_steady_ns();
    uint64_t left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / FG_MS_IN_NS : 0;
    return left_ms == 0 ? 1 : (int)left_ms;
}

/* --- the properties file ---------------------------------------------------------------------------- */

/* One pass over a file; `text` is cut into lines, names and values in place. */
struct file {
    const char *path;
    char *text;
    bool others_may_read;
    rd_kafka_conf_t *conf;
};

static const struct property *find_property(const char *name)
{
    for (size_t index = 0; index < FG_COUNT_OF(properties); index++)
        if (strcmp(properties[index].name, name) == 0)
            return &properties[index];
    return NULL;
}

static bool is_secret(const char *name)
{
    static const char *const words[] = { "password", "secret", ".key.pem", "oauthbearer.config" };
    for (size_t index = 0; index < FG_COUNT_OF(words); index++)
        if (strstr(name, words[index]) != NULL)
            return true;
    return false;
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL)
        length--;
    text[length] = '\0';
    return text;
}

static enum fg_result take_property(const struct file *file, unsigned line, const char *name,
                                    const char *value, struct fg_error *error)
{
    char reason[REASON_BYTES];
    const struct property *property = find_property(name);
    if (property != NULL && property->is_ours)
        return fg_error_set(error, FG_INVALID,
                            "%s:%u: %s is set by flashgate itself, expected another property",
                            file->path, line, name);
    if (is_secret(name) && file->others_may_read)
        return fg_error_set(error, FG_INVALID,
                            "%s:%u: %s is a secret, and others may read this file; run chmod 600",
                            file->path, line, name);
    if (rd_kafka_conf_set(file->conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
        return fg_error_set(error, FG_INVALID, "%s:%u: %s", file->path, line, reason);
    return FG_OK;
}

static enum fg_result take_line(const struct file *file, unsigned line, char *text,
                                struct fg_error *error)
{
    text = trim(text);
    if (text[0] == '\0' || text[0] == '#')
        return FG_OK;
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return fg_error_set(error, FG_INVALID, "%s:%u: expected NAME=VALUE", file->path, line);
    *equals = '\0';
    return take_property(file, line, trim(text), trim(equals + 1), error);
}

static enum fg_result take_lines(const struct file *file, struct fg_error *error)
{
    char *rest = file->text;
    enum fg_result result = FG_OK;
    for (unsigned line = 1; result == FG_OK && rest != NULL; line++) {
        char *text = strsep(&rest, "\n");
        result = take_line(file, line, text, error);
    }
    return result;
}

static enum fg_result read_text(int descriptor, struct file *file, struct fg_error *error)
{
    struct stat status;
    size_t length = 0;
    ssize_t got = 1;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
        return fg_error_set(error, FG_INVALID, "%s: not a regular file", file->path);
    file->others_may_read = (status.st_mode & (S_IRWXG | S_IRWXO)) != 0;
    while (length < PROPERTIES_BYTES && got > 0) {
        got = read(descriptor, file->text + length, PROPERTIES_BYTES - length);
        length += got > 0 ? (size_t)got : 0;
    }
    if (got < 0)
        return fg_error_set(error, FG_INVALID, "%s: %s", file->path, strerror(errno));
    if (length == PROPERTIES_BYTES)
        return fg_error_set(error, FG_INVALID, "%s: too large, expected less than %d bytes",
                            file->path, PROPERTIES_BYTES);
    if (memchr(file->text, '\0', length) != NULL)
        return fg_error_set(error, FG_INVALID, "%s: expected text, found a zero byte", file->path);
    file->text[length] = '\0';
    return FG_OK;
}

static enum fg_result take_file(const char *path, rd_kafka_conf_t *conf, struct fg_error *error)
{
    struct file file = { .path = path, .conf = conf };
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return fg_error_set(error, FG_INVALID, "%s: %s", path, strerror(errno));
    file.text = malloc(PROPERTIES_BYTES + 1);
    enum fg_result result = file.text == NULL
                                ? fg_error_set(error, FG_UNREACHABLE, "%s: no memory", path)
                                : read_text(descriptor, &file, error);
    if (result == FG_OK)
        result = take_lines(&file, error);
    if (file.text != NULL)
        explicit_bzero(file.text, PROPERTIES_BYTES + 1);
    free(file.text);
    close(descriptor);
    return result;
}

/* --- settings --------------------------------------------------------------------------------------- */

static const char *fill_in(const struct property *property,
                           const struct relay_sink_settings *settings, const char *transactional_id,
                           char number[NUMBER_BYTES])
{
    uint64_t timeout_ms = settings->timeout_ns / FG_MS_IN_NS;
    /* Longer than a commit takes, or a slow one would be aborted under our hands; not much longer, for readers
     * wait behind a transaction that was left open. */
    uint64_t transaction_ms =
        2 * timeout_ms > TRANSACTION_LEAST_MS ? 2 * timeout_ms : TRANSACTION_LEAST_MS;
    switch (property->value) {
    case AS_IT_IS:
        return property->text;
    case BROKERS:
        return settings->brokers;
    case TRANSACTIONAL_ID:
        return transactional_id;
    case TIMEOUT_MS:
    case TRANSACTION_MS:
        snprintf(number, NUMBER_BYTES, "%" PRIu64,
                 property->value == TIMEOUT_MS ? timeout_ms : transaction_ms);
        return number;
    }
    assert(false);
    return NULL;
}

static enum fg_result set_properties(const struct relay_sink_settings *settings,
                                     const char *transactional_id, bool ours, rd_kafka_conf_t *conf,
                                     struct fg_error *error)
{
    char number[NUMBER_BYTES], reason[REASON_BYTES];
    for (size_t index = 0; index < FG_COUNT_OF(properties); index++) {
        const struct property *property = &properties[index];
        const char *value = fill_in(property, settings, transactional_id, number);
        if (property->is_ours == ours && value != NULL &&
            rd_kafka_conf_set(conf, property->name, value, reason, sizeof reason) !=
                RD_KAFKA_CONF_OK)
            return fg_error_set(error, FG_INVALID, "kafka: %s", reason);
    }
    return FG_OK;
}

static enum fg_result fill_conf(const struct relay_sink_settings *settings,
                                const char *transactional_id, rd_kafka_conf_t *conf,
                                struct fg_error *error)
{
    enum fg_result result = set_properties(settings, transactional_id, false, conf, error);
    if (result == FG_OK && settings->properties_file != NULL)
        result = take_file(settings->properties_file, conf, error);
    if (result == FG_OK)
        result = set_properties(settings, transactional_id, true, conf, error);
    return result;
}

enum fg_result relay_kafka_check(const struct relay_sink_settings *settings, struct fg_error *error)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum fg_result result = fill_conf(settings, settings->transactional_id, conf, error);
    rd_kafka_conf_destroy(conf);
    return result;
}

enum fg_result relay_kafka_client_new(const struct relay_sink_settings *settings,
                                      const char *transactional_id,
                                      struct relay_kafka_complaint *complaint,
                                      rd_kafka_t **client_r, struct fg_error *error)
{
    char reason[REASON_BYTES];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, complaint);
    rd_kafka_conf_set_log_cb(conf, log_line);
    rd_kafka_conf_set_error_cb(conf, keep_complaint);
    rd_kafka_conf_set_dr_msg_cb(conf, take_report);
    *client_r = NULL;
    enum fg_result result = fill_conf(settings, transactional_id, conf, error);
    if (result == FG_OK)
        *client_r = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (result == FG_OK && *client_r == NULL)
        result = fg_error_set(error, FG_INVALID, "kafka: %s", reason);
    if (result != FG_OK)
        rd_kafka_conf_destroy(conf); /* else it is the client's */
    return result;
}

void relay_kafka_client_free(rd_kafka_t **client_at)
{
    rd_kafka_t *client = *client_at;
    *client_at = NULL;
    if (client == NULL)
        return;
    rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                               RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_destroy(client);
}

enum fg_result relay_kafka_find_topic(const struct relay_sink_settings *settings,
                                      rd_kafka_t *client, struct relay_kafka_complaint *complaint,
                                      uint64_t deadline_ns, struct fg_error *error)
{
    static const char doing[] = "looking for the topic";
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, settings->topic, NULL);
    if (topic == NULL)
        return relay_kafka_say(error, settings, complaint, doing,
                               rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(client, 0, topic, &metadata, relay_kafka_left_ms(deadline_ns));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1)
        code = metadata->topics[0].err;
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return FG_OK;
    rd_kafka_poll(client, 0); /* for its complaints */
    return relay_kafka_say(error, settings, complaint, doing, rd_kafka_err2str(code));
}
