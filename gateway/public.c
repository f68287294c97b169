/* public.c - see public.h: the table of the public listener's routes, likeliest first. */
#include "public.h"

#include "flashgate/base/clock.h"

#include "gateway_metrics.h"
#include "give_back.h"
#include "health.h"
#include "orders.h"
#include "purchase.h"
#include "worker.h"

static void handle_ready(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    health_answer_ready(request, worker_gateway(worker_of(request)));
}

static void handle_alive(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    health_answer_alive(request);
}

/* The first five stand in the order of gateway_limit_routes. */
static const struct fg_route routes[PUBLIC_ROUTES + 1] = {
    { FG_HTTP_POST, "/v1/sales/{sale}/orders", purchase_handle, "buy" },
    { FG_HTTP_GET, "/v1/sales/{sale}", orders_handle_sale, "sale" },
    { FG_HTTP_GET, "/v1/sales/{sale}/orders", orders_handle_mine, "my_orders" },
    { FG_HTTP_GET, "/v1/orders/{order}", orders_handle_one, "order" },
    { FG_HTTP_DELETE, "/v1/orders/{order}", give_back_handle, "give_back" },
    { FG_HTTP_GET, "/healthz", handle_alive, "healthz" },
    { FG_HTTP_GET, "/readyz", handle_ready, "readyz" },
    { 0 }
};

const char *const public_route_labels[] = { "buy",     "sale",   "my_orders", "order", "give_back",
                                            "healthz", "readyz", "unrouted",  NULL };

size_t public_context_bytes(void)
{
    const size_t rooms[] = { purchase_context_bytes(), orders_context_bytes(),
                             give_back_context_bytes() };
    size_t most = 0;
    for (size_t i = 0; i < FG_COUNT_OF(rooms); i++)
        most = rooms[i] > most ? rooms[i] : most;
    return most;
}

void public_handle(struct fg_http_request *request)
{
    fg_route_dispatch(routes, request, PUBLIC_ROUTES);
}

void public_finished(struct fg_http_request *request)
{
    struct fg_metrics_block *metrics = worker_metrics(worker_of(request));
    unsigned route = request->parser.complete ? request->route : PUBLIC_ROUTES;
    uint64_t took_ns = fg_ring_now_ns(fg_http_server_ring(request->server)) - request->started_ns;
    fg_metrics_add(metrics, METRIC_REQUESTS, gateway_request_cell(route, request->problem), 1);
    fg_metrics_observe(metrics, METRIC_REQUEST_SECONDS, route, took_ns);
}
