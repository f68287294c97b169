/* What the record alone shows: each shopper's answers against each other.
 *
 * Rows are walked by (user, SKU, key): all that was ever answered to one wish. Its first order is the
 * reference that everything after it is held up against. */
#include "audit-private.h"

#include <stdlib.h>

#include "meaning.h"
#include "request.h"
#include "rubbish.h"

struct wish { /* the rows of one claim, by press and attempt */
    const struct fg_row *const *rows;
    size_t count;
    const struct fg_row *first_order; /* the first 201, else the first 200; NULL: none */
    bool was_uncertain;               /* at any attempt */
};

#define SAY(text) (int)(text).length, (text).at

static bool is_order(const struct fg_row *row)
{
    return row->status == 200 || row->status == 201;
}

/* --- nonsense --------------------------------------------------------------------------------------- */
static struct fg_text rubbish_name(const struct fg_row *row)
{
    struct fg_text rest = row->kind;
    if (!fg_text_equal(fg_text_cut(&rest, ':'), FG_TEXT("rubbish")))
        return (struct fg_text){ 0 };
    return rest;
}

static void check_rubbish(struct audit *audit, const struct fg_row *row, struct fg_text name)
{
    const struct fg_rubbish *rubbish = fg_rubbish_find(name);
    /* A gateway that is short of something may turn anybody away before reading on. */
    bool is_excused = row->status == 0 || row->status == 429 || row->status == 503;
    if (rubbish == NULL || is_excused)
        return;
    if (row->status != rubbish->status || !fg_text_equal(row->code, fg_text_of(rubbish->code)))
        fg_findings_add(audit->findings, FG_FINDING_WRONG_ANSWER,
                        "%s: answered %d %.*s, expected %d %s", rubbish->name, row->status,
                        SAY(row->code), rubbish->status, rubbish->code);
}

/* --- one row of a proper request -------------------------------------------------------------------- */
static bool is_expected(const struct fg_row *row)
{
    static const struct {
        int status;
        const char *code;
    } answers[] = {
        { 200, "" },
        { 201, "" },
        { 403, "not_started" },
        { 409, "sold_out" },
        { 409, "limit_reached" },
        { 410, "ended" },
        { 429, "rate_limited" },
        { 503, "paused" },
        { 503, "frozen" },
        { 503, "busy" },
        { 503, "breaker_open" },
        { 503, "queue_full" },
        { 503, "outcome_unknown" },
    };
    for (size_t i = 0; i < FG_COUNT_OF(answers); i++)
        if (row->status == answers[i].status &&
            fg_text_equal(row->code, fg_text_of(answers[i].code)))
            return true;
    return row->status == 0; /* no answer: judged as an unknown outcome */
}

static void check_row(struct audit *audit, const struct fg_row *row)
{
    if (!is_expected(row))
        fg_findings_add(audit->findings, FG_FINDING_UNEXPECTED_ANSWER, "%.*s, SKU %.*s: %d %.*s",
                        SAY(row->user), SAY(row->sku), row->status, SAY(row->code));
    if (!is_order(row))
        return;
    const char *fault = fg_reply_order_fault(row->body, fg_text_of(audit->evidence->sale->name),
                                             row->sku, row->quantity);
    if (fault != NULL)
        fg_findings_add(audit->findings, FG_FINDING_UNEXPECTED_ANSWER,
                        "%.*s, SKU %.*s: the order's answer is wrong, %s", SAY(row->user),
                        SAY(row->sku), fault);
}

/* --- one wish --------------------------------------------------------------------------------------- */
static void find_first_order(struct wish *wish)
{
    for (size_t i = 0; i < wish->count; i++) {
        const struct fg_row *row = wish->rows[i];
        const struct fg_row *first = wish->first_order;
        enum fg_meaning meaning = fg_meaning_of(row->status, row->code);
        if (meaning == FG_MEANS_UNKNOWN)
            wish->was_uncertain = true;
        if (meaning != FG_MEANS_ORDER)
            continue;
        bool is_firmer = first == NULL || row->status > first->status;
        bool is_earlier =
            first != NULL && row->status == first->status && row->answered_us < first->answered_us;
        if (is_firmer || is_earlier)
            wish->first_order = row;
    }
}

static void check_repeated_order(struct audit *audit, const struct wish *wish,
                                 const struct fg_row *row)
{
    const struct fg_row *first = wish->first_order;
    const char *fault = NULL;
    if (!fg_text_equal(row->order, first->order)) {
        fg_findings_add(audit->findings, FG_FINDING_DUPLICATED,
                        "%.*s, SKU %.*s, key \"%.*s\": orders %.*s and %.*s", SAY(row->user),
                        SAY(row->sku), SAY(row->key), SAY(first->order), SAY(row->order));
        return;
    }
    if (row->status == 201)
        fault = "201 twice, the second should have been 200";
    else if (!fg_text_equal(row->body, first->body))
        fault = "the body is another one";
    if (fault != NULL)
        fg_findings_add(audit->findings, FG_FINDING_CHANGED_REPLAY, "%.*s, order %.*s: %s",
                        SAY(row->user), SAY(row->order), fault);
}

static void check_replay_mark(struct audit *audit, const struct fg_row *row)
{
    if (row->replayed != (row->status == 200))
        fg_findings_add(audit->findings, FG_FINDING_CHANGED_REPLAY,
                        "%.*s, order %.*s: a %d %s Idempotent-Replayed", SAY(row->user),
                        SAY(row->order), row->status, row->replayed ? "with" : "without");
}

/* Sold out and limit reached can only be said before an order of the same size, never after or beside it,
 * where stock only falls: had it been said before, there would be no order. */
static bool is_denial(const struct audit *audit, const struct wish *wish, const struct fg_row *row,
                      int sku)
{
    bool is_no = fg_meaning_of(row->status, row->code) == FG_MEANS_NO ||
                 fg_text_equal(row->code, FG_TEXT("paused"));
    bool is_about_stock = fg_text_equal(row->code, FG_TEXT("sold_out")) ||
                          fg_text_equal(row->code, FG_TEXT("limit_reached"));
    bool is_later = row->sent_us > wish->first_order->answered_us;
    return is_no && (is_later || (is_about_stock && audit->only_falls[sku]));
}

static void check_against_first_order(struct audit *audit, const struct wish *wish, int sku)
{
    const struct fg_row *first = wish->first_order;
    if (first->status == 200 && !wish->was_uncertain)
        fg_findings_add(audit->findings, FG_FINDING_CHANGED_REPLAY,
                        "%.*s, order %.*s: told again (200), but nobody was told before",
                        SAY(first->user), SAY(first->order));
    for (size_t i = 0; i < wish->count; i++) {
        const struct fg_row *row = wish->rows[i];
        if (is_order(row)) {
            check_replay_mark(audit, row);
            if (row != first)
                check_repeated_order(audit, wish, row);
        } else if (is_denial(audit, wish, row, sku)) {
            fg_findings_add(audit->findings, FG_FINDING_DENIED_REPLAY,
                            "%.*s has order %.*s, yet was answered %d %.*s", SAY(row->user),
                            SAY(first->order), row->status, SAY(row->code));
        }
    }
}

/* Whether every press was settled; else *last_r is the last attempt of one that was not. */
static bool is_settled(const struct wish *wish, const struct fg_row **last_r)
{
    bool uncertain = false;
    for (size_t i = 0; i < wish->count; i++) {
        const struct fg_row *row = wish->rows[i];
        bool is_last = i + 1 == wish->count || wish->rows[i + 1]->press != row->press;
        bool settles = fg_meaning_settles(fg_meaning_of(row->status, row->code), &uncertain);
        if (is_last && !settles && uncertain) {
            *last_r = row;
            return false;
        }
        if (is_last)
            uncertain = false;
    }
    return true;
}

static void add_told_orders(struct audit *audit, const struct wish *wish, int sku)
{
    for (size_t i = 0; i < wish->count; i++) {
        const struct fg_row *row = wish->rows[i];
        bool is_another = row != wish->first_order && is_order(row) &&
                          !fg_text_equal(row->order, wish->first_order->order);
        if (row != wish->first_order && !is_another)
            continue;
        const struct fg_sighting sighting = {
            .order = row->order,
            .user = row->user,
            .key = row->key,
            .quantity = row->quantity,
            .row = (uint32_t)(row - audit->evidence->record->rows),
            .sku = (uint16_t)sku,
            .source = FG_IN_ANSWERS,
            .state = '?',
        };
        audit_add_sighting(audit, &sighting);
    }
}

static struct fg_text settled_refusal(const struct wish *wish)
{
    for (size_t i = wish->count; i-- > 0;)
        if (fg_meaning_of(wish->rows[i]->status, wish->rows[i]->code) == FG_MEANS_NO)
            return wish->rows[i]->code;
    for (size_t i = wish->count; i-- > 0;)
        if (fg_meaning_of(wish->rows[i]->status, wish->rows[i]->code) == FG_MEANS_LATER)
            return wish->rows[i]->code;
    return FG_TEXT("");
}

static void audit_wish(struct audit *audit, struct wish *wish)
{
    const struct fg_row *any = wish->rows[0];
    int sku = fg_sale_find(audit->evidence->sale, any->sku);
    if (sku < 0)
        return; /* the record is of another sale; its reader says so */
    for (size_t i = 0; i < wish->count; i++)
        check_row(audit, wish->rows[i]);
    find_first_order(wish);

    struct claim claim = {
        .user = any->user, .key = any->key, .quantity = any->quantity, .sku = (uint16_t)sku
    };
    const struct fg_row *last = NULL;
    if (wish->first_order != NULL) {
        claim.is_told = true;
        check_against_first_order(audit, wish, sku);
        add_told_orders(audit, wish, sku);
    } else if (!is_settled(wish, &last)) {
        claim.is_uncertain = true;
        if (!audit->evidence->record->interrupted)
            fg_findings_add(audit->findings, FG_FINDING_UNRESOLVED,
                            "%.*s, SKU %.*s: %u attempts, the last one %d %.*s", SAY(last->user),
                            SAY(last->sku), last->attempt, last->status, SAY(last->code));
    } else {
        claim.refusal = settled_refusal(wish);
    }
    audit->claims = fg_grow(audit->claims, &audit->claim_capacity, audit->claim_count + 1,
                            sizeof *audit->claims);
    audit->claims[audit->claim_count++] = claim;
}

/* --- all rows --------------------------------------------------------------------------------------- */
static int compare_wishes(const struct fg_row *a, const struct fg_row *b)
{
    int order = audit_compare_texts(a->user, b->user);
    if (order == 0)
        order = audit_compare_texts(a->sku, b->sku);
    return order != 0 ? order : audit_compare_texts(a->key, b->key);
}

static int by_wish(const void *left, const void *right)
{
    const struct fg_row *a = *(const struct fg_row *const *)left;
    const struct fg_row *b = *(const struct fg_row *const *)right;
    int order = compare_wishes(a, b);
    if (order == 0)
        order = (a->press > b->press) - (a->press < b->press);
    return order != 0 ? order : (a->attempt > b->attempt) - (a->attempt < b->attempt);
}

static int by_user_and_sku(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;
    int order = audit_compare_texts(a->user, b->user);
    return order != 0 ? order : (a->sku > b->sku) - (a->sku < b->sku);
}

void audit_answers(struct audit *audit)
{
    const struct fg_record *record = audit->evidence->record;
    const struct fg_row **rows = fg_allocate(record->count, sizeof *rows);
    size_t count = 0;
    for (size_t i = 0; i < record->count; i++) {
        struct fg_text name = rubbish_name(&record->rows[i]);
        if (name.length > 0)
            check_rubbish(audit, &record->rows[i], name);
        else
            rows[count++] = &record->rows[i];
    }
    qsort(rows, count, sizeof *rows, by_wish);
    for (size_t at = 0; at < count;) {
        struct wish wish = { .rows = rows + at };
        while (at < count && compare_wishes(wish.rows[0], rows[at]) == 0) {
            wish.count++;
            at++;
        }
        audit_wish(audit, &wish);
    }
    free(rows);
    /* Wishes came by SKU's name, claims are looked up by its index. */
    qsort(audit->claims, audit->claim_count, sizeof *audit->claims, by_user_and_sku);
}
