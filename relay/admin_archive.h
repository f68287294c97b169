/* admin_archive.h - the routes of archives and reports: POST and GET /admin/v1/archive, GET /admin/v1/archive/audit and
 * GET /admin/v1/report. Control thread. */
#ifndef FLASHGATE_RELAY_ADMIN_ARCHIVE_H
#define FLASHGATE_RELAY_ADMIN_ARCHIVE_H

#include "flashgate/http/server.h"
#include "ledger_desk.h"

struct relay_admin_archive {
    struct relay_ledger_desk *desk;
    struct fg_http_request *waiting; /* for an audit or a report; NULL: nobody */
    bool is_stopping;
};

/* {"sale":…}: answered at once with 202, and the progress. */
void relay_admin_archive_start(struct relay_admin_archive *archive,
                               struct fg_http_request *request);
void relay_admin_archive_progress(struct relay_admin_archive *archive,
                                  struct fg_http_request *request);
/* Answered later, by relay_admin_archive_answer: ?name= for the one, ?sale= or ?archive= for the other */
void relay_admin_archive_audit(struct relay_admin_archive *archive,
                               struct fg_http_request *request);
void relay_admin_archive_report(struct relay_admin_archive *archive,
                                struct fg_http_request *request);
void relay_admin_archive_answer(struct relay_admin_archive *archive);
/* The relay is stopping: who waits is refused, and so is everybody else. */
void relay_admin_archive_stop(struct relay_admin_archive *archive);

#endif
