/* sale-apply.c - makes Redis agree with a definition, step by step, so that repeating finishes
 * what was cut off anywhere:
 *
 *   check ─► draw numbers ─► configure what is published ─► reserve (pending:NAME)
 *                                                                   │
 *                          tidy up ◄─ publish ◄─ create the buckets ◄
 *
 * The reservation holds numbers and epochs, drawn once; creating and configuring change nothing
 * the second time; publishing is a compare and set. Until a SKU is published no gateway sells it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue-private.h"

#include "flashgate/base/hash.h"

enum {
    DECIMAL_BYTES = 24
};

struct apply {
    struct fg_redis *redis;
    const struct fg_sale_definition *definition;
    struct fg_buffer *changes;
    struct fg_error *error;
    char *published_text, *pending_text; /* as they are in Redis; "": not there */
    struct fg_catalogue_sale published, pending, wanted;
};

static void apply_close(struct apply *apply)
{
    free(apply->published_text);
    free(apply->pending_text);
    catalogue_entry_free(&apply->published);
    catalogue_entry_free(&apply->pending);
    catalogue_entry_free(&apply->wanted);
}

static void report_sku(struct apply *apply, const char *what, const char *sku, uint64_t number)
{
    fg_buffer_add_format(apply->changes, "%s of SKU %s: %llu\n", what, sku,
                         (unsigned long long)number);
}

/* --- reading what is there ---------------------------------------------------------------- */

static enum fg_result read_entry(struct apply *apply, const char *prefix, char **text,
                                 struct fg_catalogue_sale *sale)
{
    enum fg_result result =
        catalogue_read_field(apply->redis, prefix, apply->definition->sale, text, apply->error);
    if (result != FG_OK || (*text)[0] == '\0')
        return result;
    return catalogue_entry_parse(fg_text_of(apply->definition->sale), fg_text_of(*text), sale,
                                 apply->error);
}

static const struct fg_catalogue_sku *known_sku(const struct apply *apply, const char *sku)
{
    const struct fg_catalogue_sku *known =
        fg_catalogue_find_sku(&apply->published, fg_text_of(sku));
    return known != NULL ? known : fg_catalogue_find_sku(&apply->pending, fg_text_of(sku));
}

/* --- checking ----------------------------------------------------------------------------- */

static enum fg_result check_sku(const struct apply *apply, const struct fg_sku_definition *sku)
{
    const struct fg_catalogue_sku *known = known_sku(apply, sku->sku);
    if (known == NULL)
        return FG_OK;
    if (known->stock != sku->stock)
        return fg_error_set(apply->error, FG_REFUSED,
                            "stock of SKU %s is %llu, the file says %llu: use `stock add`",
                            sku->sku, (unsigned long long)known->stock,
                            (unsigned long long)sku->stock);
    if (known->max_ledger_entries != sku->max_ledger_entries)
        return fg_error_set(apply->error, FG_REFUSED,
                            "max_ledger_entries of SKU %s cannot change once it is created",
                            sku->sku);
    return FG_OK;
}

/* A SKU that is on sale cannot be taken out by leaving it out. */
static enum fg_result check_nothing_left_out(const struct apply *apply,
                                             const struct fg_catalogue_sale *there)
{
    for (uint32_t i = 0; i < there->sku_count; i++) {
        struct fg_text name = fg_text_of(there->skus[i].sku);
        if (fg_catalogue_find_sku(&apply->wanted, name) == NULL)
            return fg_error_set(apply->error, FG_REFUSED,
                                "SKU %s is on sale and the file leaves it out: a SKU cannot be "
                                "taken away, only the sale be paused or ended",
                                there->skus[i].sku);
    }
    return FG_OK;
}

static enum fg_result check(const struct apply *apply)
{
    const struct fg_sku_definition *skus = apply->definition->skus.items;
    for (size_t i = 0; i < apply->definition->skus.count; i++) {
        enum fg_result result = check_sku(apply, &skus[i]);
        if (result != FG_OK)
            return result;
    }
    enum fg_result result = check_nothing_left_out(apply, &apply->published);
    return result == FG_OK ? check_nothing_left_out(apply, &apply->pending) : result;
}

/* --- what is wanted ----------------------------------------------------------------------- */

/* The wanted entry, with bucket 0 for every SKU that is not known yet. */
static enum fg_result plan(struct apply *apply, uint32_t *missing)
{
    const struct fg_sale_definition *definition = apply->definition;
    const struct fg_sku_definition *skus = definition->skus.items;
    struct fg_catalogue_sale *wanted = &apply->wanted;
    wanted->skus = calloc(definition->skus.count, sizeof *wanted->skus);
    if (wanted->skus == NULL)
        return fg_error_set(apply->error, FG_EXHAUSTED, "no memory");
    wanted->sku_count = (uint32_t)definition->skus.count;
    snprintf(wanted->sale, sizeof wanted->sale, "%s", definition->sale);
    snprintf(wanted->hold, sizeof wanted->hold, "%s", definition->hold);
    wanted->hold_ms = definition->hold_ms;
    wanted->late_payment = (enum fg_late_payment)definition->late_payment;
    wanted->opens_ms = definition->opens_ms;
    wanted->closes_ms = definition->closes_ms;
    wanted->state = apply->published.state; /* FG_SALE_OPEN for a new sale */
    *missing = 0;
    for (uint32_t i = 0; i < wanted->sku_count; i++) {
        const struct fg_catalogue_sku *known = known_sku(apply, skus[i].sku);
        if (known != NULL)
            wanted->skus[i] = *known;
        else
            ++*missing;
        snprintf(wanted->skus[i].sku, sizeof wanted->skus[i].sku, "%s", skus[i].sku);
        wanted->skus[i].stock = skus[i].stock;
        wanted->skus[i].max_ledger_entries = skus[i].max_ledger_entries;
        wanted->skus[i].terms.per_user = (uint32_t)skus[i].per_user;
    }
    catalogue_entry_settle(wanted);
    return FG_OK;
}

static enum fg_result number_new_skus(struct apply *apply, uint32_t missing)
{
    uint32_t next;
    if (missing == 0)
        return FG_OK;
    enum fg_result result = catalogue_draw_buckets(apply->redis, missing, &next, apply->error);
    for (uint32_t i = 0; result == FG_OK && i < apply->wanted.sku_count; i++) {
        struct fg_bucket_terms *terms = &apply->wanted.skus[i].terms;
        uint32_t epoch;
        if (terms->bucket != 0)
            continue;
        fg_random(&epoch, sizeof epoch);
        terms->bucket = next++;
        snprintf(terms->epoch, sizeof terms->epoch, "%08x", epoch);
    }
    return result;
}

/* --- doing -------------------------------------------------------------------------------- */

/* Writes what is wanted to pending:NAME, before any key of it is made. */
static enum fg_result reserve(struct apply *apply, const char *wanted_text)
{
    if (strcmp(apply->pending_text, wanted_text) == 0)
        return FG_OK;
    enum fg_result result = catalogue_swap(apply->redis, CATALOGUE_PENDING, apply->definition->sale,
                                           apply->pending_text, wanted_text, false, apply->error);
    if (result != FG_OK)
        return result;
    free(apply->pending_text);
    apply->pending_text = strdup(wanted_text);
    return apply->pending_text != NULL ? FG_OK
                                       : fg_error_set(apply->error, FG_EXHAUSTED, "no memory");
}

static enum fg_result run(struct apply *apply, enum fg_script script,
                          const struct fg_catalogue_sku *sku, int argc, const char *const *argv)
{
    redisReply *reply;
    enum fg_result result =
        fg_redis_script(apply->redis, script, sku->terms.bucket, &reply, apply->error, argc, argv);
    if (result == FG_OK)
        freeReplyObject(reply);
    else
        fg_error_prefix(apply->error, "SKU %s", sku->sku);
    return result;
}

static enum fg_result create(struct apply *apply, const struct fg_catalogue_sku *sku)
{
    char total[DECIMAL_BYTES], opens[DECIMAL_BYTES], closes[DECIMAL_BYTES];
    char per_user[DECIMAL_BYTES], hold[DECIMAL_BYTES], entries[DECIMAL_BYTES] = "";
    snprintf(total, sizeof total, "%llu", (unsigned long long)sku->stock);
    snprintf(opens, sizeof opens, "%lld", (long long)apply->wanted.opens_ms);
    snprintf(closes, sizeof closes, "%lld", (long long)apply->wanted.closes_ms);
    snprintf(per_user, sizeof per_user, "%u", sku->terms.per_user);
    snprintf(hold, sizeof hold, "%lld", (long long)apply->wanted.hold_ms);
    if (sku->max_ledger_entries != 0)
        snprintf(entries, sizeof entries, "%llu", (unsigned long long)sku->max_ledger_entries);
    const char *argv[] = { sku->terms.epoch,
                           total,
                           opens,
                           closes,
                           per_user,
                           hold,
                           fg_sale_state_text(apply->wanted.state),
                           entries,
                           fg_late_payments[apply->wanted.late_payment] };
    return run(apply, FG_SCRIPT_CREATE, sku, FG_COUNT_OF(argv), argv);
}

static enum fg_result configure(struct apply *apply, const struct fg_catalogue_sku *sku)
{
    char opens[DECIMAL_BYTES], closes[DECIMAL_BYTES], per_user[DECIMAL_BYTES], hold[DECIMAL_BYTES];
    snprintf(opens, sizeof opens, "%lld", (long long)apply->wanted.opens_ms);
    snprintf(closes, sizeof closes, "%lld", (long long)apply->wanted.closes_ms);
    snprintf(per_user, sizeof per_user, "%u", sku->terms.per_user);
    snprintf(hold, sizeof hold, "%lld", (long long)apply->wanted.hold_ms);
    const char *argv[] = { sku->terms.epoch, opens, closes,
                           per_user,         hold,  fg_late_payments[apply->wanted.late_payment] };
    return run(apply, FG_SCRIPT_CONFIGURE, sku, FG_COUNT_OF(argv), argv);
}

/* What is published first: a change that Redis refuses (the sale has opened) must leave nothing
 * behind. */
static enum fg_result configure_published(struct apply *apply)
{
    for (uint32_t i = 0; i < apply->wanted.sku_count; i++) {
        const struct fg_catalogue_sku *sku = &apply->wanted.skus[i];
        if (fg_catalogue_find_sku(&apply->published, fg_text_of(sku->sku)) == NULL)
            continue;
        enum fg_result result = configure(apply, sku);
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}

/* Those of an earlier attempt may exist already, with an earlier file's dates and limits. */
static enum fg_result create_unpublished(struct apply *apply)
{
    for (uint32_t i = 0; i < apply->wanted.sku_count; i++) {
        const struct fg_catalogue_sku *sku = &apply->wanted.skus[i];
        if (fg_catalogue_find_sku(&apply->published, fg_text_of(sku->sku)) != NULL)
            continue;
        enum fg_result result = create(apply, sku);
        if (result == FG_OK)
            result = configure(apply, sku);
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}

static void report(struct apply *apply)
{
    const struct fg_catalogue_sale *was = &apply->published, *is = &apply->wanted;
    bool is_new = apply->published_text[0] == '\0';
    if (is_new)
        fg_buffer_add_format(apply->changes, "sale %s created\n", is->sale);
    if (!is_new && was->opens_ms != is->opens_ms)
        fg_buffer_add_format(apply->changes, "opens changed\n");
    if (!is_new && was->closes_ms != is->closes_ms)
        fg_buffer_add_format(apply->changes, "closes changed\n");
    if (!is_new && was->hold_ms != is->hold_ms)
        fg_buffer_add_format(apply->changes, "hold: %s\n", is->hold);
    if (!is_new && was->late_payment != is->late_payment)
        fg_buffer_add_format(apply->changes, "late_payment: %s\n",
                             fg_late_payments[is->late_payment]);
    for (uint32_t i = 0; i < is->sku_count; i++) {
        const struct fg_catalogue_sku *sku = &is->skus[i],
                                      *before = fg_catalogue_find_sku(was, fg_text_of(sku->sku));
        if (before == NULL)
            report_sku(apply, "stock", sku->sku, sku->stock);
        else if (before->terms.per_user != sku->terms.per_user)
            report_sku(apply, "per_user", sku->sku, sku->terms.per_user);
    }
}

static enum fg_result carry_out(struct apply *apply, const char *wanted_text, bool adds_skus)
{
    enum fg_result result = configure_published(apply);
    if (result == FG_OK && adds_skus)
        result = reserve(apply, wanted_text);
    if (result == FG_OK)
        result = create_unpublished(apply);
    if (result == FG_OK)
        result = catalogue_swap(apply->redis, CATALOGUE_SALE, apply->definition->sale,
                                apply->published_text, wanted_text, true, apply->error);
    if (result == FG_OK)
        report(apply);
    return result;
}

static enum fg_result tidy_up(struct apply *apply)
{
    if (apply->pending_text[0] == '\0')
        return FG_OK;
    return catalogue_swap(apply->redis, CATALOGUE_PENDING, apply->definition->sale,
                          apply->pending_text, "", false, apply->error);
}

static bool adds_skus(const struct apply *apply)
{
    return apply->wanted.sku_count != apply->published.sku_count;
}

static enum fg_result make_it_so(struct apply *apply)
{
    uint32_t missing = 0;
    enum fg_result result = plan(apply, &missing);
    if (result == FG_OK)
        result = check(apply);
    if (result == FG_OK)
        result = number_new_skus(apply, missing);
    if (result != FG_OK)
        return result;
    char *wanted_text = catalogue_entry_json(&apply->wanted);
    if (wanted_text == NULL)
        return fg_error_set(apply->error, FG_EXHAUSTED, "no memory");
    if (strcmp(wanted_text, apply->published_text) == 0)
        result = FG_OK; /* nothing to do but to tidy up */
    else if (apply->published.state == FG_SALE_ENDED)
        result = fg_error_set(apply->error, FG_REFUSED, "sale %s has ended and stays as it is",
                              apply->definition->sale);
    else
        result = carry_out(apply, wanted_text, adds_skus(apply));
    free(wanted_text);
    return result == FG_OK ? tidy_up(apply) : result;
}

enum fg_result fg_sale_apply(struct fg_redis *redis, const struct fg_sale_definition *sale,
                             struct fg_buffer *changes, struct fg_error *error)
{
    struct apply apply = { .redis = redis, .definition = sale, .changes = changes, .error = error };
    enum fg_result result = fg_redis_check_safety(redis, error);
    if (result == FG_OK)
        result = read_entry(&apply, CATALOGUE_SALE, &apply.published_text, &apply.published);
    if (result == FG_OK)
        result = read_entry(&apply, CATALOGUE_PENDING, &apply.pending_text, &apply.pending);
    if (result == FG_OK)
        result = make_it_so(&apply);
    apply_close(&apply);
    return result;
}
