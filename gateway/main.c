/* main.c - flashgate: sets up in order, runs, tears down in reverse. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "flashgate/base/arguments.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"

#include "background.h"
#include "configuration.h"
#include "control.h"
#include "fleet.h"
#include "gateway.h"
#include "gateway_metrics.h"
#include "history.h"
#include "json_memory.h"
#include "listeners.h"
#include "reload.h"
#include "worker.h"

static bool wants_help, wants_version, wants_check, wants_options, wants_metrics;
static const char *config_path = "conf/flashgate.yaml";
static const char *sale_path;

static const struct fg_flag flags[] = {
    { .name = "config",
      .letter = 'c',
      .value = "FILE",
      .text = &config_path,
      .help = "the configuration (default conf/flashgate.yaml)" },
    { .name = "check", .is_set = &wants_check, .help = "check the configuration and exit" },
    { .name = "check-sale",
      .value = "FILE",
      .text = &sale_path,
      .help = "check the definition of a sale and exit" },
    { .name = "help", .letter = 'h', .is_set = &wants_help, .help = "print this and exit" },
    { .name = "help-config",
      .is_set = &wants_options,
      .help = "list the options of the configuration" },
    { .name = "help-metrics", .is_set = &wants_metrics, .help = "list the metrics" },
    { .name = "version",
      .letter = 'V',
      .is_set = &wants_version,
      .help = "print the version and exit" },
    { 0 }
};

static int fail(const struct fg_error *error)
{
    fprintf(stderr, "flashgate: %s\n", error->text);
    return fg_exit_code(error->result);
}

static void print_help(void)
{
    printf("flashgate - the gateway in front of a flash sale\n\n"
           "usage: flashgate [-c FILE]\n"
           "       flashgate --check -c FILE\n"
           "       flashgate --check-sale FILE\n\nflags:\n");
    fg_arguments_print_flags(flags, stdout);
    printf("\nSIGHUP reads the configuration again; what is not good changes nothing.\n"
           "SIGTERM drains and ends it; a second signal ends it at once.\n"
           "exit codes: 0 good, 2 usage or configuration, 3 Redis, a port, io_uring or the disk "
           "refused, 130 interrupted\n");
}

/* True: one of the flags that only print was given. */
static bool printed(void)
{
    if (wants_help)
        print_help();
    else if (wants_version)
        printf("flashgate %s\n", FG_VERSION);
    else if (wants_options)
        fg_config_print_options(gateway_option_table, stdout);
    else if (wants_metrics)
        gateway_metrics_print(stdout);
    return wants_help || wants_version || wants_options || wants_metrics;
}

static int check_sale(void)
{
    struct fg_sale_definition sale;
    struct fg_error error;
    if (fg_sale_load(sale_path, &sale, &error) != FG_OK)
        return fail(&error);
    printf("%s: good\n", sale_path);
    fg_sale_free(&sale);
    return 0;
}

/* As many descriptors as this user may have: the connections are bounded by the configuration. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum fg_result make_state_folder(const struct gateway *gateway, struct fg_error *error)
{
    if (mkdir(gateway->options->state_dir, 0755) == 0 ||
        access_is_a_folder(gateway->options->state_dir))
        return FG_OK;
    return fg_error_set(error, FG_UNREACHABLE, "state_dir %s cannot be made: %m",
                        gateway->options->state_dir);
}

static enum fg_result start_workers(struct gateway *gateway, const char *password,
                                    struct fg_error *error)
{
    struct worker_listeners listeners;
    enum fg_result result = listeners_open(gateway->options, &listeners, error);
    gateway->workers = calloc(gateway->options->threads, sizeof(struct worker *));
    if (result == FG_OK && gateway->workers == NULL)
        result = fg_error_set(error, FG_UNREACHABLE, "out of memory");
    for (unsigned i = 0; i < gateway->options->threads && result == FG_OK; i++) {
        result =
            worker_start(gateway, i, listeners_of_worker(&listeners, i), listeners.addresses,
                         password, reload_settings(gateway->reload), &gateway->workers[i], error);
        if (result == FG_OK)
            gateway->worker_count++;
    }
    return result;
}

static void stop_workers(struct gateway *gateway)
{
    for (unsigned i = 0; i < gateway->worker_count; i++)
        worker_join(gateway->workers[i]);
    history_stop(&gateway->history); /* it wakes workers, and none waits for it any more */
    for (unsigned i = 0; i < gateway->worker_count; i++)
        worker_free(&gateway->workers[i]);
    free(gateway->workers);
}

static int run(struct gateway *gateway, const char *password)
{
    struct fg_error error;
    /* The folder's lock first: a second gateway of the same configuration is told so, not of a port in use. */
    if (make_state_folder(gateway, &error) != FG_OK ||
        background_open(gateway, &gateway->background, &error) != FG_OK ||
        control_open(gateway, &gateway->control, &error) != FG_OK ||
        history_start(gateway, &gateway->history, &error) != FG_OK ||
        start_workers(gateway, password, &error) != FG_OK ||
        fleet_start(gateway, &gateway->fleet, &error) != FG_OK ||
        background_run(gateway->background, control_ring(gateway->control), &error) != FG_OK) {
        atomic_store(&gateway->phase, GATEWAY_ENDING); /* for the workers that run already */
        for (unsigned i = 0; i < gateway->worker_count; i++)
            worker_wake(gateway->workers[i]);
        fleet_stop(&gateway->fleet);
        stop_workers(gateway);
        background_close(
            &gateway->background); /* an embedded Redis must not outlive a failed start */
        return fail(&error);
    }
    fg_log(FG_LOG_INFO, "started", FG_NUMBER_FIELD("workers", gateway->worker_count),
           FG_STRING_FIELD("redis", gateway->options->redis.address));
    int exit_code = control_run(gateway->control);

    background_stop(gateway->background);
    background_finish_jobs(gateway->background);
    fleet_stop(&gateway->fleet);
    control_close(&gateway->control);
    stop_workers(gateway);
    background_close(&gateway->background);
    fg_log(FG_LOG_INFO, "ended", FG_NUMBER_FIELD("exit", exit_code));
    return exit_code;
}

int main(int argc, char **argv)
{
    static struct gateway gateway;
    struct configuration *configuration; /* held to the end: its options are those of the start */
    struct fg_error error;
    char *password = NULL;
    int words;
    if (fg_arguments_parse(argc, argv, flags, &words, &error) != FG_OK)
        return fail(&error);
    if (words > 0) {
        fg_error_set(&error, FG_INVALID, "unexpected \"%s\", expected only flags (see --help)",
                     argv[1]);
        return fail(&error);
    }
    if (printed())
        return 0;
    if (sale_path != NULL)
        return check_sale();
    if (!wants_check)
        control_block_signals(); /* first: a SIGHUP that comes early must not end it */
    if (configuration_load(config_path, CONFIGURATION_START, &configuration, &error) != FG_OK)
        return fail(&error);
    if (wants_check) {
        printf("%s: good\n", config_path);
        configuration_release(&configuration);
        return 0;
    }
    gateway.options = &configuration->options;
    fg_log_configure("flashgate", (enum fg_log_level)gateway.options->log_level,
                     (enum fg_log_format)gateway.options->log_format);
    gateway.started_ns = fg_clock_steady_ns();
    json_memory_install();
    raise_descriptor_limit();
    if (fg_redis_password(&gateway.options->redis, &password, &error) != FG_OK ||
        reload_open(&gateway, config_path, configuration, &gateway.reload, &error) != FG_OK)
        return fail(&error);
    int exit_code = run(&gateway, password);
    free(password);
    reload_close(&gateway.reload);
    configuration_release(&configuration);
    return exit_code;
}
