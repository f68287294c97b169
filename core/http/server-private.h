/* server-private.h - between the life of connections (server.c) and the writing of answers (answer.c). */
#ifndef FLASHGATE_HTTP_SERVER_PRIVATE_H
#define FLASHGATE_HTTP_SERVER_PRIVATE_H

#include "flashgate/http/server.h"

enum {
    FG_HTTP_DATE_BYTES = 32
};

/* The answer lies complete in request->output: send it, or drop it when the peer has gone. */
void server_answer_ready(struct fg_http_request *request);
/* Whether the connection outlives this answer. */
bool server_keeps_alive(const struct fg_http_request *request);
/* "Sun, 06 Nov 1994 08:49:37 GMT", made anew once a second. */
const char *server_date(struct fg_http_server *server);
void server_format_date(char date[FG_HTTP_DATE_BYTES], int64_t second);

#endif
