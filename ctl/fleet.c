/* fleet.c - one call after another, and the sum of them. */
#include "fleet.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "document.h"
#include "table.h"

static void call_all(const struct fg_ctl *ctl, const char *target,
                     const struct fg_admin_change *change, unsigned seconds, bool with_relay,
                     struct fg_fleet *fleet)
{
    memset(fleet, 0, sizeof *fleet);
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        fleet->gateways[i].address = ctl->gateways[i];
        fg_admin_call(ctl, target, change, seconds, &fleet->gateways[i]);
    }
    if (!with_relay || ctl->relay == NULL)
        return;
    fleet->relay.address = ctl->relay;
    fg_admin_call(ctl, target, change, seconds, &fleet->relay);
}

void fg_fleet_ask(const struct fg_ctl *ctl, const char *target, unsigned seconds, bool with_relay,
                  struct fg_fleet *fleet_r)
{
    call_all(ctl, target, NULL, seconds, with_relay, fleet_r);
}

void fg_fleet_tell(const struct fg_ctl *ctl, const struct fg_admin_change *change, bool with_relay,
                   struct fg_fleet *fleet_r)
{
    call_all(ctl, change->target, change, FG_ADMIN_SECONDS, with_relay, fleet_r);
}

void fg_fleet_forget(const struct fg_ctl *ctl, struct fg_fleet *fleet)
{
    for (size_t i = 0; i < ctl->gateway_count; i++)
        json_decref(fleet->gateways[i].document);
    json_decref(fleet->relay.document);
    memset(fleet, 0, sizeof *fleet);
}

json_t *fg_fleet_answer(const struct fg_admin_answer *answer)
{
    return answer->result == FG_OK ? answer->document : NULL;
}

/* --- what it comes to ------------------------------------------------------------------------------- */

static enum fg_result judge_only_gateway(const struct fg_admin_answer *answer,
                                         struct fg_error *error)
{
    if (answer->result == FG_OK)
        return FG_OK;
    *error = answer->error;
    if (answer->result == FG_UNREACHABLE)
        return fg_error_set(error, FG_UNREACHABLE,
                            "cannot reach flashgate at %s. Is it running? "
                            "Choose another with --admin",
                            answer->error.text);
    return answer->result;
}

static enum fg_result judge_gateways(const struct fg_ctl *ctl, const struct fg_fleet *fleet,
                                     struct fg_error *error)
{
    size_t silent = 0, refused = 0;

    if (ctl->gateway_count == 1)
        return judge_only_gateway(&fleet->gateways[0], error);
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        enum fg_result result = fleet->gateways[i].result;

        silent += result == FG_UNREACHABLE || result == FG_UNKNOWN;
        refused += result != FG_OK && result != FG_UNREACHABLE && result != FG_UNKNOWN;
    }
    if (silent > 0)
        return fg_error_set(error, FG_UNREACHABLE, "%zu of %zu gateways cannot be reached", silent,
                            ctl->gateway_count);
    if (refused > 0)
        return fg_error_set(error, FG_REFUSED, "%zu of %zu gateways refused", refused,
                            ctl->gateway_count);
    return FG_OK;
}

enum fg_result fg_fleet_judge(const struct fg_ctl *ctl, const struct fg_fleet *fleet,
                              struct fg_error *error)
{
    enum fg_result result = judge_gateways(ctl, fleet, error);

    if (result == FG_OK && ctl->relay_is_given && fleet->relay.result == FG_UNREACHABLE)
        return fg_error_set(error, FG_UNREACHABLE, "cannot reach the relay at %s",
                            fleet->relay.error.text);
    return result;
}

/* --- printing --------------------------------------------------------------------------------------- */

static json_t *wrap(const struct fg_admin_answer *answer, const char *member)
{
    return json_pack("{s:s, s:O?, s:s}", "address", answer->address, member,
                     fg_fleet_answer(answer), "problem", answer->error.text);
}

void fg_fleet_print(const struct fg_ctl *ctl, const struct fg_fleet *fleet, const char *member,
                    bool with_relay)
{
    json_t *document, *list, *relay = fg_fleet_answer(&fleet->relay);

    if (ctl->gateway_count == 1 && fleet->gateways[0].document == NULL)
        return;
    if (ctl->gateway_count == 1) {
        document = json_copy(fleet->gateways[0].document);
    } else {
        list = json_array();
        for (size_t i = 0; i < ctl->gateway_count; i++)
            (void)json_array_append_new(list, wrap(&fleet->gateways[i], member));
        document = json_pack("{s:o}", "gateways", list);
    }
    bool is_refusal = ctl->gateway_count == 1 && fleet->gateways[0].result != FG_OK;
    if (with_relay && !is_refusal)
        (void)json_object_set(document, "relay", relay != NULL ? relay : json_null());
    fg_document_print(document, ctl->out);
    json_decref(document);
}

static size_t count_answers(const struct fg_ctl *ctl, const struct fg_fleet *fleet)
{
    size_t count = 0;

    for (size_t i = 0; i < ctl->gateway_count; i++)
        count += fleet->gateways[i].result == FG_OK;
    return count;
}

bool fg_fleet_somebody_answers(const struct fg_ctl *ctl, const struct fg_fleet *fleet)
{
    return count_answers(ctl, fleet) > 0 || fg_fleet_answer(&fleet->relay) != NULL;
}

/* "generation 3", "generations 3, 4", or nothing where documents have none. */
static void print_generations(const struct fg_ctl *ctl, const struct fg_fleet *fleet)
{
    int64_t least = INT64_MAX, most = 0;

    for (size_t i = 0; i < ctl->gateway_count; i++) {
        int64_t generation = fg_document_number(fg_fleet_answer(&fleet->gateways[i]), "generation");

        least = generation > 0 && generation < least ? generation : least;
        most = generation > most ? generation : most;
    }
    if (most > 0 && least == most)
        fprintf(ctl->out, "generation %" PRId64 "   ", most);
    else if (most > 0)
        fprintf(ctl->out, "generations %" PRId64 " to %" PRId64 "   ", least, most);
}

void fg_fleet_print_head(const struct fg_ctl *ctl, const struct fg_fleet *fleet, const char *what)
{
    time_t now = time(NULL);
    struct tm local = { 0 };
    char clock[16] = "";

    (void)strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
    fprintf(ctl->out, "flashgate %s   %s   ", what, clock);
    print_generations(ctl, fleet);
    fprintf(ctl->out, "%zu of %zu gateways   q ends\n\n", count_answers(ctl, fleet),
            ctl->gateway_count);
}

void fg_fleet_print_failures(const struct fg_ctl *ctl, const struct fg_fleet *fleet, bool is_live)
{
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        if (fleet->gateways[i].result != FG_OK && (is_live || ctl->gateway_count > 1))
            fg_fleet_print_failure(ctl, "the gateway", &fleet->gateways[i]);
    }
}

void fg_fleet_print_failure(const struct fg_ctl *ctl, const char *what,
                            const struct fg_admin_answer *answer)
{
    if (answer->result == FG_UNREACHABLE) /* its text begins with the address */
        fprintf(ctl->out, "%s cannot be reached at ", what);
    else
        fprintf(ctl->out, "%s at %s: ", what, answer->address);
    fg_print_safely(answer->error.text, ctl->out);
    fputc('\n', ctl->out);
}
