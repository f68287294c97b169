/* control.c - see control.h.
 *
 *   serving ──SIGTERM, SIGINT──► noticing ──drain_notice──► draining ──workers ended──► (return)
 *                                                              └──drain_timeout──► ending ──┘
 *   a second signal, at any time: exit 130 at once
 */
#include "control.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "flashgate/base/state.h"
#include "flashgate/http/router.h"

#include "admin.h"
#include "background.h"
#include "fleet.h"
#include "gateway_metrics.h"
#include "health.h"
#include "listeners.h"
#include "reload.h"
#include "worker.h"

enum {
    EXIT_INTERRUPTED = 130,
    SERVERS_MAX = 3, /* metrics, admin, admin over TCP */
    CONTROL_CONNECTIONS = 256,
    CONTROL_REQUESTS = 64,
    BACKLOG = 64,
    NICENESS = 10 /* of 19 */
};
enum {
    ADMIN_BODY_BYTES = FG_CONFIG_FILE_BYTES /* a configuration */
};

static const uint64_t request_timeout_ns = 10 * FG_SECOND_IN_NS;
static const uint64_t check_interval_ns = 20 * FG_MS_IN_NS;
static const uint64_t tend_interval_ns = 100 * FG_MS_IN_NS;

static const struct fg_state phases[] = {
    [GATEWAY_SERVING] = { "serving", FG_STATE_BIT(GATEWAY_NOTICING) },
    [GATEWAY_NOTICING] = { "noticing", FG_STATE_BIT(GATEWAY_DRAINING) },
    [GATEWAY_DRAINING] = { "draining", FG_STATE_BIT(GATEWAY_ENDING) },
    [GATEWAY_ENDING] = { "ending", 0 },
};

struct control {
    struct gateway *gateway;
    struct fg_ring *ring;
    struct fg_http_server *metrics, *admin;
    struct fg_http_server *remote; /* the admin listeners over TCP; NULL: there are none */
    struct fg_watch signals;
    int signal_fd;
    struct fg_timer phase_ends; /* drain_notice, then drain_timeout */
    struct fg_timer tends;      /* the limits' tables and old settings */
    uint8_t phase;
    char *page; /* of metrics */
};

static void move_to(struct control *control, enum gateway_phase phase)
{
    fg_state_move(phases, &control->phase, (uint8_t)phase);
    atomic_store(&control->gateway->phase, phase);
    fg_log(FG_LOG_INFO, "phase", FG_STRING_FIELD("phase", phases[phase].name));
    for (unsigned i = 0; i < control->gateway->worker_count; i++)
        worker_wake(control->gateway->workers[i]);
}

static const struct gateway_options *options_of(const struct control *control)
{
    return &reload_configuration(control->gateway->reload)->options;
}

static void set_phase_end(struct control *control, uint64_t in_ns)
{
    fg_timer_set(fg_ring_timers(control->ring), &control->phase_ends,
                 fg_ring_now_ns(control->ring) + in_ns);
}

static void on_phase_ends(struct fg_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct control *control = FG_CONTAINER_OF(timer, struct control, phase_ends);
    if (control->phase == GATEWAY_NOTICING) {
        move_to(control, GATEWAY_DRAINING);
        set_phase_end(control, options_of(control)->drain_timeout_ns);
    } else if (control->phase == GATEWAY_DRAINING) {
        move_to(control, GATEWAY_ENDING);
    }
}

/* Without a fleet nothing is known, which is not the same as being alone: the gateway has not begun, or ends. */
static void take_share(struct gateway *gateway)
{
    if (gateway->fleet != NULL)
        reload_share(gateway->reload, fleet_alive(gateway->fleet));
}

static void on_tend(struct fg_timer *timer, uint64_t now_ns)
{
    struct control *control = FG_CONTAINER_OF(timer, struct control, tends);
    take_share(control->gateway); /* again, should it have failed for want of memory */
    reload_tend(control->gateway->reload);
    fg_timer_set(fg_ring_timers(control->ring), timer, now_ns + tend_interval_ns);
}

/* The log has told how it went. */
static void reload_by_signal(struct control *control)
{
    struct fg_error error;
    if (reload_file(control->gateway->reload, NULL, NULL, &error) != FG_OK)
        return;
}

static void on_signal(struct fg_watch *watch)
{
    struct control *control = FG_CONTAINER_OF(watch, struct control, signals);
    struct signalfd_siginfo info;
    if (read(control->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    fg_log(FG_LOG_INFO, "signal", FG_NUMBER_FIELD("signal", info.ssi_signo),
           FG_NUMBER_FIELD("from_pid", info.ssi_pid));
    if (info.ssi_signo == SIGHUP) {
        reload_by_signal(control);
        return;
    }
    if (control->phase != GATEWAY_SERVING)
        _exit(EXIT_INTERRUPTED);
    move_to(control, GATEWAY_NOTICING);
    set_phase_end(control, options_of(control)->drain_notice_ns);
}

static void on_woken(void *owner)
{
    struct gateway *gateway = ((struct control *)owner)->gateway;
    background_finish_jobs(gateway->background);
    take_share(gateway);
}

/* --- the metrics listener --------------------------------------------------------------------------- */

static struct control *control_of(const struct fg_http_request *request)
{
    return fg_http_server_owner(request->server);
}

static void handle_metrics(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    struct control *control = control_of(request);
    struct fg_buffer page = fg_buffer_over(control->page, GATEWAY_PAGE_BYTES);
    gateway_metrics_render(control->gateway, &page);
    if (page.overflowed) {
        fg_http_refuse(request, FG_PROBLEM_INTERNAL, 0, FG_TEXT("the page is too large"));
        return;
    }
    fg_http_begin(request, 200, "text/plain; version=0.0.4; charset=utf-8");
    fg_http_end(request, fg_buffer_text(&page));
}

static void handle_alive(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    health_answer_alive(request);
}

static void handle_ready(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    health_answer_ready(request, control_of(request)->gateway);
}

static const struct fg_route metrics_routes[] = {
    { FG_HTTP_GET, "/metrics", handle_metrics, "metrics" },
    { FG_HTTP_GET, "/healthz", handle_alive, "healthz" },
    { FG_HTTP_GET, "/readyz", handle_ready, "readyz" },
    { 0 }
};

static void handle_metrics_listener(struct fg_http_request *request)
{
    fg_route_dispatch(metrics_routes, request, 0);
}

/* --- opening ---------------------------------------------------------------------------------------- */

static enum fg_result open_server(struct control *control, void (*handle)(struct fg_http_request *),
                                  void *owner, struct fg_http_server **server_r,
                                  struct fg_error *error)
{
    struct fg_http_server_settings settings = {
        .connections = CONTROL_CONNECTIONS,
        .requests = CONTROL_REQUESTS,
        .header_bytes = 8 << 10,
        .body_bytes = ADMIN_BODY_BYTES,
        .header_timeout_ns = request_timeout_ns,
        .body_timeout_ns = request_timeout_ns,
        .idle_timeout_ns = 60 * FG_SECOND_IN_NS,
        .send_timeout_ns = request_timeout_ns,
        .handle = handle,
        .owner = owner,
    };
    return fg_http_server_open(control->ring, &settings, server_r, error);
}

static enum fg_result listen_on(struct fg_http_server *server, const struct fg_address *address,
                                const char *what, struct fg_error *error)
{
    char text[FG_ADDRESS_TEXT_BYTES];
    int fd = fg_listen(address, false, BACKLOG, error);
    if (fd < 0)
        return error->result;
    fg_address_text(address, text);
    fg_log(FG_LOG_INFO, "listening", FG_STRING_FIELD("what", what),
           FG_STRING_FIELD("address", text));
    return fg_http_server_listen(server, fd, error);
}

/* Those over TCP have a server of their own: who may do what is decided by where a request came in, never by
 * asking its connection, which may be gone; and what strangers send takes no place from the unix sockets. */
static enum fg_result listen_for_admin(struct control *control, const struct fg_address *address,
                                       struct fg_error *error)
{
    enum fg_result result = FG_OK;
    if (fg_address_is_local(address))
        return listen_on(control->admin, address, "admin", error);
    if (control->remote == NULL)
        result =
            open_server(control, admin_handle_remote, control->gateway, &control->remote, error);
    return result == FG_OK ? listen_on(control->remote, address, "admin", error) : result;
}

static enum fg_result open_listeners(struct control *control, struct fg_error *error)
{
    const struct gateway_options *options = control->gateway->options;
    enum fg_result result =
        open_server(control, handle_metrics_listener, control, &control->metrics, error);
    if (result == FG_OK)
        result = open_server(control, admin_handle, control->gateway, &control->admin, error);
    if (result == FG_OK)
        result = listen_on(control->metrics, &options->metrics_at, "metrics", error);
    for (size_t i = 0; i < options->listen_admin.count && result == FG_OK; i++)
        result = listen_for_admin(control, &options->admin_at[i], error);
    return result;
}

static void fill_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

void control_block_signals(void)
{
    sigset_t set;
    fill_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static enum fg_result open_signals(struct control *control, struct fg_error *error)
{
    sigset_t set;
    fill_signals(&set);
    control->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (control->signal_fd < 0)
        return fg_error_set(error, FG_UNREACHABLE, "signalfd: %m");
    control->signals.readable = on_signal;
    return fg_watch_start(control->ring, &control->signals, control->signal_fd, error);
}

enum fg_result control_open(struct gateway *gateway, struct control **control_r,
                            struct fg_error *error)
{
    struct control *control = calloc(1, sizeof *control);
    struct fg_ring_settings ring = { .entries = 256,
                                     .buffers = 512,
                                     .buffer_bytes = 4096,
                                     .sockets = SERVERS_MAX * CONTROL_CONNECTIONS + 64,
                                     .woken = on_woken,
                                     .owner = control };
    if (control == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    control->gateway = gateway;
    control->signal_fd = -1;
    control->page = malloc(GATEWAY_PAGE_BYTES);
    fg_timer_init(&control->phase_ends, on_phase_ends);
    fg_timer_init(&control->tends, on_tend);
    gateway->control_metrics = gateway_metrics_block_new();
    *control_r = control;
    if (control->page == NULL || gateway->control_metrics == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    enum fg_result result = fg_ring_open(&ring, &control->ring, error);
    if (result == FG_OK)
        result = open_signals(control, error);
    if (result == FG_OK)
        result = open_listeners(control, error);
    if (result == FG_OK)
        fg_timer_set(fg_ring_timers(control->ring), &control->tends,
                     fg_ring_now_ns(control->ring) + tend_interval_ns);
    return result;
}

struct fg_ring *control_ring(struct control *control)
{
    return control->ring;
}

/* --- running ---------------------------------------------------------------------------------------- */

static bool workers_have_ended(const struct control *control)
{
    for (unsigned i = 0; i < control->gateway->worker_count; i++)
        if (!worker_has_ended(control->gateway->workers[i]))
            return false;
    return true;
}

/* A reload of a thousand rules, or a page of metrics, is work of milliseconds: workers that are ready to run do
 * not wait for it. Once here every other thread is started, for they would inherit it. */
static void step_back(void)
{
    if (setpriority(PRIO_PROCESS, 0, NICENESS) != 0)
        fg_log(FG_LOG_WARN, "niceness_not_changed", FG_STRING_FIELD("reason", strerror(errno)));
}

int control_run(struct control *control)
{
    step_back();
    while (control->phase < GATEWAY_DRAINING || !workers_have_ended(control))
        fg_ring_turn(control->ring,
                     control->phase == GATEWAY_SERVING ? FG_SECOND_IN_NS : check_interval_ns);
    return 0;
}

static void drain_server(struct control *control, struct fg_http_server **server)
{
    if (*server == NULL)
        return;
    fg_http_server_abort(*server);
    while (!fg_http_server_is_drained(*server)) {
        fg_ring_turn(control->ring, check_interval_ns);
    }
    fg_http_server_free(server);
}

void control_close(struct control **control_p)
{
    struct control *control = *control_p;
    if (control == NULL)
        return;
    const struct gateway_options *options = control->gateway->options;
    if (control->ring != NULL) {
        drain_server(control, &control->remote);
        drain_server(control, &control->admin);
        drain_server(control, &control->metrics);
        if (control->signal_fd >= 0) {
            fg_watch_stop(&control->signals);
            while (control->signals.ring != NULL &&
                   fg_ring_counts(control->ring)->sockets_in_use > 0)
                fg_ring_turn(control->ring, check_interval_ns);
            close(control->signal_fd);
        }
        fg_ring_close(&control->ring);
    }
    for (size_t i = 0; i < options->listen_admin.count; i++)
        if (fg_address_is_local(&options->admin_at[i]))
            unlink(options->admin_at[i].socket.local.sun_path);
    fg_metrics_block_free(&control->gateway->control_metrics);
    free(control->page);
    free(control);
    *control_p = NULL;
}
