#include "judge.h"

#include <stdlib.h>

#include "audit.h"
#include "flashgate/base/clock.h"
#include "interrupt.h"
#include "report.h"

enum {
    PAUSE_MS = 200
};

struct trial {
    struct fg_books books;
    struct fg_findings findings;
    struct fg_sku_units *units;
};

static enum fg_result try_once(const struct fg_judge_settings *settings, struct trial *trial,
                               struct fg_error *error)
{
    fg_books_open(&trial->books, settings->sale);
    trial->findings = (struct fg_findings){ 0 };
    trial->units = fg_allocate(fg_sale_sku_count(settings->sale), sizeof *trial->units);
    /* The database first: Redis is never behind it, so nothing is there that the ledger lacks. */
    enum fg_result result =
        fg_books_read_database(&trial->books, settings->sale, settings->database, error);
    if (result == FG_OK)
        result = fg_books_read_redis(&trial->books, settings->sale, settings->redis, error);
    if (result != FG_OK)
        return result;
    const struct fg_evidence evidence = {
        .sale = settings->sale,
        .record = settings->record,
        .books = &trial->books,
        .is_shared = settings->is_shared,
    };
    fg_audit(&evidence, &trial->findings, trial->units);
    return FG_OK;
}

static void end_trial(struct trial *trial)
{
    fg_findings_free(&trial->findings);
    fg_books_free(&trial->books);
    free(trial->units);
}

static bool may_mend(const struct trial *trial, enum fg_result result)
{
    if (result != FG_OK)
        return result == FG_NOT_FOUND; /* the relay has not made its file yet */
    if (fg_findings_are_good(&trial->findings))
        return false;
    for (int kind = 0; kind < FG_FINDING_KINDS; kind++)
        if (kind != FG_FINDING_LOST && kind != FG_FINDING_BOOKS_DIFFER &&
            trial->findings.counts[kind] > 0)
            return false;
    return true;
}

enum fg_result fg_judge(const struct fg_judge_settings *settings, bool *good_r,
                        struct fg_error *error)
{
    uint64_t deadline_ns = fg_clock_steady_ns() + settings->wait_ns;
    struct trial trial;
    enum fg_result result = try_once(settings, &trial, error);
    while (may_mend(&trial, result) && fg_clock_steady_ns() < deadline_ns &&
           fg_interrupt_count() == 0) {
        end_trial(&trial);
        fg_interrupt_sleep_ms(PAUSE_MS);
        result = try_once(settings, &trial, error);
    }
    *good_r = result == FG_OK && fg_findings_are_good(&trial.findings);
    if (result == FG_OK) {
        fg_report_books(settings->sale, trial.units, stdout);
        fg_report_verdict(&trial.findings, stdout);
    }
    end_trial(&trial);
    return result == FG_NOT_FOUND ? FG_UNREACHABLE : result;
}
