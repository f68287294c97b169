/* sink_options.c - see sink_options.h. One table says what each kind needs and knows. What a kind needs is also where
 * it writes: two sinks of one kind that agree in all of that are the same place. */
#include "sink_options.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/text.h"
#include "flashgate/inventory/names.h"
#include "flashgate/relay/sink.h"

enum {
    TEXT_BYTES = 1024,
    TOPIC_BYTES = 249,            /* Kafka's own bound */
    TRANSACTIONAL_ID_BYTES = 128, /* a sink adds to it */
    REQUESTS_MOST = 64,
    LANES_MOST = 16
};

static bool check_id(struct fg_text text, void *out)
{
    (void)out;
    return fg_name_is_valid(text);
}

/* As brokers take it: "." and ".." are no topics. */
static bool check_topic(struct fg_text text, void *out)
{
    (void)out;
    for (size_t i = 0; i < text.length; i++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
                   text.at[i]) == NULL)
            return false;
    return text.length > 0 && !fg_text_equal(text, FG_TEXT(".")) &&
           !fg_text_equal(text, FG_TEXT(".."));
}

static bool check_url(struct fg_text text, void *out)
{
    (void)out;
    return (fg_text_starts_with(text, FG_TEXT("http://")) && text.length > strlen("http://")) ||
           (fg_text_starts_with(text, FG_TEXT("https://")) && text.length > strlen("https://"));
}

#define SINK_FIELD(member) .offset = offsetof(struct relay_sink_settings, member)
#define SINK_PLACE(option) .place_offset = offsetof(struct relay_sink_settings, places[option])

const struct fg_option relay_sink_option_fields[] = {
    {
        .name = "id",
        .type = FG_OPTION_STRING,
        SINK_FIELD(id),
        .help = "its name: of the consumer group, in metrics and logs; never reuse one for another "
                "sink",
        .read = check_id,
        .expected = "1 to 64 of A-Z a-z 0-9 . _ -",
    },
    {
        .name = "type",
        .type = FG_OPTION_CHOICE,
        SINK_FIELD(type),
        .help = "what kind of sink it is: sqlite, postgresql, kafka or http",
        .choices = relay_sink_types,
        .place_offset = offsetof(struct relay_sink_settings, place),
    },
    {
        .name = "path",
        .type = FG_OPTION_PATH,
        SINK_FIELD(path),
        .help = "sqlite: the database file; created when it is not there",
        .optional = true,
        SINK_PLACE(RELAY_SINK_PATH),
    },
    {
        .name = "connect",
        .type = FG_OPTION_STRING,
        SINK_FIELD(connect),
        .maximum = TEXT_BYTES,
        .help = "postgresql: a connection string or URI, without a password",
        .optional = true,
        SINK_PLACE(RELAY_SINK_CONNECT),
    },
    {
        .name = "password_file",
        .type = FG_OPTION_PATH,
        SINK_FIELD(password_file),
        .help = "postgresql: a file of mode 0600 that holds the password; left out: none",
        .optional = true,
        SINK_PLACE(RELAY_SINK_PASSWORD_FILE),
    },
    {
        .name = "brokers",
        .type = FG_OPTION_STRING,
        SINK_FIELD(brokers),
        .maximum = TEXT_BYTES,
        .help = "kafka: where to begin, HOST:PORT with commas between",
        .optional = true,
        SINK_PLACE(RELAY_SINK_BROKERS),
    },
    {
        .name = "topic",
        .type = FG_OPTION_STRING,
        SINK_FIELD(topic),
        .maximum = TOPIC_BYTES,
        .help = "kafka: where the events go",
        .optional = true,
        .read = check_topic,
        .expected = "1 to 249 of A-Z a-z 0-9 . _ -",
        SINK_PLACE(RELAY_SINK_TOPIC),
    },
    {
        .name = "transactional_id",
        .type = FG_OPTION_STRING,
        SINK_FIELD(transactional_id),
        .maximum = TRANSACTIONAL_ID_BYTES,
        .help = "kafka: what the producers' transactional ids begin with; left out: at least once",
        .optional = true,
        SINK_PLACE(RELAY_SINK_TRANSACTIONAL_ID),
    },
    {
        .name = "properties_file",
        .type = FG_OPTION_PATH,
        SINK_FIELD(properties_file),
        .help = "kafka: a file of NAME=VALUE lines for librdkafka; left out: none",
        .optional = true,
        SINK_PLACE(RELAY_SINK_PROPERTIES_FILE),
    },
    {
        .name = "url",
        .type = FG_OPTION_STRING,
        SINK_FIELD(url),
        .maximum = TEXT_BYTES,
        .help = "http: where each event is posted",
        .optional = true,
        .read = check_url,
        .expected = "http://… or https://…",
        SINK_PLACE(RELAY_SINK_URL),
    },
    {
        .name = "token_file",
        .type = FG_OPTION_PATH,
        SINK_FIELD(token_file),
        .help = "http: a file of mode 0600 with the token sent as Authorization: Bearer; left out: "
                "none",
        .optional = true,
        SINK_PLACE(RELAY_SINK_TOKEN_FILE),
    },
    {
        .name = "requests",
        .type = FG_OPTION_COUNT,
        SINK_FIELD(requests),
        .default_text = "8",
        .minimum = 1,
        .maximum = REQUESTS_MOST,
        .help = "http: how many are in flight at once, in each lane",
        SINK_PLACE(RELAY_SINK_REQUESTS),
    },
    {
        .name = "timeout",
        .type = FG_OPTION_DURATION,
        SINK_FIELD(timeout_ns),
        .default_text = "5s",
        .minimum = 100 * FG_MS_IN_NS,
        .maximum = 60 * FG_SECOND_IN_NS,
        .help = "postgresql, kafka, http: how long a commit may take before it counts as failed",
        SINK_PLACE(RELAY_SINK_TIMEOUT),
    },
    {
        .name = "lanes",
        .type = FG_OPTION_COUNT,
        SINK_FIELD(lanes),
        .default_text = "1",
        .minimum = 1,
        .maximum = LANES_MOST,
        .help = "threads that deliver to it, each for its share of the buckets; sqlite has one",
        SINK_PLACE(RELAY_SINK_LANES),
    },
    { .name = NULL },
};

/* --- what each kind needs and knows ----------------------------------------------------------------- */

/* Where an option is, and its name: a row of the table above, behind id and type. */
static const struct fg_option *row_of(enum relay_sink_option option)
{
    return &relay_sink_option_fields[2 + option];
}

#define HAS(option) (1u << RELAY_SINK_##option)

/* All know lanes. */
static const struct kind {
    const char *type;
    unsigned needs, knows; /* beside what it needs */
    bool has_one_lane;
} kinds[] = {
    /* clang-format off */
    { "sqlite",     HAS(PATH),                HAS(LANES), true },
    { "postgresql", HAS(CONNECT),             HAS(PASSWORD_FILE) | HAS(TIMEOUT) | HAS(LANES), false },
    { "kafka",      HAS(BROKERS) | HAS(TOPIC), HAS(TRANSACTIONAL_ID) | HAS(PROPERTIES_FILE) |
                                              HAS(TIMEOUT) | HAS(LANES), false },
    { "http",       HAS(URL),                 HAS(TOKEN_FILE) | HAS(REQUESTS) | HAS(TIMEOUT) |
                                              HAS(LANES), false },
    /* clang-format on */
};

static const struct kind *kind_of(const struct relay_sink_settings *sink)
{
    size_t index = 0;
    while (strcmp(kinds[index].type, relay_sink_types[sink->type]) != 0)
        index++;
    return &kinds[index];
}

static const char *text_at(const struct relay_sink_settings *sink, enum relay_sink_option option)
{
    const char *text;
    memcpy(&text, (const char *)sink + row_of(option)->offset, sizeof text);
    return text;
}

static void forget(struct relay_sink_settings *sink, enum relay_sink_option option)
{
    uint64_t nothing = 0;
    if (row_of(option)->default_text != NULL)
        memcpy((char *)sink + row_of(option)->offset, &nothing, sizeof nothing);
}

static enum fg_result settle_sink(const struct fg_config_source *source,
                                  struct relay_sink_settings *sink, size_t number,
                                  struct fg_error *error)
{
    const struct kind *kind = kind_of(sink);
    for (unsigned option = 0; option < RELAY_SINK_OPTION_COUNT; option++) {
        bool is_there = sink->places[option].line != 0;
        if ((kind->needs & 1u << option) != 0 && !is_there)
            return fg_config_error_at(source, sink->place, error,
                                      "sinks[%zu]: type %s needs \"%s\"", number, kind->type,
                                      row_of(option)->name);
        if (((kind->needs | kind->knows) & 1u << option) != 0)
            continue;
        if (is_there)
            return fg_config_error_at(source, sink->places[option], error,
                                      "sinks[%zu]: type %s does not know \"%s\"", number,
                                      kind->type, row_of(option)->name);
        forget(sink, option);
    }
    if (kind->has_one_lane && sink->lanes != 1)
        return fg_config_error_at(source, sink->places[RELAY_SINK_LANES], error,
                                  "sinks[%zu]: type %s has one writer, expected lanes: 1", number,
                                  kind->type);
    return FG_OK;
}

/* --- one place, one sink ---------------------------------------------------------------------------- */

static bool is_same_place(const struct relay_sink_settings *one,
                          const struct relay_sink_settings *other, enum relay_sink_option *where_r)
{
    if (one->type != other->type)
        return false;
    for (unsigned option = RELAY_SINK_OPTION_COUNT; option-- > 0;) {
        if ((kind_of(one)->needs & 1u << option) == 0)
            continue;
        if (strcmp(text_at(one, option), text_at(other, option)) != 0)
            return false;
        *where_r = option;
    }
    return true;
}

/* They would share its progress. */
static enum fg_result check_places(const struct fg_config_source *source,
                                   const struct relay_sink_settings *sinks, size_t later,
                                   struct fg_error *error)
{
    enum relay_sink_option where = 0; /* every kind of sink has a place */
    for (size_t earlier = 0; earlier < later; earlier++)
        if (is_same_place(&sinks[later], &sinks[earlier], &where))
            return fg_config_error_at(
                source, sinks[later].places[where], error,
                "the %s \"%s\" is that of another sink (line %u), expected one of its own",
                row_of(where)->name, text_at(&sinks[later], where),
                sinks[earlier].places[where].line);
    return FG_OK;
}

enum fg_result relay_sink_options_settle(const struct fg_config_source *source,
                                         const struct fg_config_list *sinks, struct fg_error *error)
{
    struct relay_sink_settings *settings = sinks->items;
    enum fg_result result = FG_OK;
    for (size_t index = 0; result == FG_OK && index < sinks->count; index++) {
        result = settle_sink(source, &settings[index], index + 1, error);
        if (result == FG_OK)
            result = check_places(source, settings, index, error);
    }
    return result;
}
