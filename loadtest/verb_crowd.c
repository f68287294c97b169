/* `flashgate-load crowd`: only the crowd and its record. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "crowd_flags.h"
#include "interrupt.h"
#include "record.h"
#include "report.h"
#include "verbs.h"

static const char usage[] =
    "crowd --gateway ADDRESS --sale FILE --record FILE [FLAG ...]\n\n"
    "Sends shoppers of the sale in FILE to the gateways, each when it is due (an open model), "
    "asks\n"
    "again with the same key wherever an outcome is unknown, and writes what everyone was told "
    "into\n"
    "the record. The gateways must believe this machine's X-User-Id (trusted_proxies).";

struct request {
    const char *gateways[FG_GATEWAYS]; /* split from `listed` */
    size_t gateway_count;
    const char *given[FG_GATEWAYS];
    size_t given_count;
    const char *sale_file, *record_file, *prefix;
    struct fg_crowd_flags crowd;
    bool quiet, help;
};

/* "A,B" and repeated flags alike; the texts are argv's, cut in place by a copy that lives on. */
static enum fg_result split_gateways(struct request *request, struct fg_store *store,
                                     struct fg_error *error)
{
    for (size_t i = 0; i < request->given_count; i++) {
        struct fg_text rest = fg_text_of(request->given[i]);
        while (rest.at != NULL) {
            struct fg_text one = fg_text_cut(&rest, ',');
            if (one.length == 0 || request->gateway_count == FG_GATEWAYS)
                return fg_error_set(error, FG_INVALID,
                                    "--gateway: expected 1 to %d addresses such as 127.0.0.1:8080",
                                    FG_GATEWAYS);
            request->gateways[request->gateway_count++] = fg_store_text(store, one).at;
        }
    }
    if (request->gateway_count > 0)
        return FG_OK;
    return fg_error_set(error, FG_INVALID, "--gateway is missing; see --help");
}

static enum fg_result check(struct request *request, struct fg_crowd_shape *shape_r,
                            struct fg_store *store, struct fg_error *error)
{
    enum fg_result result = split_gateways(request, store, error);
    if (result != FG_OK)
        return result;
    if (request->sale_file == NULL || request->record_file == NULL)
        return fg_error_set(error, FG_INVALID, "%s is missing; see --help",
                            request->sale_file == NULL ? "--sale" : "--record");
    if (request->prefix != NULL && !fg_text_is_visible_ascii(fg_text_of(request->prefix), 0, 100))
        return fg_error_set(error, FG_INVALID,
                            "--user-prefix: expected up to 100 visible characters");
    return fg_crowd_flags_read(&request->crowd, shape_r, error);
}

static enum fg_result run(const struct request *request, const struct fg_crowd_shape *shape,
                          const struct fg_sale *sale, struct fg_record *record,
                          struct fg_error *error)
{
    record->seed = shape->plan.seed;
    record->sale = fg_store_text(&record->store, fg_text_of(sale->name));
    record->user_prefix = request->prefix != NULL
                              ? fg_store_text(&record->store, fg_text_of(request->prefix))
                              : fg_store_format(&record->store, "s%" PRIu64 "-", shape->plan.seed);
    struct fg_plan plan;
    fg_plan_draw(&shape->plan, sale, &plan);
    (void)printf("%" PRIu32 " shoppers of sale %s, over %" PRIu64 " s, seed %" PRIu64 "\n",
                 shape->plan.shoppers, sale->name, shape->plan.duration_ns / 1000000000,
                 shape->plan.seed);
    (void)fflush(stdout);
    const struct fg_crowd_settings settings = {
        .sale = sale,
        .plan = &plan,
        .gateways = request->gateways,
        .gateway_count = request->gateway_count,
        .connections = shape->connections,
        .quiet = request->quiet,
    };
    enum fg_result result = fg_crowd_run(&settings, record, error);
    fg_plan_free(&plan);
    return result;
}

static int crowd_and_record(const struct request *request, const struct fg_crowd_shape *shape)
{
    struct fg_error error;
    struct fg_sale sale;
    if (fg_sale_load(request->sale_file, &sale, &error) != FG_OK)
        return fg_verb_fail(&error);
    struct fg_record record = { 0 };
    enum fg_result result = run(request, shape, &sale, &record, &error);
    int code = result == FG_OK ? 0 : fg_exit_code(result);
    if (result == FG_OK && fg_record_write(&record, request->record_file, &error) != FG_OK)
        result = error.result;
    if (result == FG_OK)
        fg_report_crowd(&record, stdout);
    if (result != FG_OK)
        code = fg_verb_fail(&error);
    else if (record.interrupted)
        code = FG_EXIT_INTERRUPTED;
    fg_record_free(&record);
    fg_sale_free(&sale);
    return code;
}

int fg_verb_crowd(int argc, char **argv)
{
    struct request request = { 0 };
    const struct fg_flag flags[] = {
        { .name = "gateway",
          .value = "ADDRESS",
          .help = "where to press buy; several with commas, or the flag again",
          .texts = request.given,
          .texts_capacity = FG_GATEWAYS,
          .texts_count = &request.given_count },
        { .name = "sale", .value = "FILE", .help = "the sale file", .text = &request.sale_file },
        { .name = "record",
          .value = "FILE",
          .help = "where to write what everyone was told",
          .text = &request.record_file },
        { .name = "user-prefix",
          .value = "TEXT",
          .help = "what the shoppers' names begin with (sSEED-)",
          .text = &request.prefix },
        FG_CROWD_FLAG_ROWS(request.crowd),
        { .name = "quiet", .help = "no progress line", .is_set = &request.quiet },
        { .name = "help", .letter = 'h', .help = "this text", .is_set = &request.help },
        { 0 },
    };
    int code;
    if (!fg_verb_parse(argc, argv, flags, &request.help, usage, &code))
        return code;
    struct fg_error error;
    struct fg_store store = { 0 };
    struct fg_crowd_shape shape;
    if (check(&request, &shape, &store, &error) != FG_OK)
        code = fg_verb_fail(&error);
    else
        code = crowd_and_record(&request, &shape);
    fg_store_free(&store);
    return code;
}
