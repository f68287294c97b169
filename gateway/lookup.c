/* lookup.c - see lookup.h. */
#include "lookup.h"

#include "worker.h"

enum {
    LATER_S = 1
};

struct fg_catalogue *lookup_catalogue(struct fg_http_request *request)
{
    struct worker *worker = worker_of(request);
    if (worker_has_catalogue(worker))
        return worker_catalogue(worker);
    fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S,
                   FG_TEXT("the gateway has just started and does not know yet what is on sale"));
    return NULL;
}

bool lookup_sale_if_any(struct fg_http_request *request, struct fg_text name,
                        const struct fg_catalogue_sale **sale_r)
{
    if (!fg_name_is_valid(name)) {
        fg_http_refuse(request, FG_PROBLEM_BAD_REQUEST, 0,
                       FG_TEXT("the sale's name is not valid, expected 1-64 of A-Z a-z 0-9 . _ -"));
        return false;
    }
    const struct fg_catalogue *catalogue = lookup_catalogue(request);
    if (catalogue == NULL)
        return false;
    *sale_r = fg_catalogue_find_sale(catalogue, name);
    return true;
}

const struct fg_catalogue_sale *lookup_sale(struct fg_http_request *request, struct fg_text name)
{
    const struct fg_catalogue_sale *sale;
    if (!lookup_sale_if_any(request, name, &sale))
        return NULL;
    if (sale == NULL)
        fg_http_refuse(request, FG_PROBLEM_NOT_FOUND, 0, FG_TEXT("there is no sale of that name"));
    return sale;
}
