/* auditor.c - see auditor.h. A round goes over the next buckets in turn, as far as its budget of buckets and ledger
 * entries reaches; what a look could not finish goes on in the next. */
#include "auditor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auditor-private.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "flashgate/inventory/settle.h"
#include "relay_metrics.h"

enum {
    ROUND_BUCKETS = 200, /* looked at in one round */
    ROUND_ENTRIES =
        100000,         /* of ledgers, read in one round: reached only while some were never read */
    ROUND_AGAIN = 5000, /* of what sinks were compared with before, in one round */
    REST_LEAST_MS = 100,
    REST_MOST_MS = 2000,
};

/* --- what is found ---------------------------------------------------------------------------------- */

static void freeze(struct relay_auditor *auditor, const struct relay_finding *finding)
{
    char reason[RELAY_FINDING_TEXT_BYTES + 64];
    struct fg_error error;
    snprintf(reason, sizeof reason, "audit: %s: %.200s", relay_finding_words[finding->kind],
             finding->text);
    enum fg_result result =
        fg_bucket_freeze(relay_consumer_redis(auditor->consumer), auditor->sku, reason, &error);
    if (result == FG_OK) {
        auditor->state = FG_SALE_FROZEN;
        fg_metrics_add(auditor->metrics, RELAY_AUDIT_FREEZES, 0, 1);
    }
    fg_log(FG_LOG_ERROR, result == FG_OK ? "audit_froze" : "audit_could_not_freeze",
           FG_STRING_FIELD("sale", finding->sale), FG_STRING_FIELD("sku", finding->sku),
           FG_STRING_FIELD("reason", reason),
           FG_STRING_FIELD("problem", result == FG_OK ? "" : error.text));
}

static bool may_freeze(const struct relay_auditor *auditor, const struct relay_finding *finding)
{
    return auditor->settings->audit_freezes && relay_finding_freezes(finding->kind) &&
           auditor->state != FG_SALE_FROZEN && auditor->state != FG_SALE_ARCHIVED;
}

void auditor_meet(struct relay_auditor *auditor, struct relay_finding *finding)
{
    finding->subject = auditor->subject;
    memcpy(finding->sale, auditor->sale->sale, sizeof finding->sale);
    memcpy(finding->sku, auditor->sku->sku, sizeof finding->sku);
    enum relay_meeting meeting =
        relay_findings_meet(auditor->findings, finding, fg_clock_wall_ms());
    if (meeting == RELAY_MET_NEW) {
        fg_metrics_add(auditor->metrics, RELAY_AUDIT_FOUND, finding->kind, 1);
        fg_log(FG_LOG_ERROR, "audit_difference",
               FG_STRING_FIELD("kind", relay_finding_words[finding->kind]),
               FG_STRING_FIELD("sale", finding->sale), FG_STRING_FIELD("sku", finding->sku),
               FG_STRING_FIELD("sink", finding->subject.sink == NULL ? "" : finding->subject.sink),
               FG_STRING_FIELD("what", finding->text));
    }
    if (meeting == RELAY_MET_AGREED && may_freeze(auditor, finding))
        freeze(auditor, finding);
}

struct relay_finding auditor_finding_at(enum relay_finding_kind kind, struct fg_ledger_entry entry)
{
    return (struct relay_finding){ .kind = kind,
                                   .marks = { (int64_t)entry.ms, (int64_t)entry.sequence } };
}

void auditor_meet_words(struct relay_auditor *auditor, enum relay_finding_kind kind, int64_t mark,
                        const char *words)
{
    struct relay_finding finding = { .kind = kind, .marks = { mark } };
    snprintf(finding.text, sizeof finding.text, "%.*s", RELAY_FINDING_TEXT_BYTES - 1, words);
    auditor_meet(auditor, &finding);
}

void auditor_forget(struct relay_auditor *auditor)
{
    struct auditor_look *look = auditor->look;
    memset(&look->sums, 0, sizeof look->sums);
    look->lost = (struct fg_ledger_entry){ 0, 0 };
    look->is_summed = false;
    relay_findings_forget(auditor->findings, auditor->bucket.origin.bucket);
}

bool auditor_is_stopping(void *context)
{
    return relay_thread_is_stopping(&((struct relay_auditor *)context)->thread);
}

/* --- rounds ----------------------------------------------------------------------------------------- */

static enum fg_result find_look(struct relay_auditor *auditor)
{
    struct auditor_look **at = &auditor->looks[auditor->sku->terms.bucket];
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at != NULL)
            (*at)->sinks = calloc(auditor->sink_count + 1, sizeof *(*at)->sinks);
        if (*at == NULL || (*at)->sinks == NULL)
            return fg_error_set(&auditor->error, FG_EXHAUSTED, "no memory");
    }
    auditor->look = *at;
    if (strcmp(auditor->look->epoch, auditor->sku->terms.epoch) != 0) {
        auditor_forget(auditor);
        memset(auditor->look->sinks, 0, (auditor->sink_count + 1) * sizeof *auditor->look->sinks);
        memcpy(auditor->look->epoch, auditor->sku->terms.epoch, sizeof auditor->look->epoch);
    }
    return FG_OK;
}

static enum fg_result look_at(struct relay_auditor *auditor, const struct fg_catalogue_sale *sale,
                              const struct fg_catalogue_sku *sku)
{
    bool goes_on = false;
    auditor->sale = sale;
    auditor->sku = sku;
    auditor->bucket = (struct relay_bucket){ .origin.bucket = sku->terms.bucket };
    memcpy(auditor->bucket.origin.epoch, sku->terms.epoch, sizeof auditor->bucket.origin.epoch);
    enum fg_result result = find_look(auditor);
    if (result == FG_OK)
        result = auditor_look_at_books(auditor, &goes_on);
    if (result == FG_OK && goes_on)
        auditor_look_at_sinks(auditor);
    return result;
}

static enum fg_result refresh(struct relay_auditor *auditor)
{
    struct fg_catalogue *newer = NULL;
    uint64_t known = auditor->catalogue == NULL ? UINT64_MAX : auditor->catalogue->generation;
    enum fg_result result = relay_consumer_sort(
        fg_catalogue_load(relay_consumer_redis(auditor->consumer), known, &newer, &auditor->error),
        &auditor->error);
    if (result != FG_OK || newer == NULL)
        return result;
    if (newer->bucket_limit > auditor->look_count) {
        struct auditor_look **looks = realloc(auditor->looks, newer->bucket_limit * sizeof *looks);
        if (looks == NULL) {
            fg_catalogue_release(&newer);
            return fg_error_set(&auditor->error, FG_EXHAUSTED, "no memory");
        }
        memset(looks + auditor->look_count, 0,
               (newer->bucket_limit - auditor->look_count) * sizeof *looks);
        auditor->looks = looks;
        auditor->look_count = newer->bucket_limit;
    }
    fg_catalogue_release(&auditor->catalogue);
    auditor->catalogue = newer;
    return FG_OK;
}

static uint32_t count_skus(const struct fg_catalogue *catalogue)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < catalogue->sale_count; i++)
        count += catalogue->sales[i].sku_count;
    return count;
}

/* The `at`-th SKU, counted over all sales. */
static const struct fg_catalogue_sku *find_sku(const struct fg_catalogue *catalogue, uint32_t at,
                                               const struct fg_catalogue_sale **sale_r)
{
    *sale_r = NULL;
    for (uint32_t i = 0; i < catalogue->sale_count; i++) {
        *sale_r = &catalogue->sales[i];
        if (at < (*sale_r)->sku_count)
            return &(*sale_r)->skus[at];
        at -= (*sale_r)->sku_count;
    }
    return NULL;
}

/* Findings of what is in no catalogue any more. */
static void forget_absent(struct relay_auditor *auditor)
{
    const struct fg_catalogue_sale *sale;
    for (uint32_t bucket = 0; bucket < auditor->look_count; bucket++) {
        struct auditor_look *look = auditor->looks[bucket];
        if (look == NULL || fg_catalogue_find_bucket(auditor->catalogue, bucket, &sale) != NULL)
            continue;
        relay_findings_forget(auditor->findings, bucket);
        free(look->sinks);
        free(look);
        auditor->looks[bucket] = NULL;
    }
}

static void tell(struct relay_auditor *auditor)
{
    uint64_t oldest_ns = UINT64_MAX;
    uint32_t skus = count_skus(auditor->catalogue);
    const struct fg_catalogue_sale *sale;
    for (uint32_t i = 0; i < skus; i++) {
        const struct auditor_look *look =
            auditor->looks[find_sku(auditor->catalogue, i, &sale)->terms.bucket];
        uint64_t verdict_ns = look == NULL ? 0 : look->verdict_ns;
        oldest_ns = verdict_ns < oldest_ns ? verdict_ns : oldest_ns;
    }
    atomic_store(&auditor->sku_count, skus);
    atomic_store(&auditor->oldest_look_ns, oldest_ns == UINT64_MAX ? 0 : oldest_ns);
    for (int kind = 0; kind < RELAY_FINDING_KIND_COUNT; kind++)
        fg_metrics_set(
            auditor->metrics, RELAY_AUDIT_OPEN, (unsigned)kind,
            (int64_t)relay_findings_count(auditor->findings, (enum relay_finding_kind)kind));
}

static enum fg_result run_round(struct relay_auditor *auditor)
{
    const struct fg_catalogue_sale *sale = NULL;
    enum fg_result result = FG_OK;
    auditor->entries_left = ROUND_ENTRIES;
    auditor->again_left = ROUND_AGAIN;
    if (!relay_consumer_is_connected(auditor->consumer))
        result = relay_consumer_connect(auditor->consumer, &auditor->error);
    if (result == FG_OK)
        result = refresh(auditor);
    if (result != FG_OK)
        return result;
    forget_absent(auditor);
    uint32_t skus = count_skus(auditor->catalogue);
    for (uint32_t n = 0; result == FG_OK && n < skus && n < ROUND_BUCKETS; n++) {
        if (auditor->entries_left == 0 || auditor_is_stopping(auditor))
            break;
        auditor->next = (auditor->next + 1) % skus;
        const struct fg_catalogue_sku *sku = find_sku(auditor->catalogue, auditor->next, &sale);
        result = look_at(auditor, sale, sku);
    }
    if (result == FG_OK)
        tell(auditor);
    return result;
}

/* --- the thread ------------------------------------------------------------------------------------- */

static uint64_t rest_after_failure(struct relay_auditor *auditor)
{
    if (auditor->rest_ns == 0)
        fg_log(FG_LOG_WARN, "auditor_waits", FG_STRING_FIELD("reason", auditor->error.text));
    relay_consumer_disconnect(auditor->consumer);
    fg_catalogue_release(&auditor->catalogue); /* another server may count generations anew */
    fg_metrics_set(auditor->metrics, RELAY_AUDIT_UP, 0, 0);
    auditor->rest_ns = auditor->rest_ns == 0 ? REST_LEAST_MS * FG_MS_IN_NS : auditor->rest_ns * 2;
    if (auditor->rest_ns > REST_MOST_MS * FG_MS_IN_NS)
        auditor->rest_ns = REST_MOST_MS * FG_MS_IN_NS;
    return fg_clock_steady_ns() + auditor->rest_ns;
}

static void *audit(void *owner)
{
    struct relay_auditor *auditor = owner;
    uint64_t until_ns;
    pthread_setname_np(pthread_self(), "auditor");
    do {
        uint64_t began_ns = fg_clock_steady_ns();
        enum fg_result result = run_round(auditor);
        until_ns = began_ns + auditor->settings->audit_every_ns;
        if (result == FG_OK) {
            auditor->rest_ns = 0;
            fg_metrics_set(auditor->metrics, RELAY_AUDIT_UP, 0, 1);
        } else {
            until_ns = rest_after_failure(auditor);
        }
    } while (relay_thread_rest(&auditor->thread, until_ns));
    return NULL;
}

static void free_memory(struct relay_auditor *auditor)
{
    for (uint32_t i = 0; i < auditor->look_count; i++) {
        if (auditor->looks[i] != NULL)
            free(auditor->looks[i]->sinks);
        free(auditor->looks[i]);
    }
    auditor_close_sinks(auditor);
    free(auditor->looks);
    fg_catalogue_release(&auditor->catalogue);
    relay_consumer_free(&auditor->consumer);
    relay_findings_free(&auditor->findings);
    free(auditor);
}

enum fg_result relay_auditor_start(const struct relay_options *options,
                                   struct fg_metrics_block *metrics,
                                   struct relay_auditor **auditor_r, struct fg_error *error)
{
    struct relay_auditor *auditor = calloc(1, sizeof *auditor);
    *auditor_r = NULL;
    if (auditor == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory for the auditor");
    auditor->settings = options;
    auditor->options = *options;
    auditor->options.batch = AUDITOR_PAGE_ENTRIES;
    auditor->metrics = metrics;
    auditor_take_sinks(auditor);
    auditor->consumer = relay_consumer_new(&auditor->options, "", "audit");
    auditor->findings = relay_findings_new();
    if (auditor->consumer == NULL || auditor->findings == NULL ||
        !relay_thread_start(&auditor->thread, audit, auditor)) {
        free_memory(auditor);
        return fg_error_set(error, FG_EXHAUSTED, "no thread or memory for the auditor");
    }
    *auditor_r = auditor;
    return FG_OK;
}

void relay_auditor_stop(struct relay_auditor *auditor)
{
    if (auditor != NULL)
        relay_thread_stop(&auditor->thread);
}

void relay_auditor_free(struct relay_auditor **auditor_at)
{
    struct relay_auditor *auditor = *auditor_at;
    *auditor_at = NULL;
    if (auditor == NULL)
        return;
    relay_thread_join(&auditor->thread);
    free_memory(auditor);
}

void relay_auditor_add_json(struct relay_auditor *auditor, struct fg_buffer *out)
{
    uint64_t oldest_ns = atomic_load(&auditor->oldest_look_ns);
    fg_buffer_add_format(
        out, "{\"every_ms\":%" PRIu64 ",\"freeze\":%s,\"skus\":%" PRIu64 ",\"oldest_look_ms\":",
        auditor->settings->audit_every_ns / FG_MS_IN_NS,
        auditor->settings->audit_freezes ? "true" : "false", atomic_load(&auditor->sku_count));
    if (oldest_ns == 0)
        fg_buffer_add_string(out, "null");
    else
        fg_buffer_add_format(out, "%" PRIu64, (fg_clock_steady_ns() - oldest_ns) / FG_MS_IN_NS);
    fg_buffer_add_byte(out, ',');
    relay_findings_add_json(auditor->findings, out);
    fg_buffer_add_byte(out, '}');
}
