/* health.h - /healthz and /readyz, the same on the public and on the metrics listener. */
#ifndef FLASHGATE_GATEWAY_HEALTH_H
#define FLASHGATE_GATEWAY_HEALTH_H

#include "flashgate/http/server.h"

#include "gateway.h"

void health_answer_alive(struct fg_http_request *request);
void health_answer_ready(struct fg_http_request *request, const struct gateway *gateway);

#endif
