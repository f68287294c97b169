/* fleet.h - the same question or change to every gateway, and to the relay: who said what, and what it comes to.
 *
 * A fleet is filled by one of the first two calls and must be forgotten after. All are called one after the
 * other. */
#ifndef FLASHGATE_CTL_FLEET_H
#define FLASHGATE_CTL_FLEET_H

#include "admin.h"

enum {
    FG_FLEET_VIEW_SECONDS = 2 /* so long may each server keep a view waiting */
};

struct fg_fleet {
    struct fg_admin_answer gateways[FG_CTL_GATEWAYS]; /* ctl->gateway_count of them */
    struct fg_admin_answer relay;
};

/* A GET; `with_relay`: the relay too, where its address is known. */
void fg_fleet_ask(const struct fg_ctl *ctl, const char *target, unsigned seconds, bool with_relay,
                  struct fg_fleet *fleet_r);
/* A POST; what happens at one changes nothing for the others. */
void fg_fleet_tell(const struct fg_ctl *ctl, const struct fg_admin_change *change, bool with_relay,
                   struct fg_fleet *fleet_r);
void fg_fleet_forget(const struct fg_ctl *ctl, struct fg_fleet *fleet);

/* FG_OK when all answered well. What is least known decides: an unreachable gateway before one that
 * refused. A relay that cannot be reached counts only when --relay named it. */
enum fg_result fg_fleet_judge(const struct fg_ctl *ctl, const struct fg_fleet *fleet,
                              struct fg_error *error) FG_MUST_CHECK;
/* For --json: of one gateway its document, of several {"gateways": [{"address", MEMBER, "problem"}]}; where the
 * relay was wanted, its document or null as the member "relay". The refusal of a single gateway is printed as
 * it is, its silence not at all. */
void fg_fleet_print(const struct fg_ctl *ctl, const struct fg_fleet *fleet, const char *member,
                    bool with_relay);
/* The first line of a view: what it is, the time, the generations of configuration, how many gateways answer. */
void fg_fleet_print_head(const struct fg_ctl *ctl, const struct fg_fleet *fleet, const char *what);
bool fg_fleet_somebody_answers(const struct fg_ctl *ctl, const struct fg_fleet *fleet);
/* The document of one that answered well, else NULL. */
json_t *fg_fleet_answer(const struct fg_admin_answer *answer);
/* One line about every gateway that did not answer well; of a single one only where the program does not end
 * with it (`is_live`). */
void fg_fleet_print_failures(const struct fg_ctl *ctl, const struct fg_fleet *fleet, bool is_live);
/* One line about a server that did not answer well: "WHAT cannot be reached at ADDRESS: why". */
void fg_fleet_print_failure(const struct fg_ctl *ctl, const char *what,
                            const struct fg_admin_answer *answer);

#endif
