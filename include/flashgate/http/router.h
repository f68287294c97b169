/* router.h - a table of routes: methods and a path pattern with {names}; the table is also where metrics
 * labels and docs come from. Pure. */
#ifndef FLASHGATE_HTTP_ROUTER_H
#define FLASHGATE_HTTP_ROUTER_H

#include "flashgate/http/server.h"

enum {
    FG_ROUTE_PARAMETERS = 3
};

struct fg_route_match {
    struct fg_text
        parameters[FG_ROUTE_PARAMETERS]; /* in the pattern's order; views into the request */
};

struct fg_route {
    enum fg_http_method method; /* GET serves HEAD too */
    const char *pattern;        /* "/v1/sales/{sale}/orders" */
    void (*handle)(struct fg_http_request *request, const struct fg_route_match *match);
    const char *label; /* the metrics' route label */
    unsigned roles;    /* for the caller: who may ask; not looked at here */
};

/* The index of the route; -1: answered 404; -2: answered 405 with Allow. `table` ends with a row without
 * pattern. */
int fg_route_find(const struct fg_route *table, struct fg_http_request *request,
                  struct fg_route_match *match_r);
/* Finds and calls; answers 404 and 405 itself. Sets request->route to the row's index, or to `unrouted`. */
void fg_route_dispatch(const struct fg_route *table, struct fg_http_request *request,
                       uint16_t unrouted);

#endif
