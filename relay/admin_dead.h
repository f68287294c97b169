/* admin_dead.h - the routes of dead letters under /admin/v1/dead. Control thread. */
#ifndef FLASHGATE_RELAY_ADMIN_DEAD_H
#define FLASHGATE_RELAY_ADMIN_DEAD_H

#include "dead_desk.h"
#include "flashgate/http/server.h"

struct relay_admin_dead {
    struct relay_dead_desk *desk;
    struct relay_delivery *const *deliveries;
    size_t delivery_count;
    struct fg_http_request *waiting; /* whose question is on the desk; NULL: nobody's */
    bool is_stopping;
};

/* Answered later, by relay_admin_dead_answer; at once when the question is no good or another is on the desk. */
void relay_admin_dead_list(struct relay_admin_dead *dead, struct fg_http_request *request);
void relay_admin_dead_show(struct relay_admin_dead *dead, struct fg_http_request *request,
                           struct fg_text id);
void relay_admin_dead_change(struct relay_admin_dead *dead, struct fg_http_request *request,
                             enum relay_dead_verb verb);
void relay_admin_dead_answer(struct relay_admin_dead *dead);
/* The relay is stopping: who waits is refused, and so is everybody else. */
void relay_admin_dead_stop(struct relay_admin_dead *dead);

#endif
