/* main.c - flashgate-relay: reads its flags and config, sets up in order, runs, tears down in reverse. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auditor.h"
#include "check_connect.h"
#include "control.h"
#include "delivery.h"
#include "flashgate/base/arguments.h"
#include "flashgate/base/hash.h"
#include "flashgate/base/log.h"
#include "relay_metrics.h"
#include "relay_options.h"
#include "sweeper.h"

static const char *config_path;
static bool wants_check, wants_check_connect, wants_help, wants_help_config, wants_help_metrics,
    wants_version;

static const struct fg_flag flags[] = {
    { .name = "config",
      .letter = 'c',
      .value = "FILE",
      .help = "the config file",
      .text = &config_path },
    { .name = "check",
      .help = "check the config file and the files it names, and end",
      .is_set = &wants_check },
    { .name = "check-connect",
      .help = "as --check, then try to reach Redis and every sink, and end",
      .is_set = &wants_check_connect },
    { .name = "help",
      .letter = 'h',
      .help = "say this, and every option of the config file",
      .is_set = &wants_help },
    { .name = "help-config",
      .help = "list the options of the config file alone",
      .is_set = &wants_help_config },
    { .name = "help-metrics", .help = "list the metrics", .is_set = &wants_help_metrics },
    { .name = "version", .letter = 'V', .help = "say the version", .is_set = &wants_version },
    { .name = NULL },
};

struct relay {
    struct relay_options options;
    char owner[RELAY_OWNER_BYTES];
    struct relay_metrics *metrics;
    struct relay_control *control;
    struct relay_delivery *deliveries[RELAY_SINKS_MAX];
    size_t delivery_count;
    struct relay_sweeper *sweeper;
    struct relay_auditor *auditor;
};

static void print_help(void)
{
    printf("usage: flashgate-relay -c FILE\n"
           "\n"
           "Takes the ledger's events from Redis to the sinks, each exactly once; returns to stock "
           "what\n"
           "was held and not paid for; compares the books all the time.\n"
           "\n"
           "flags:\n");
    fg_arguments_print_flags(flags, stdout);
    printf("\nthe config file (YAML):\n");
    relay_options_print(stdout);
    printf("\nexit codes: 0 good, 2 usage or config, 3 a port, io_uring or the disk refused,\n"
           "130 interrupted by a second signal\n");
}

/* Who holds a lease, for people and for Redis: never the same twice, so that a relay that starts anew is
 * not taken for the one that died. */
static void name_owner(char owner[RELAY_OWNER_BYTES])
{
    char host[64];
    unsigned drawn;
    if (gethostname(host, sizeof host) != 0)
        strcpy(host, "unknown");
    host[sizeof host - 1] = '\0';
    fg_random(&drawn, sizeof drawn);
    snprintf(owner, RELAY_OWNER_BYTES, "%s:%ld:%08x", host, (long)getpid(), drawn);
}

/* The ring reads the signals that stop it; a hung-up peer or a file that may not grow is an error of the
 * call that met it, not an end. */
static void prepare_signals(void)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    pthread_sigmask(SIG_BLOCK, &wanted, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

static enum fg_result start_deliveries(struct relay *relay, struct fg_error *error)
{
    for (size_t index = 0; index < relay->options.sinks.count; index++) {
        const struct relay_delivery_settings settings = {
            .options = &relay->options,
            .sink = relay_options_sink(&relay->options, index),
            .owner = relay->owner,
            .metrics = relay->metrics,
            .index = index,
            .finished = relay_control_wake,
            .context = relay->control,
        };
        enum fg_result result = relay_delivery_start(&settings, &relay->deliveries[index], error);
        if (result != FG_OK)
            return result;
        relay->delivery_count++;
    }
    return FG_OK;
}

static enum fg_result set_up(struct relay *relay, struct fg_error *error)
{
    prepare_signals();
    name_owner(relay->owner);
    relay->metrics = relay_metrics_new(&relay->options);
    if (relay->metrics == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory for the metrics");
    enum fg_result result =
        relay_control_open(&relay->options, relay->metrics, &relay->control, error);
    if (result == FG_OK)
        result = start_deliveries(relay, error);
    if (result == FG_OK)
        result = relay_sweeper_start(&relay->options, relay_metrics_sweeper_block(relay->metrics),
                                     &relay->sweeper, error);
    if (result == FG_OK)
        result = relay_auditor_start(&relay->options, relay_metrics_auditor_block(relay->metrics),
                                     &relay->auditor, error);
    return result;
}

static void tear_down(struct relay *relay)
{
    relay_auditor_stop(relay->auditor);
    relay_sweeper_stop(relay->sweeper);
    for (size_t index = 0; index < relay->delivery_count; index++)
        relay_delivery_stop(relay->deliveries[index]);
    relay_auditor_free(&relay->auditor);
    relay_sweeper_free(&relay->sweeper);
    while (relay->delivery_count > 0)
        relay_delivery_free(&relay->deliveries[--relay->delivery_count]);
    relay_control_close(&relay->control);
    relay_metrics_free(&relay->metrics);
    relay_options_free(&relay->options);
}

static int run(struct relay *relay)
{
    struct fg_error error;
    enum fg_result result = set_up(relay, &error);
    if (result == FG_OK) {
        fg_log(FG_LOG_INFO, "started", FG_STRING_FIELD("version", FG_VERSION),
               FG_STRING_FIELD("owner", relay->owner),
               FG_STRING_FIELD("redis", relay->options.redis.address),
               FG_NUMBER_FIELD("sinks", relay->options.sinks.count));
        relay_control_run(relay->control, relay->deliveries, relay->delivery_count, relay->auditor);
    } else {
        fprintf(stderr, "flashgate-relay: %s\n", error.text);
    }
    tear_down(relay);
    if (result == FG_OK)
        fg_log(FG_LOG_INFO, "stopped");
    return fg_exit_code(result);
}

static int check_and_run(void)
{
    static struct relay relay;
    struct fg_error error;
    enum fg_result result = relay_options_load(config_path, &relay.options, &error);
    if (result != FG_OK) {
        fprintf(stderr, "%s\n", error.text);
        return fg_exit_code(FG_INVALID);
    }
    fg_log_configure("flashgate-relay", (enum fg_log_level)relay.options.log_level,
                     (enum fg_log_format)relay.options.log_format);
    if (wants_check) {
        result = relay_check_sinks(&relay.options, &error);
        if (result == FG_OK)
            printf("%s: good\n", config_path);
        else
            fprintf(stderr, "%s: %s\n", config_path, error.text);
        relay_options_free(&relay.options);
        return fg_exit_code(result);
    }
    if (wants_check_connect) {
        result = relay_check_connect(&relay.options, stdout);
        relay_options_free(&relay.options);
        return fg_exit_code(result);
    }
    return run(&relay);
}

int main(int argc, char **argv)
{
    struct fg_error error;
    int words = 0;
    enum fg_result result = fg_arguments_parse(argc, argv, flags, &words, &error);
    if (result == FG_OK && words > 0)
        result = fg_error_set(&error, FG_INVALID, "unexpected \"%s\"", argv[1]);
    if (result == FG_OK && wants_help)
        print_help();
    else if (result == FG_OK && wants_help_config)
        relay_options_print(stdout);
    else if (result == FG_OK && wants_help_metrics)
        relay_metrics_print(stdout);
    else if (result == FG_OK && wants_version)
        printf("flashgate-relay %s\n", FG_VERSION);
    else if (result == FG_OK && config_path == NULL)
        result = fg_error_set(&error, FG_INVALID, "no config file, expected -c FILE");
    else if (result == FG_OK)
        return check_and_run();
    if (result == FG_OK)
        return EXIT_SUCCESS;
    fprintf(stderr, "flashgate-relay: %s; see flashgate-relay --help\n", error.text);
    return fg_exit_code(result);
}
