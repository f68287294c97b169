/* `flashgate-load demo`: stage, crowd, verdict, and everything cleared away. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crowd.h"
#include "crowd_flags.h"
#include "flashgate/base/clock.h"
#include "interrupt.h"
#include "judge.h"
#include "life.h"
#include "report.h"
#include "stage.h"
#include "verbs.h"

static const char usage[] =
    "demo [FLAG ...]\n\n"
    "Starts a gateway with a Redis of its own and a relay, puts a sale on, sends a crowd that "
    "wants far\n"
    "more than there is, and audits the books against what every shopper was told. Then three "
    "orders of a\n"
    "sale with a hold: one is paid for, one is given back, one is forgotten.";

static const uint64_t delivery_wait_ns = 15 * FG_SECOND_IN_NS;

struct request {
    const char *folder, *sale_file;
    struct fg_crowd_flags crowd;
    bool stay, keep, help;
};

struct demo {
    const struct request *request;
    struct fg_crowd_shape shape;
    char sale_file[FG_ADDRESS_BYTES];
    struct fg_sale sale;
    struct fg_stage stage;
    struct fg_record record;
};

/* The demo's sale: as given, from where one stands, or from the tree the program was built in. */
static enum fg_result find_sale(struct demo *demo, struct fg_error *error)
{
    static const char standard[] = "conf/sales/demo.yaml";
    const char *given = demo->request->sale_file;
    (void)snprintf(demo->sale_file, sizeof demo->sale_file, "%s", given != NULL ? given : standard);
    if (given == NULL && access(standard, R_OK) != 0) {
        char folder[FG_PATH_BYTES];
        ssize_t length = readlink("/proc/self/exe", folder, sizeof folder - 1);
        folder[length > 0 ? length : 0] = '\0';
        char *slash = strrchr(folder, '/');
        if (slash != NULL)
            *slash = '\0';
        (void)snprintf(demo->sale_file, sizeof demo->sale_file, "%s/../../../%s", folder, standard);
    }
    return fg_sale_load(demo->sale_file, &demo->sale, error);
}

static enum fg_result send_crowd(struct demo *demo, struct fg_error *error)
{
    const struct fg_plan_settings *shape = &demo->shape.plan;
    char shoppers[FG_COUNT_TEXT_BYTES], units[FG_COUNT_TEXT_BYTES];
    uint64_t stock = 0;
    for (size_t i = 0; i < fg_sale_sku_count(&demo->sale); i++)
        stock += fg_sale_sku(&demo->sale, i)->stock;
    (void)printf("%s shoppers want %s units, within %" PRIu64 " s (seed %" PRIu64 ")\n",
                 fg_count_text(shape->shoppers, shoppers), fg_count_text(stock, units),
                 shape->duration_ns / FG_SECOND_IN_NS, shape->seed);
    (void)fflush(stdout);

    demo->record.seed = shape->seed;
    demo->record.sale = fg_store_text(&demo->record.store, fg_text_of(demo->sale.name));
    demo->record.user_prefix = fg_store_text(&demo->record.store, FG_TEXT("shopper-"));
    struct fg_plan plan;
    fg_plan_draw(shape, &demo->sale, &plan);
    const char *const gateways[] = { demo->stage.public };
    const struct fg_crowd_settings settings = {
        .sale = &demo->sale,
        .plan = &plan,
        .gateways = gateways,
        .gateway_count = 1,
        .connections = demo->shape.connections,
    };
    enum fg_result result = fg_crowd_run(&settings, &demo->record, error);
    fg_plan_free(&plan);
    if (result == FG_OK && fg_interrupt_count() > 0)
        result = fg_error_set(error, FG_REFUSED, "interrupted");
    return result;
}

static enum fg_result judge(struct demo *demo, bool *good_r, struct fg_error *error)
{
    char path[FG_ADDRESS_BYTES];
    (void)snprintf(path, sizeof path, "%s/record.txt", demo->stage.folder);
    enum fg_result result = fg_record_write(&demo->record, path, error);
    if (result != FG_OK)
        return result;
    fg_report_crowd(&demo->record, stdout);
    (void)fflush(stdout);
    const struct fg_judge_settings settings = {
        .sale = &demo->sale,
        .record = &demo->record,
        .redis = demo->stage.redis_at,
        .database = demo->stage.database,
        .wait_ns = delivery_wait_ns,
    };
    return fg_judge(&settings, good_r, error);
}

static enum fg_result perform(struct demo *demo, bool *good_r, struct fg_error *error)
{
    (void)printf("starting gateway, Redis and relay in %s\n", demo->stage.folder);
    (void)fflush(stdout);
    enum fg_result result = fg_stage_start(&demo->stage, &demo->sale, demo->sale_file, error);
    if (result != FG_OK)
        return result;
    result = send_crowd(demo, error);
    const struct fg_process *ended = fg_stage_find_ended(&demo->stage);
    if (result == FG_OK && ended != NULL)
        result = fg_error_set(error, FG_UNREACHABLE, "%s ended while the crowd was there; see %s",
                              ended->name, ended->log);
    if (result != FG_OK)
        return result;
    result = judge(demo, good_r, error);
    bool lived_well = false;
    if (result == FG_OK)
        result = fg_life_show(&demo->stage, stdout, &lived_well, error);
    *good_r = *good_r && lived_well;
    return result;
}

/* The folder is kept when asked for, and whenever somebody will want to look into it. */
static void end(struct demo *demo, bool good)
{
    bool stopped = fg_stage_stop(&demo->stage);
    if (good && stopped && !demo->request->keep)
        fg_stage_clear(&demo->stage);
    else
        (void)printf("logs, configs, books and record.txt are in %s\n", demo->stage.folder);
}

static int run(struct demo *demo)
{
    struct fg_error error;
    bool good = false;
    enum fg_result result = find_sale(demo, &error);
    if (result != FG_OK)
        return fg_verb_fail(&error);
    result = fg_stage_prepare(&demo->stage, demo->request->folder, demo->request->stay, &error);
    if (result == FG_OK) {
        result = perform(demo, &good, &error);
        if (result == FG_OK && demo->request->stay && fg_interrupt_count() == 0)
            fg_stage_invite(&demo->stage, &demo->sale, stdout);
        else
            end(demo, good || fg_interrupt_count() > 0);
    }
    fg_record_free(&demo->record);
    fg_sale_free(&demo->sale);
    if (result != FG_OK || fg_interrupt_count() > 0)
        return fg_verb_fail(&error);
    return good ? 0 : 1;
}

int fg_verb_demo(int argc, char **argv)
{
    struct request request = { .folder = "run/demo" };
    const struct fg_flag flags[] = {
        { .name = "stay",
          .help = "leave everything running on fixed ports (8080, 9180, 9181), and say what to try",
          .is_set = &request.stay },
        { .name = "run",
          .value = "FOLDER",
          .help = "where its files go; wiped first (run/demo)",
          .text = &request.folder },
        { .name = "keep",
          .help = "keep the folder also when all is well",
          .is_set = &request.keep },
        { .name = "sale",
          .value = "FILE",
          .help = "another sale (conf/sales/demo.yaml)",
          .text = &request.sale_file },
        FG_CROWD_FLAG_ROWS(request.crowd),
        { .name = "help", .letter = 'h', .help = "this text", .is_set = &request.help },
        { 0 },
    };
    int code;
    if (!fg_verb_parse(argc, argv, flags, &request.help, usage, &code))
        return code;
    struct demo demo = { .request = &request };
    struct fg_error error;
    if (fg_crowd_flags_read(&request.crowd, &demo.shape, &error) != FG_OK)
        return fg_verb_fail(&error);
    return run(&demo);
}
