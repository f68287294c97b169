/* test_sinks_http_contract.c - the contract of all sinks, kept by the HTTP sink and a receiver that looks at keys. With
 * one request at a time, for events of different orders may overtake each other. */
#include "sink_contract.h"

#include "flashgate/base/clock.h"
#include "http_receiver.h"

enum {
    TAKEN_MAX = 3 * RELAY_BATCH_MAX
};

static char taken[TAKEN_MAX][sizeof((struct post *)0)->key], poisoned[RELAY_ID_BYTES];
static int taken_count;
static bool is_away;

/* Under the receiver's lock. */
static const char *take(const struct post *post)
{
    if (is_away)
        return "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n";
    if (strcmp(post->key, poisoned) == 0)
        return "HTTP/1.1 422 X\r\nContent-Length: 2\r\n\r\nno";
    for (int i = 0; i < taken_count; i++)
        if (strcmp(taken[i], post->key) == 0)
            return ok;
    assert_true(taken_count < TAKEN_MAX);
    snprintf(taken[taken_count++], sizeof taken[0], "%s", post->key);
    return ok;
}

static const struct relay_sink_settings *make(void)
{
    static struct relay_sink_settings settings;
    start_receiver();
    answer_with(take);
    taken_count = 0;
    poisoned[0] = '\0';
    is_away = false;
    settings = (struct relay_sink_settings){ .url = url,
                                             .requests = 1,
                                             .timeout_ns = 60 * FG_SECOND_IN_NS };
    return &settings;
}

static const char *ids(void)
{
    static char list[TAKEN_MAX * (sizeof taken[0] + 1)];
    char *at = list;
    list[0] = '\0';
    for (int i = 0; i < taken_count; i++)
        at += sprintf(at, "%s ", taken[i]);
    return list;
}

static void go_away(void)
{
    is_away = true;
}

static void come_back(void)
{
    is_away = false;
}

static void poison(const char *event_id)
{
    snprintf(poisoned, sizeof poisoned, "%s", event_id);
}

int main(void)
{
    /* What it knows it knows by heart, until it is closed: so nothing is promised of that. */
    static const struct sink_contract contract = {
        .calls = &relay_sink_http,
        .make = make,
        .remove = stop_receiver,
        .ids = ids,
        .go_away = go_away,
        .come_back = come_back,
        .poison = poison,
    };
    return sink_contract_run(&contract);
}
