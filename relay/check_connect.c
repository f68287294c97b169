/* check_connect.c - see check_connect.h. */
#include "check_connect.h"

#include "consumer.h"
#include "flashgate/relay/sink.h"

static bool say(FILE *out, const char *what, const char *which, enum fg_result result,
                const struct fg_error *error)
{
    fprintf(out, "%s %s: %s\n", what, which, result == FG_OK ? "good" : error->text);
    return result == FG_OK;
}

static enum fg_result try_redis(const struct relay_options *options, struct fg_error *error)
{
    struct relay_consumer *consumer = relay_consumer_new(options, "", "check");
    enum fg_result result = consumer == NULL ? fg_error_set(error, FG_EXHAUSTED, "out of memory")
                                             : relay_consumer_connect(consumer, error);
    relay_consumer_free(&consumer);
    return result;
}

static enum fg_result try_sink(const struct relay_sink_settings *settings, struct fg_error *error)
{
    const struct relay_sink_calls *calls = relay_sinks[settings->type];
    struct relay_sink *sink = NULL;
    struct relay_sink_reader *reader = NULL;
    enum fg_result result = calls->check != NULL ? calls->check(settings, error) : FG_OK;
    if (result == FG_OK)
        result = calls->open(settings, &sink, error);
    if (result == FG_OK && calls->reader_open != NULL)
        result = calls->reader_open(settings, &reader, error);
    if (result == FG_OK && calls->reach != NULL)
        result = calls->reach(sink, error);
    if (reader != NULL)
        calls->reader_close(&reader);
    calls->close(&sink);
    return result;
}

enum fg_result relay_check_sinks(const struct relay_options *options, struct fg_error *error)
{
    for (size_t index = 0; index < options->sinks.count; index++) {
        const struct relay_sink_settings *sink = relay_options_sink(options, index);
        const struct relay_sink_calls *calls = relay_sinks[sink->type];
        enum fg_result result = calls->check != NULL ? calls->check(sink, error) : FG_OK;
        if (result != FG_OK)
            return fg_error_prefix(error, "sink %s", sink->id);
    }
    return FG_OK;
}

enum fg_result relay_check_connect(const struct relay_options *options, FILE *out)
{
    struct fg_error error;
    bool is_good = say(out, "redis", options->redis.address, try_redis(options, &error), &error);
    for (size_t index = 0; index < options->sinks.count; index++) {
        const struct relay_sink_settings *sink = relay_options_sink(options, index);
        is_good &= say(out, "sink", sink->id, try_sink(sink, &error), &error);
    }
    return is_good ? FG_OK : FG_UNREACHABLE;
}
