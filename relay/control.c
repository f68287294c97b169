/* control.c - see control.h.
 *
 * Stopping goes in order: a signal asks the deliveries to end; when the last one has, the listeners and
 * connections are drained, for a bounded time; then the loop ends. Until then /healthz answers and /readyz
 * says no. */
#include "control.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin_archive.h"
#include "admin_orders.h"
#include "admin_dead.h"
#include "audit.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "flashgate/http/access_request.h"
#include "flashgate/http/router.h"
#include "flashgate/ratelimit/breaker_json.h"
#include "flashgate/http/server.h"
#include "flashgate/ring/ring.h"
#include "inquiry.h"
#include "json_page.h"

enum {
    RING_ENTRIES = 64,
    RING_BUFFERS = 64,
    RING_BUFFER_BYTES = 4096,
    RING_SOCKETS = 256,
    CONNECTIONS = 64, /* of each server */
    REQUESTS = 32,
    HEADER_BYTES = 8192,
    BODY_BYTES = 16384, /* as many ids as one question about dead letters may have */
    LISTEN_BACKLOG = 64,
    AUDITS_WAITING = 8,
    ADMIN_RETRY_MS = 1000,
    DRAIN_MS = 500,
    TURN_MS = 1000,
    EXIT_INTERRUPTED = 130,
};

struct relay_control {
    const struct relay_options *options;
    struct relay_metrics *metrics;
    struct relay_delivery *const *deliveries;
    size_t delivery_count;
    struct relay_auditor *auditor;
    uint64_t started_ns;
    struct fg_ring *ring;
    struct fg_http_server *metrics_server, *admin_server;
    struct fg_http_server *remote_server; /* admin over TCP; NULL: there is none */
    size_t more_listening;                /* of options->admin */
    struct fg_address admin_address;
    char *admin_path;
    struct fg_timer admin_retry;
    bool is_admin_listening, was_admin_refused;
    struct fg_watch signals;
    bool is_stopping, is_watching;
    struct relay_audit *audit;
    struct fg_http_request *audits_waiting[AUDITS_WAITING];
    size_t audits_waiting_count;
    struct relay_inquiry *inquiry;
    struct relay_admin_dead dead;
    struct relay_admin_archive archive;
};

static struct relay_control *control_of(const struct fg_http_request *request)
{
    return fg_http_server_owner(request->server);
}

/* --- answers ---------------------------------------------------------------------------------------- */

static const char json_type[] = "application/json";
static const char text_type[] = "text/plain; charset=utf-8";

static void answer(struct fg_http_request *request, int status, const char *type,
                   struct fg_text body)
{
    fg_http_begin(request, status, type);
    fg_http_field(request, "Cache-Control", FG_TEXT("no-store"));
    fg_http_end(request, body);
}

static bool is_delivery_ready(struct relay_delivery *delivery)
{
    struct relay_status_sums sums = relay_delivery_sums(delivery);
    return relay_status_is_ready(&sums);
}

static bool is_ready(struct relay_control *control)
{
    bool ready = !control->is_stopping && control->delivery_count > 0;
    for (size_t index = 0; ready && index < control->delivery_count; index++)
        ready = is_delivery_ready(control->deliveries[index]);
    relay_metrics_set_ready(control->metrics, ready);
    return ready;
}

static void get_healthz(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    answer(request, 200, text_type, FG_TEXT("alive\n"));
}

static void get_readyz(struct fg_http_request *request, const struct fg_route_match *match)
{
    enum {
        REASON_BYTES = 2048
    };
    struct relay_control *control = control_of(request);
    char memory[REASON_BYTES];
    struct fg_buffer reason = fg_buffer_over(memory, sizeof memory);
    (void)match;
    if (is_ready(control)) {
        answer(request, 200, text_type, FG_TEXT("ready\n"));
        return;
    }
    fg_buffer_add_string(&reason, control->is_stopping ? "not ready: stopping\n" : "not ready: ");
    for (size_t index = 0; !control->is_stopping && index < control->delivery_count; index++) {
        struct relay_status_sums sums = relay_delivery_sums(control->deliveries[index]);
        relay_status_add_reason(&sums, relay_delivery_sink_id(control->deliveries[index]), &reason);
    }
    answer(request, 503, text_type,
           reason.overflowed ? FG_TEXT("not ready\n") : fg_buffer_text(&reason));
}

static void get_metrics(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct relay_control *control = control_of(request);
    (void)match;
    (void)is_ready(control); /* brings its gauge up to date */
    for (size_t index = 0; index < control->delivery_count; index++) {
        struct relay_status_sums sums = relay_delivery_sums(control->deliveries[index]);
        relay_metrics_tell_sink(control->metrics, index, &sums,
                                relay_delivery_breaker(control->deliveries[index]));
    }
    answer(request, 200, "text/plain; version=0.0.4; charset=utf-8",
           relay_metrics_page(control->metrics));
}

static void write_status(void *context, struct fg_buffer *out)
{
    struct relay_control *control = context;
    bool is_connected = control->delivery_count > 0;
    for (size_t index = 0; index < control->delivery_count; index++) {
        struct relay_status_sums sums = relay_delivery_sums(control->deliveries[index]);
        is_connected &= sums.redis_connected == sums.lanes;
    }
    fg_buffer_add_format(
        out,
        "{\"program\":\"flashgate-relay\",\"version\":\"%s\",\"pid\":%ld,\"uptime_s\":%" PRIu64
        ",\"ready\":%s,\"redis\":{\"address\":",
        FG_VERSION, (long)getpid(), (fg_clock_steady_ns() - control->started_ns) / FG_SECOND_IN_NS,
        is_ready(control) ? "true" : "false");
    fg_buffer_add_json_string(out, fg_text_of(control->options->redis.address));
    fg_buffer_add_format(out, ",\"connected\":%s},\"sinks\":[", is_connected ? "true" : "false");
    for (size_t index = 0; index < control->delivery_count; index++) {
        if (index > 0)
            fg_buffer_add_byte(out, ',');
        relay_delivery_add_json(control->deliveries[index], out);
    }
    fg_buffer_add_string(out, "]}\n");
}

static void answer_page(struct fg_http_request *request,
                        void (*write)(void *context, struct fg_buffer *out))
{
    struct fg_text page;
    char *memory = relay_json_page(write, control_of(request), &page);
    if (memory == NULL)
        fg_http_refuse(request, FG_PROBLEM_INTERNAL, 0, FG_TEXT("no memory for this answer"));
    else
        answer(request, 200, json_type, page);
    free(memory);
}

static void get_status(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    answer_page(request, write_status);
}

/* --- breakers --------------------------------------------------------------------------------------- */

static void add_breaker(struct fg_buffer *out, const struct relay_delivery *delivery)
{
    const struct fg_breaker_view *view = relay_delivery_breaker(delivery);
    fg_breaker_add_json(out, relay_delivery_breaker_id(delivery), relay_delivery_sink_id(delivery),
                        (enum fg_breaker_force)atomic_load(&view->force), view,
                        fg_clock_steady_ns());
}

static void get_breakers(struct fg_http_request *request, const struct fg_route_match *match)
{
    enum {
        BREAKER_BYTES = 1024 /* two ids and sixteen numbers */
    };
    struct relay_control *control = control_of(request);
    char memory[RELAY_SINKS_MAX * BREAKER_BYTES];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    (void)match;
    fg_buffer_add_string(&out, "{\"breakers\":[");
    for (size_t index = 0; index < control->delivery_count; index++) {
        if (index > 0)
            fg_buffer_add_byte(&out, ',');
        add_breaker(&out, control->deliveries[index]);
    }
    fg_buffer_add_string(&out, "]}\n");
    assert(!out.overflowed);
    answer(request, 200, json_type, fg_buffer_text(&out));
}

static struct relay_delivery *find_breaker(const struct relay_control *control, struct fg_text id)
{
    for (size_t index = 0; index < control->delivery_count; index++)
        if (fg_text_equal(id, fg_text_of(relay_delivery_breaker_id(control->deliveries[index]))))
            return control->deliveries[index];
    return NULL;
}

static bool is_off(const struct relay_delivery *delivery)
{
    return atomic_load(&relay_delivery_breaker(delivery)->mode) == FG_MODE_OFF;
}

/* Answered with all breakers. */
static void force_breaker(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct relay_delivery *delivery = find_breaker(control_of(request), match->parameters[0]);
    enum fg_breaker_force force;
    if (delivery == NULL) {
        fg_http_refuse(request, FG_PROBLEM_NOT_FOUND, 0, FG_TEXT("there is no such breaker"));
    } else if (!fg_breaker_read_force(fg_http_body(&request->parser), &force)) {
        fg_http_refuse(
            request, FG_PROBLEM_BAD_REQUEST, 0,
            FG_TEXT("expected {\"to\":\"open\"}, or closed, observe or automatic instead of open"));
    } else if (is_off(delivery)) {
        fg_http_refuse(request, FG_PROBLEM_CONFLICT, 0,
                       FG_TEXT("the breaker is off; its mode is in the config"));
    } else {
        fg_log(FG_LOG_WARN, "breaker_forced",
               FG_STRING_FIELD("breaker", relay_delivery_breaker_id(delivery)),
               FG_STRING_FIELD("to", fg_breaker_force_words[force]));
        relay_delivery_force(delivery, force);
        get_breakers(request, match);
    }
}

/* --- audits ----------------------------------------------------------------------------------------- */

/* Answered when the audit is done; those who ask meanwhile get the same result. */
static void get_audit(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct relay_control *control = control_of(request);
    struct fg_error error;
    (void)match;
    if (control->is_stopping) {
        fg_http_refuse(request, FG_PROBLEM_BUSY, 1, FG_TEXT("the relay is stopping"));
    } else if (control->audits_waiting_count == AUDITS_WAITING) {
        fg_http_refuse(request, FG_PROBLEM_BUSY, 1, FG_TEXT("an audit is running"));
    } else if (!relay_audit_is_running(control->audit) &&
               relay_audit_start(control->audit, &error) != FG_OK) {
        fg_http_refuse(request, FG_PROBLEM_INTERNAL, 0, fg_text_of(error.text));
    } else {
        control->audits_waiting[control->audits_waiting_count++] = request;
    }
}

static void write_audit_state(void *context, struct fg_buffer *out)
{
    relay_auditor_add_json(((struct relay_control *)context)->auditor, out);
    fg_buffer_add_byte(out, '\n');
}

/* What the auditor knows, without a look at anything. */
static void get_audit_state(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    if (control_of(request)->auditor == NULL)
        fg_http_refuse(request, FG_PROBLEM_BUSY, 1, FG_TEXT("the relay is stopping"));
    else
        answer_page(request, write_audit_state);
}

static void refuse_audits(struct relay_control *control, struct fg_text reason)
{
    for (size_t index = 0; index < control->audits_waiting_count; index++)
        fg_http_refuse(control->audits_waiting[index], FG_PROBLEM_BUSY, 1, reason);
    control->audits_waiting_count = 0;
}

static void answer_audits(struct relay_control *control)
{
    struct fg_text json;
    if (!relay_audit_take(control->audit, &json))
        return;
    if (json.length == 0)
        refuse_audits(control, FG_TEXT("no memory for the result"));
    for (size_t index = 0; index < control->audits_waiting_count; index++)
        answer(control->audits_waiting[index], 200, json_type, json);
    control->audits_waiting_count = 0;
}

/* --- orders ----------------------------------------------------------------------------------------- */

static void get_orders(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    relay_admin_orders_search(control_of(request)->inquiry, request);
}

static void get_order(struct fg_http_request *request, const struct fg_route_match *match)
{
    relay_admin_orders_find(control_of(request)->inquiry, request, match->parameters[0]);
}

/* --- dead letters ----------------------------------------------------------------------------------- */

static void get_dead(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    relay_admin_dead_list(&control_of(request)->dead, request);
}

static void get_dead_letter(struct fg_http_request *request, const struct fg_route_match *match)
{
    relay_admin_dead_show(&control_of(request)->dead, request, match->parameters[0]);
}

static void retry_dead(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    relay_admin_dead_change(&control_of(request)->dead, request, RELAY_DEAD_RETRY);
}

static void drop_dead(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    relay_admin_dead_change(&control_of(request)->dead, request, RELAY_DEAD_DROP);
}

/* --- archives and reports --------------------------------------------------------------------------- */

static void post_archive(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    relay_admin_archive_start(&control_of(request)->archive, request);
}

static void get_archive(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    relay_admin_archive_progress(&control_of(request)->archive, request);
}

static void get_archive_audit(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    relay_admin_archive_audit(&control_of(request)->archive, request);
}

static void get_report(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    relay_admin_archive_report(&control_of(request)->archive, request);
}

/* A delivery's last wake may come while the control is being closed, when there is no audit any more. */
static void woken(void *owner)
{
    struct relay_control *control = owner;
    if (control->audit != NULL)
        answer_audits(control);
    if (control->inquiry != NULL)
        relay_admin_orders_answer(control->inquiry);
    if (control->dead.desk != NULL)
        relay_admin_dead_answer(&control->dead);
    if (control->archive.desk != NULL)
        relay_admin_archive_answer(&control->archive);
}

void relay_control_wake(void *control)
{
    fg_ring_wake(((struct relay_control *)control)->ring);
}

/* --- servers ---------------------------------------------------------------------------------------- */

static const struct fg_route metrics_routes[] = {
    { FG_HTTP_GET, "/metrics", get_metrics, "metrics" },
    { FG_HTTP_GET, "/healthz", get_healthz, "healthz" },
    { FG_HTTP_GET, "/readyz", get_readyz, "readyz" },
    { .pattern = NULL },
};

static const struct fg_route admin_routes[] = {
    { FG_HTTP_GET, "/admin/v1/status", get_status, "status" },
    { FG_HTTP_GET, "/admin/v1/audit", get_audit, "audit" },
    { FG_HTTP_GET, "/admin/v1/orders", get_orders, "orders" },
    { FG_HTTP_GET, "/admin/v1/orders/{order}", get_order, "order" },
    { FG_HTTP_GET, "/admin/v1/audit/state", get_audit_state, "audit_state" },
    { FG_HTTP_GET, "/admin/v1/breakers", get_breakers, "breakers" },
    { FG_HTTP_POST, "/admin/v1/breakers/{id}/force", force_breaker, "breaker_force" },
    { FG_HTTP_GET, "/admin/v1/dead", get_dead, "dead" },
    { FG_HTTP_GET, "/admin/v1/dead/{id}", get_dead_letter, "dead_letter" },
    { FG_HTTP_POST, "/admin/v1/dead/retry", retry_dead, "dead_retry" },
    { FG_HTTP_POST, "/admin/v1/dead/drop", drop_dead, "dead_drop" },
    { FG_HTTP_POST, "/admin/v1/archive", post_archive, "archive_start" },
    { FG_HTTP_GET, "/admin/v1/archive", get_archive, "archive" },
    { FG_HTTP_GET, "/admin/v1/archive/audit", get_archive_audit, "archive_audit" },
    { FG_HTTP_GET, "/admin/v1/report", get_report, "report" },
    { FG_HTTP_GET, "/metrics", get_metrics, "metrics" },
    { FG_HTTP_GET, "/healthz", get_healthz, "healthz" },
    { FG_HTTP_GET, "/readyz", get_readyz, "readyz" },
    { .pattern = NULL },
};

static void handle_metrics(struct fg_http_request *request)
{
    fg_route_dispatch(metrics_routes, request, FG_COUNT_OF(metrics_routes));
}

static void handle_admin(struct fg_http_request *request)
{
    fg_route_dispatch(admin_routes, request, FG_COUNT_OF(admin_routes));
}

static void handle_remote(struct fg_http_request *request)
{
    bool looks = (request->parser.method & (FG_HTTP_GET | FG_HTTP_HEAD)) != 0;
    unsigned needed = looks ? FG_ROLE_READ | FG_ROLE_WRITE : FG_ROLE_WRITE;
    unsigned role = fg_access_identify(control_of(request)->options->access, request);
    if ((role & needed) != 0)
        handle_admin(request);
    else if (role != 0)
        fg_access_forbid(request, needed);
}

static enum fg_result open_server(struct relay_control *control,
                                  void (*handle)(struct fg_http_request *request),
                                  struct fg_http_server **server_r, struct fg_error *error)
{
    const struct fg_http_server_settings settings = {
        .connections = CONNECTIONS,
        .requests = REQUESTS,
        .header_bytes = HEADER_BYTES,
        .body_bytes = BODY_BYTES,
        .header_timeout_ns = 5 * FG_SECOND_IN_NS,
        .body_timeout_ns = 5 * FG_SECOND_IN_NS,
        .idle_timeout_ns = 60 * FG_SECOND_IN_NS,
        .send_timeout_ns = 10 * FG_SECOND_IN_NS,
        .handle = handle,
        .owner = control,
    };
    return fg_http_server_open(control->ring, &settings, server_r, error);
}

static enum fg_result listen_on(struct fg_http_server *server, const struct fg_address *address,
                                struct fg_error *error)
{
    int fd = fg_listen(address, false, LISTEN_BACKLOG, error);
    if (fd < 0)
        return FG_UNREACHABLE;
    return fg_http_server_listen(server, fd, error);
}

static enum fg_result listen_for_metrics(struct relay_control *control, struct fg_error *error)
{
    struct fg_address address;
    if (!fg_address_parse(control->options->metrics_address, &address))
        return fg_error_set(error, FG_INVALID, "metrics: %s is not an address",
                            control->options->metrics_address);
    enum fg_result result = listen_on(control->metrics_server, &address, error);
    if (result != FG_OK)
        return fg_error_prefix(error, "metrics");
    fg_log(FG_LOG_INFO, "listening", FG_STRING_FIELD("for", "metrics"),
           FG_STRING_FIELD("address", control->options->metrics_address));
    return FG_OK;
}

/* Those over TCP have a server of their own: what strangers send takes no place from the unix sockets. */
static enum fg_result listen_for_more(struct relay_control *control, struct fg_error *error)
{
    const struct relay_options *options = control->options;
    enum fg_result result = FG_OK;
    for (size_t index = 0; result == FG_OK && index < options->admin.count; index++) {
        const struct fg_address *address = &options->admin_at[index];
        bool is_local = fg_address_is_local(address);
        if (!is_local && control->remote_server == NULL)
            result = open_server(control, handle_remote, &control->remote_server, error);
        if (result == FG_OK)
            result = listen_on(is_local ? control->admin_server : control->remote_server, address,
                               error);
        if (result != FG_OK)
            return fg_error_prefix(error, "admin");
        fg_log(FG_LOG_INFO, "listening", FG_STRING_FIELD("for", "admin"),
               FG_STRING_FIELD("address", ((char **)options->admin.items)[index]));
        control->more_listening = index + 1;
    }
    return FG_OK;
}

/* Another relay on this folder has the socket while it lives; this one stands by and takes it then. */
static void listen_for_admin(struct relay_control *control)
{
    struct fg_error error;
    if (listen_on(control->admin_server, &control->admin_address, &error) == FG_OK) {
        control->is_admin_listening = true;
        fg_log(FG_LOG_INFO, "listening", FG_STRING_FIELD("for", "admin"),
               FG_STRING_FIELD("address", control->admin_path));
        return;
    }
    if (!control->was_admin_refused)
        fg_log(FG_LOG_WARN, "admin_socket_refused", FG_STRING_FIELD("path", control->admin_path),
               FG_STRING_FIELD("reason", error.text),
               FG_STRING_FIELD("do", "nothing, if another relay runs on this state_dir: this one "
                                     "stands by and tries again every second"));
    control->was_admin_refused = true;
    fg_timer_set(fg_ring_timers(control->ring), &control->admin_retry,
                 fg_clock_steady_ns() + ADMIN_RETRY_MS * FG_MS_IN_NS);
}

/* Listening waits a little for an address to become free, which is not for this thread to do every second. */
static bool is_admin_taken(const struct relay_control *control)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_taken = fd >= 0 && connect(fd, &control->admin_address.socket.any,
                                       control->admin_address.length) == 0;
    if (fd >= 0)
        close(fd);
    return is_taken;
}

static void retry_admin(struct fg_timer *timer, uint64_t now_ns)
{
    struct relay_control *control = FG_CONTAINER_OF(timer, struct relay_control, admin_retry);
    if (control->is_stopping)
        return;
    if (is_admin_taken(control))
        fg_timer_set(fg_ring_timers(control->ring), timer, now_ns + ADMIN_RETRY_MS * FG_MS_IN_NS);
    else
        listen_for_admin(control);
}

static enum fg_result find_admin_address(struct relay_control *control, struct fg_error *error)
{
    static const char form[] = "unix:%s/relay.sock";
    size_t bytes = sizeof form + strlen(control->options->state_dir);
    if (mkdir(control->options->state_dir, 0700) != 0 && errno != EEXIST)
        return fg_error_set(error, FG_UNREACHABLE, "state_dir %s: %s", control->options->state_dir,
                            strerror(errno));
    control->admin_path = malloc(bytes);
    if (control->admin_path == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    snprintf(control->admin_path, bytes, form, control->options->state_dir);
    if (!fg_address_parse(control->admin_path, &control->admin_address))
        return fg_error_set(error, FG_INVALID,
                            "%s is too long for a socket, expected a shorter state_dir",
                            control->admin_path);
    return FG_OK;
}

/* --- signals ---------------------------------------------------------------------------------------- */

static void stop(struct relay_control *control)
{
    fg_log(FG_LOG_INFO, "stopping");
    control->is_stopping = true;
    fg_timer_stop(fg_ring_timers(control->ring), &control->admin_retry);
    for (size_t index = 0; index < control->delivery_count; index++)
        relay_delivery_stop(control->deliveries[index]);
    refuse_audits(control, FG_TEXT("the relay is stopping"));
    relay_admin_dead_stop(&control->dead);
    relay_admin_archive_stop(&control->archive);
}

static void signal_came(struct fg_watch *watch)
{
    struct relay_control *control = FG_CONTAINER_OF(watch, struct relay_control, signals);
    struct signalfd_siginfo info;
    while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (control
                ->is_stopping) /* nothing is owed to anybody: what is not acknowledged is pending */
            _exit(EXIT_INTERRUPTED);
        stop(control);
    }
}

static void signals_closed(struct fg_watch *watch)
{
    FG_CONTAINER_OF(watch, struct relay_control, signals)->is_watching = false;
}

static enum fg_result watch_signals(struct relay_control *control, struct fg_error *error)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    int fd = signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return fg_error_set(error, FG_UNREACHABLE, "signalfd: %s", strerror(errno));
    control->signals.readable = signal_came;
    control->signals.closed = signals_closed;
    enum fg_result result = fg_watch_start(control->ring, &control->signals, fd, error);
    control->is_watching = result == FG_OK;
    return result;
}

/* --- its life --------------------------------------------------------------------------------------- */

static enum fg_result open_ring(struct relay_control *control, struct fg_error *error)
{
    const struct fg_ring_settings settings = {
        .entries = RING_ENTRIES,
        .buffers = RING_BUFFERS,
        .buffer_bytes = RING_BUFFER_BYTES,
        .sockets = RING_SOCKETS,
        .woken = woken,
        .owner = control,
    };
    return fg_ring_open(&settings, &control->ring, error);
}

enum fg_result relay_control_open(const struct relay_options *options,
                                  struct relay_metrics *metrics, struct relay_control **control_r,
                                  struct fg_error *error)
{
    struct relay_control *control = calloc(1, sizeof *control);
    *control_r = control;
    if (control == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    control->options = options;
    control->metrics = metrics;
    control->started_ns = fg_clock_steady_ns();
    fg_timer_init(&control->admin_retry, retry_admin);
    control->audit = relay_audit_new(options, relay_control_wake, control);
    control->dead.desk = relay_dead_desk_new(options, relay_control_wake, control);
    control->archive.desk = relay_ledger_desk_new(options, relay_control_wake, control);
    bool is_whole =
        control->audit != NULL && control->dead.desk != NULL && control->archive.desk != NULL;
    enum fg_result result = !is_whole ? fg_error_set(error, FG_EXHAUSTED, "no memory")
                                      : find_admin_address(control, error);
    if (result == FG_OK)
        result = open_ring(control, error);
    if (result == FG_OK)
        result = watch_signals(control, error);
    if (result == FG_OK)
        result = open_server(control, handle_metrics, &control->metrics_server, error);
    if (result == FG_OK)
        result = open_server(control, handle_admin, &control->admin_server, error);
    if (result == FG_OK)
        result = listen_for_metrics(control, error);
    if (result == FG_OK)
        result = listen_for_more(control, error);
    if (result == FG_OK)
        result = relay_inquiry_new(options, relay_control_wake, control, &control->inquiry, error);
    if (result == FG_OK)
        listen_for_admin(control);
    if (result != FG_OK)
        relay_control_close(control_r);
    return result;
}

static bool have_all_finished(const struct relay_control *control)
{
    for (size_t index = 0; index < control->delivery_count; index++)
        if (!relay_delivery_is_finished(control->deliveries[index]))
            return false;
    return true;
}

void relay_control_run(struct relay_control *control, struct relay_delivery *const *deliveries,
                       size_t count, struct relay_auditor *auditor)
{
    control->auditor = auditor;
    control->deliveries = deliveries;
    control->delivery_count = count;
    control->dead.deliveries = deliveries;
    control->dead.delivery_count = count;
    while (!control->is_stopping || !have_all_finished(control))
        fg_ring_turn(control->ring, TURN_MS * FG_MS_IN_NS);
    control->delivery_count = 0; /* they may go before the last request has */
    control->auditor = NULL;
    relay_dead_desk_free(&control->dead.desk); /* it may still hold on to the deliveries */
}

static bool is_quiet(const struct relay_control *control)
{
    return !control->is_watching &&
           (control->metrics_server == NULL ||
            fg_http_server_is_drained(control->metrics_server)) &&
           (control->admin_server == NULL || fg_http_server_is_drained(control->admin_server)) &&
           (control->remote_server == NULL || fg_http_server_is_drained(control->remote_server));
}

static void drain(struct relay_control *control)
{
    uint64_t end_ns = fg_clock_steady_ns() + DRAIN_MS * FG_MS_IN_NS;
    struct fg_http_server *servers[] = { control->metrics_server, control->admin_server,
                                         control->remote_server };
    bool was_aborted = false;
    if (control->is_watching)
        fg_watch_stop(&control->signals);
    for (size_t index = 0; index < FG_COUNT_OF(servers); index++)
        if (servers[index] != NULL)
            fg_http_server_drain(servers[index]);
    while (!is_quiet(control)) {
        fg_ring_turn(control->ring, 10 * FG_MS_IN_NS);
        if (was_aborted || fg_clock_steady_ns() < end_ns)
            continue;
        was_aborted = true;
        for (size_t index = 0; index < FG_COUNT_OF(servers); index++)
            if (servers[index] != NULL)
                fg_http_server_abort(servers[index]);
    }
}

static void unlink_more(const struct relay_control *control)
{
    for (size_t index = 0; index < control->more_listening; index++)
        if (fg_address_is_local(&control->options->admin_at[index]))
            unlink(control->options->admin_at[index].socket.local.sun_path);
}

void relay_control_close(struct relay_control **control_at)
{
    struct relay_control *control = *control_at;
    *control_at = NULL;
    if (control == NULL)
        return;
    relay_audit_free(&control->audit); /* it wakes the ring when it ends */
    relay_inquiry_stop(control->inquiry);
    relay_dead_desk_free(&control->dead.desk);
    relay_ledger_desk_free(&control->archive.desk);
    if (control->ring != NULL) {
        if (control->is_admin_listening)
            unlink(control->admin_address.socket.local.sun_path);
        unlink_more(control);
        if (control->inquiry != NULL)
            relay_admin_orders_answer(control->inquiry);
        drain(control);
        relay_inquiry_free(&control->inquiry);
        fg_http_server_free(&control->remote_server);
        fg_http_server_free(&control->admin_server);
        fg_http_server_free(&control->metrics_server);
        fg_ring_close(&control->ring);
    }
    free(control->admin_path);
    free(control);
}
