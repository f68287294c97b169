/* relay.h - asking the relay: one question, or a list that comes in pages. Each call blocks, at most its time; documents
 * are the caller's (json_decref). With --json a refusal's document is printed. */
#ifndef FLASHGATE_CTL_RELAY_H
#define FLASHGATE_CTL_RELAY_H

#include "admin.h"

enum {
    FG_RELAY_FILTERS = 5
};

/* GET `path` answers {MEMBER: […], "next": …}; a parameter is called what its flag is called. */
struct fg_relay_list {
    const char *path, *member;
    enum fg_own_flag filters[FG_RELAY_FILTERS];
    size_t filter_count;
};

/* A GET (change NULL) or a POST. */
enum fg_result fg_relay_ask(const struct fg_ctl *ctl, const char *target,
                            const struct fg_admin_change *change, unsigned seconds,
                            json_t **document_r, struct fg_error *error) FG_MUST_CHECK;
/* The first page, as --limit has it; with --all every page in one document. */
enum fg_result fg_relay_read_list(const struct fg_ctl *ctl, const struct fg_relay_list *list,
                                  json_t **document_r, struct fg_error *error) FG_MUST_CHECK;

#endif
