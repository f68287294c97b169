/* `flashgate-load audit`: only the verdict, from a record and the books. */
#include "flashgate/base/clock.h"
#include "interrupt.h"
#include "judge.h"
#include "report.h"
#include "verbs.h"

static const char usage[] =
    "audit --record FILE --sale FILE --redis ADDRESS --database FILE [FLAG ...]\n\n"
    "Holds the record of a crowd against Redis and the relay's SQLite file, with no code in "
    "common\n"
    "with what it judges. The last line is the verdict.";

struct request {
    const char *record_file, *sale_file, *redis, *database, *wait;
    bool is_shared, help;
};

static enum fg_result check(const struct request *request, uint64_t *wait_ns_r,
                            struct fg_error *error)
{
    const struct {
        const char *name, *text;
    } needed[] = { { "record", request->record_file },
                   { "sale", request->sale_file },
                   { "redis", request->redis },
                   { "database", request->database } };
    for (size_t i = 0; i < FG_COUNT_OF(needed); i++)
        if (needed[i].text == NULL)
            return fg_error_set(error, FG_INVALID, "--%s is missing; see --help", needed[i].name);
    *wait_ns_r = 10 * FG_SECOND_IN_NS;
    if (request->wait == NULL || fg_text_duration(fg_text_of(request->wait), 3600 * FG_SECOND_IN_NS,
                                                  wait_ns_r) == FG_NUMBER_OK)
        return FG_OK;
    return fg_error_set(error, FG_INVALID,
                        "--wait: \"%s\"; expected a duration up to 1h, such as 10s", request->wait);
}

static enum fg_result judge(const struct request *request, uint64_t wait_ns,
                            const struct fg_sale *sale, struct fg_record *record, bool *good_r,
                            struct fg_error *error)
{
    enum fg_result result = fg_record_read(record, request->record_file, error);
    if (result != FG_OK)
        return result;
    if (!fg_text_equal(record->sale, fg_text_of(sale->name)))
        return fg_error_set(error, FG_INVALID, "%s is a record of sale %s, %s is sale %s",
                            request->record_file, record->sale.at, request->sale_file, sale->name);
    fg_report_crowd(record, stdout);
    (void)fflush(stdout);
    const struct fg_judge_settings settings = {
        .sale = sale,
        .record = record,
        .redis = request->redis,
        .database = request->database,
        .wait_ns = wait_ns,
        .is_shared = request->is_shared,
    };
    return fg_judge(&settings, good_r, error);
}

int fg_verb_audit(int argc, char **argv)
{
    struct request request = { 0 };
    const struct fg_flag flags[] = {
        { .name = "record",
          .value = "FILE",
          .help = "what `flashgate-load crowd` wrote",
          .text = &request.record_file },
        { .name = "sale", .value = "FILE", .help = "the sale file", .text = &request.sale_file },
        { .name = "redis",
          .value = "ADDRESS",
          .help = "HOST:PORT or unix:PATH (embedded: unix:STATE_DIR/redis/redis.sock)",
          .text = &request.redis },
        { .name = "database",
          .value = "FILE",
          .help = "the relay's SQLite file",
          .text = &request.database },
        { .name = "wait",
          .value = "DURATION",
          .help = "how long delivery may still take (10s)",
          .text = &request.wait },
        { .name = "shared",
          .help = "others bought in this sale too: judge only the record's own shoppers",
          .is_set = &request.is_shared },
        { .name = "help", .letter = 'h', .help = "this text", .is_set = &request.help },
        { 0 },
    };
    int code;
    if (!fg_verb_parse(argc, argv, flags, &request.help, usage, &code))
        return code;
    struct fg_error error;
    struct fg_sale sale;
    uint64_t wait_ns;
    if (check(&request, &wait_ns, &error) != FG_OK ||
        fg_sale_load(request.sale_file, &sale, &error) != FG_OK)
        return fg_verb_fail(&error);
    struct fg_record record = { 0 };
    bool good = false;
    enum fg_result result = judge(&request, wait_ns, &sale, &record, &good, &error);
    code = result != FG_OK ? fg_verb_fail(&error) : good ? 0 : 1;
    fg_record_free(&record);
    fg_sale_free(&sale);
    return code;
}
