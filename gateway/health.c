/* health.c - alive: this process answers. Ready: it can sell; a load balancer should send shoppers here. */
#include "health.h"

#include "flashgate/base/counter.h"

#include "worker.h"

bool gateway_reaches_redis(const struct gateway *gateway)
{
    if (!atomic_load(&gateway->is_redis_up))
        return false;
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        const struct fg_inventory *inventory = worker_inventory(gateway->workers[i]);
        if (fg_counter_read(&fg_inventory_link_counts(inventory)->ready) == 0)
            return false;
    }
    return true;
}

bool gateway_is_ready(const struct gateway *gateway, const char **why_not)
{
    const char *why = NULL;
    if (atomic_load(&gateway->phase) != GATEWAY_SERVING)
        why = "draining";
    else if (!gateway_reaches_redis(gateway))
        why = "Redis is not reachable";
    else if (!atomic_load(&gateway->is_redis_safe))
        why = "Redis's settings could lose orders; see the log";
    else if (atomic_load(&gateway->is_joining))
        why = "not counted among the gateways yet, which share a limit";
    if (why_not != NULL)
        *why_not = why;
    return why == NULL;
}

static void answer(struct fg_http_request *request, int status, const char *text)
{
    fg_http_begin(request, status, "text/plain");
    fg_http_field(request, "Cache-Control", FG_TEXT("no-store"));
    fg_http_end(request, fg_text_of(text));
}

void health_answer_alive(struct fg_http_request *request)
{
    answer(request, 200, "alive\n");
}

void health_answer_ready(struct fg_http_request *request, const struct gateway *gateway)
{
    const char *why_not;
    char text[128];
    if (gateway_is_ready(gateway, &why_not)) {
        answer(request, 200, "ready\n");
        return;
    }
    struct fg_buffer out = fg_buffer_over(text, sizeof text - 1);
    fg_buffer_add_format(&out, "not ready: %s\n", why_not);
    text[out.length] = '\0';
    answer(request, 503, text);
}
