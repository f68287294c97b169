/* verbs.c - the table of verbs, and finding one in it. */
#include "verbs.h"

#include <string.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/text.h"
#include "flags.h"
#include "nouns.h"

enum {
    NAMES_MAX = 24,
    LETTERS_MAX = 100, /* as many as the relay takes at once */
    ORDERS_MAX = 10000 /* on a command line; - reads more */
};

#define SETTLE_MORE                                                                              \
    "- reads standard input, an `ORDER` or `ORDER REFERENCE` a line. Of several, each has its\n" \
    "own outcome; those that were refused are listed. Repeating it is harmless. Ends with 1 "    \
    "when\n"                                                                                     \
    "one was refused, with 3 when the outcome of one is not known.\n"

static const struct fg_verb verbs[] = {
    { .name = "status",
      .values = "",
      .help = "Show each gateway, its Redis and workers, and the relay's sinks.",
      .more = "Ends with 3 when a gateway cannot be reached. A relay that cannot be reached is\n"
              "shown as such; with --relay that ends with 3 too.\n",
      .examples = "flashgatectl status\n"
                  "flashgatectl --admin unix:a/admin.sock --admin unix:b/admin.sock status\n"
                  "flashgatectl --json status\n",
      .run = fg_status },
    { .noun = "sale",
      .name = "apply",
      .values = "FILE",
      .minimum = 1,
      .maximum = 1,
      .help = "Create a sale, or change one, from its definition.",
      .more =
          "FILE is YAML; - reads standard input. Repeating it is harmless: it completes what is\n"
          "missing and changes what differs, but never the stock of a SKU that exists (that\n"
          "is 'stock add').\n",
      .examples = "flashgatectl sale apply conf/sales/demo.yaml\n",
      .run = fg_sale_apply },
    { .noun = "sale",
      .name = "list",
      .values = "",
      .help = "List all sales with their state and stock.",
      .more = "",
      .examples = "flashgatectl sale list\n"
                  "flashgatectl --json sale list\n",
      .run = fg_sale_list },
    { .noun = "sale",
      .name = "show",
      .values = "SALE",
      .minimum = 1,
      .maximum = 1,
      .help = "Show one sale and the stock of each of its SKUs.",
      .more = "",
      .examples = "flashgatectl sale show demo\n",
      .run = fg_sale_show },
    { .noun = "sale",
      .name = "pause",
      .values = "SALE",
      .minimum = 1,
      .maximum = 1,
      .help = "Stop selling for now; shoppers are told to wait.",
      .more = "Orders that were made stay; they can be read, confirmed and cancelled.\n",
      .examples = "flashgatectl sale pause demo\n",
      .run = fg_sale_pause },
    { .noun = "sale",
      .name = "resume",
      .values = "SALE",
      .minimum = 1,
      .maximum = 1,
      .help = "Sell again after a pause.",
      .more = "",
      .examples = "flashgatectl sale resume demo\n",
      .run = fg_sale_resume },
    { .noun = "sale",
      .name = "end",
      .values = "SALE",
      .minimum = 1,
      .maximum = 1,
      .help = "End a sale for good.",
      .more = "Shoppers are told that it is over. Orders that were made stay; they can be read,\n"
              "confirmed and cancelled.\n",
      .examples = "flashgatectl sale end demo\n",
      .run = fg_sale_end },
    { .noun = "sale",
      .name = "resolve",
      .values = "SALE SKU",
      .flags = FG_OWN_BIT(FG_OWN_REASON) | FG_OWN_BIT(FG_OWN_TO),
      .minimum = 2,
      .maximum = 2,
      .help = "Let a frozen SKU go on: the ledger is the truth.",
      .more =
          "The counters become what the ledger says; where it sold more than there was, the\n"
          "stock grows by what is missing. Needs --reason. It is then paused, unless --to says\n"
          "otherwise: look at it, then 'sale resume SALE'. 'sale show' tells why it was frozen.\n",
      .examples = "flashgatectl sale resolve demo 8801 --reason 'restored from a backup'\n"
                  "flashgatectl sale resolve demo 8801 --to open --reason 'counter mended'\n",
      .run = fg_sale_resolve },
    { .noun = "sale",
      .name = "archive",
      .values = "SALE",
      .minimum = 1,
      .maximum = 1,
      .help = "Take an ended sale out of Redis, into a file.",
      .more =
          "The relay writes STATE_DIR/archive/SALE-EPOCH.jsonl.gz and its sha256, reads it back, "
          "and\n"
          "only then takes the keys away. Refused while units are held, letters are dead, a sink\n"
          "has not acknowledged everything, or books differ. Killed at any point and repeated, it\n"
          "completes.\n",
      .examples = "flashgatectl sale archive demo\n",
      .run = fg_sale_archive },
    { .noun = "stock",
      .name = "add",
      .values = "SALE SKU N",
      .minimum = 3,
      .maximum = 3,
      .help = "Put N more units of a SKU on sale.",
      .more = "Every call adds: if the outcome is not known, look at the total with\n"
              "'flashgatectl sale show SALE' before repeating it.\n",
      .examples = "flashgatectl stock add demo 8801 500\n"
                  "flashgatectl stock add demo 8801 1_000\n",
      .run = fg_stock_add },
    { .name = "orders",
      .values = "",
      .flags = FG_OWN_BIT(FG_OWN_SALE) | FG_OWN_BIT(FG_OWN_SKU) | FG_OWN_BIT(FG_OWN_USER) |
               FG_OWN_BIT(FG_OWN_STATUS) | FG_OWN_BIT(FG_OWN_SINCE) | FG_OWN_BIT(FG_OWN_LIMIT) |
               FG_OWN_BIT(FG_OWN_EVERY),
      .help = "List orders by whatever is known of them, newest first.",
      .more =
          "The relay is asked, for what was delivered to its database: an order is there a moment\n"
          "after it was made, and stays when its sale is archived.\n",
      .examples = "flashgatectl orders --user alice\n"
                  "flashgatectl orders --sale demo --sku 8801 --status held --since 2h\n"
                  "flashgatectl --json orders --sale demo --all\n",
      .run = fg_orders },
    { .noun = "order",
      .name = "show",
      .values = "ORDER",
      .minimum = 1,
      .maximum = 1,
      .flags = FG_OWN_BIT(FG_OWN_DECRYPT) | FG_OWN_BIT(FG_OWN_KEYS),
      .help = "Show one order: who bought what, when, and its state.",
      .more =
          "From Redis how it stands, from the relay its history and the record of the order. An "
          "order\n"
          "whose sale was archived is the relay's alone. Without a relay only the first half is\n"
          "shown, and the output says so; with --relay it must answer (else 3).\n"
          "With --json the relay's document is the member \"relay\" (null: it has none).\n"
          "The keys of --decrypt never leave this program; a section that does not open stays\n"
          "sealed, and the exit code is 1.\n",
      .examples = "flashgatectl order show 7-5f3c9a1e-1718712000123-4\n"
                  "flashgatectl order show 7-5f3c9a1e-1718712000123-4 --decrypt --keys keys\n",
      .run = fg_order_show },
    { .noun = "order",
      .name = "confirm",
      .values = "ORDER...",
      .minimum = 1,
      .maximum = ORDERS_MAX,
      .flags = FG_OWN_BIT(FG_OWN_PAYMENT),
      .help = "Say that orders are paid for.",
      .more = SETTLE_MORE "What an expired order becomes depends on its sale's late_payment.\n",
      .examples = "flashgatectl order confirm 7-5f3c9a1e-1718712000123-4 --payment pay-4711\n"
                  "flashgatectl order confirm - <paid.txt\n",
      .run = fg_order_confirm },
    { .noun = "order",
      .name = "cancel",
      .values = "ORDER...",
      .minimum = 1,
      .maximum = ORDERS_MAX,
      .help = "Say that orders will not be paid for.",
      .more = SETTLE_MORE "The units of those that were held are on sale again within 300 ms.\n",
      .examples = "flashgatectl order cancel 7-5f3c9a1e-1718712000123-4\n",
      .run = fg_order_cancel },
    { .name = "audit",
      .values = "[SALE]",
      .flags = FG_OWN_BIT(FG_OWN_ARCHIVE),
      .minimum = 0,
      .maximum = 1,
      .help = "Compare stock, ledger, buyers and what the sinks have.",
      .more =
          "The gateway compares the counters with the ledger and the buyers' records; the relay\n"
          "compares the ledger with what reached each sink. Ends with 0 when the books\n"
          "balance, 1 when they differ. Without a relay only the gateway's half is\n"
          "audited, and the output says so; with --relay it must answer (else 3).\n"
          "The relay's auditor watches all the time; what it found and is still so counts too.\n"
          "With --json the relay's document is the member \"relay\" (null: not asked), and what\n"
          "its auditor knows is \"watch\".\n"
          "With --archive the relay reads an archive: its checksum, every entry and sum, and what\n"
          "the sinks have of it.\n",
      .examples = "flashgatectl audit\n"
                  "flashgatectl audit demo\n"
                  "flashgatectl audit --archive demo\n",
      .run = fg_audit },
    { .name = "report",
      .values = "SALE",
      .flags = FG_OWN_BIT(FG_OWN_OUTPUT) | FG_OWN_BIT(FG_OWN_ARCHIVE),
      .minimum = 1,
      .maximum = 1,
      .help = "Write a report of a sale: a page, tables, configurations.",
      .more =
          "From the books while the sale is in Redis, from its archive after that. One zip (or a\n"
          "folder) with report.html, report.json, skus.csv, orders.csv, timeline.csv and the\n"
          "configuration of each gateway. What requests were answered is what gateways counted\n"
          "since they were started, of all sales.\n",
      .examples = "flashgatectl report demo\n"
                  "flashgatectl report demo --archive demo-5f3c9a1e.jsonl.gz\n"
                  "flashgatectl report demo -o /srv/reports/demo.zip\n",
      .run = fg_report },
    { .noun = "config",
      .name = "check",
      .values = "[FILE]",
      .maximum = 1,
      .help = "Let the gateway check a configuration file.",
      .more = "FILE is read here (- is standard input); without FILE the gateway reads its own.\n"
              "Nothing changes. Ends with 1 when the file is bad, and says where.\n",
      .examples = "flashgatectl config check\n"
                  "flashgatectl config check conf/flashgate.yaml\n",
      .run = fg_config_check },
    { .noun = "config",
      .name = "diff",
      .values = "[FILE]",
      .maximum = 1,
      .help = "Tell what a configuration file would change.",
      .more =
          "Compares FILE (- is standard input; without FILE the gateway's own file as it is now)\n"
          "with what runs, in words, and names what only a restart can change.\n",
      .examples = "flashgatectl config diff\n"
                  "flashgatectl config diff candidate.yaml\n",
      .run = fg_config_diff },
    { .noun = "config",
      .name = "reload",
      .values = "",
      .flags = FG_OWN_BIT(FG_OWN_WAIT),
      .help = "Make every gateway read its configuration file again.",
      .more = "Goes to every gateway named with --admin. A bad file, or a change that needs a "
              "restart,\n"
              "is refused as a whole and the old configuration runs on. Counters of limits\n"
              "and breakers are kept. Ends with 1 when a gateway refused, with 3 when one cannot\n"
              "be reached or --wait saw a worker that lags.\n",
      .examples =
          "flashgatectl config reload --wait\n"
          "flashgatectl --admin unix:a/admin.sock --admin unix:b/admin.sock config reload\n",
      .run = fg_config_reload },
    { .noun = "config",
      .name = "rollback",
      .values = "",
      .flags = FG_OWN_BIT(FG_OWN_WAIT),
      .help = "Go back to the configuration before the last change.",
      .more = "Goes to every gateway named with --admin. The file stays as it is: mend it before\n"
              "the next reload or restart. Exit codes are those of 'config reload'.\n",
      .examples = "flashgatectl config rollback --wait\n",
      .run = fg_config_rollback },
    { .noun = "config",
      .name = "show",
      .values = "[PATTERN]",
      .maximum = 1,
      .help = "Show the options that run, and where each was set.",
      .more = "PATTERN is a part of an option's name.\n",
      .examples = "flashgatectl config show\n"
                  "flashgatectl config show limits.user-sku\n",
      .run = fg_config_show },
    { .name = "limits",
      .values = "",
      .flags = FG_OWN_BIT(FG_OWN_ONCE),
      .help = "Watch the rate limits: what passes, what is rejected.",
      .more = "On a terminal it is drawn anew every second, with rates per second, until q or\n"
              "Ctrl-C; elsewhere, or with --once, totals are printed once. Several gateways are\n"
              "added up.\n",
      .examples = "flashgatectl limits\n"
                  "flashgatectl limits --once\n"
                  "flashgatectl --json limits\n",
      .run = fg_limits },
    { .name = "breakers",
      .values = "",
      .flags = FG_OWN_BIT(FG_OWN_ONCE),
      .help = "Watch the circuit breakers of gateways and relay.",
      .more = "On a terminal it is drawn anew every second, with rates per second, until q or\n"
              "Ctrl-C; elsewhere, or with --once, totals are printed once. Each worker of a\n"
              "gateway has its own. The second table is the concurrency limit.\n",
      .examples = "flashgatectl breakers\n"
                  "flashgatectl breakers --once\n",
      .run = fg_breakers },
    { .noun = "breaker",
      .name = "force",
      .values = "ID STATE",
      .minimum = 2,
      .maximum = 2,
      .help = "Hold a breaker open or closed, or let it go again.",
      .more =
          "STATE is one of\n"
          "  open       refuse every call\n"
          "  closed     let every call go, whatever happens\n"
          "  observe    let every call go, and count what would have been refused\n"
          "  automatic  what the configuration says\n"
          "Goes to every gateway and to the relay: whoever has that breaker. It is not kept over\n"
          "a restart.\n",
      .examples = "flashgatectl breaker force redis observe\n"
                  "flashgatectl breaker force redis automatic\n",
      .run = fg_breaker_force_state },
    { .noun = "dead",
      .name = "list",
      .values = "",
      .flags = FG_OWN_BIT(FG_OWN_SINK) | FG_OWN_BIT(FG_OWN_SALE) | FG_OWN_BIT(FG_OWN_SKU) |
               FG_OWN_BIT(FG_OWN_LIMIT) | FG_OWN_BIT(FG_OWN_EVERY),
      .help = "List the events that a sink will never take, in the order of the ledger.",
      .more = "A letter's id is SINK:EVENT, the name of its event in that sink; it stays the same "
              "when\n"
              "the letter is tried in vain.\n",
      .examples = "flashgatectl dead list\n"
                  "flashgatectl --json dead list --sink warehouse --all\n",
      .run = fg_dead_list },
    { .noun = "dead",
      .name = "show",
      .values = "LETTER",
      .minimum = 1,
      .maximum = 1,
      .help = "Show one dead letter.",
      .more = "",
      .examples = "flashgatectl dead show ledger:1-0badcafe-1790000000000-0\n",
      .run = fg_dead_show },
    { .noun = "dead",
      .name = "retry",
      .values = "[LETTER...]",
      .maximum = LETTERS_MAX,
      .flags = FG_OWN_BIT(FG_OWN_SINK) | FG_OWN_BIT(FG_OWN_ORDER) | FG_OWN_BIT(FG_OWN_EVERY),
      .help = "Deliver dead letters anew, after what was wrong is mended.",
      .more = "Each order's letters go in the ledger's order, also those before the one that is "
              "named;\n"
              "behind one that is dead again the others of its order wait. Ends with 1 when "
              "letters stay.\n",
      .examples = "flashgatectl dead retry ledger:1-0badcafe-1790000000000-0\n"
                  "flashgatectl dead retry --order 1-0badcafe-1790000000000-0\n"
                  "flashgatectl dead retry --all --sink warehouse\n",
      .run = fg_dead_retry },
    { .noun = "dead",
      .name = "drop",
      .values = "[LETTER...]",
      .maximum = LETTERS_MAX,
      .flags = FG_OWN_BIT(FG_OWN_SINK) | FG_OWN_BIT(FG_OWN_ORDER) | FG_OWN_BIT(FG_OWN_EVERY) |
               FG_OWN_BIT(FG_OWN_REASON),
      .help = "Give dead letters up: the sink will never have these events.",
      .more = "A drop needs --reason, which is logged and kept with the letter: an audit does not "
              "miss\n"
              "the event then. Its id alone brings it back: 'dead retry LETTER'.\n",
      .examples =
          "flashgatectl dead drop --order 1-0badcafe-1790000000000-0 --reason \"test data\"\n",
      .run = fg_dead_drop },
    { .name = "explain",
      .values = "",
      .flags = FG_OWN_BIT(FG_OWN_USER) | FG_OWN_BIT(FG_OWN_SKU) | FG_OWN_BIT(FG_OWN_IP) |
               FG_OWN_BIT(FG_OWN_SALE) | FG_OWN_BIT(FG_OWN_ROUTE) | FG_OWN_BIT(FG_OWN_HEADER),
      .help = "Tell what would happen to a request now, and why.",
      .more = "Nothing is bought and no token is taken. The first gateway that answers is asked;\n"
              "limits of scope gateway are its own.\n",
      .examples = "flashgatectl explain --user alice --sku 8801 --ip 203.0.113.7\n"
                  "flashgatectl explain --user alice --sku 8801 --header 'X-Device: phone'\n",
      .run = fg_explain },
};

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* What can be said first: nouns, and verbs that stand alone. */
static const char *first_word(const struct fg_verb *verb)
{
    return verb->noun != NULL ? verb->noun : verb->name;
}

/* Different first words (noun == NULL), or the verbs of a noun; ended by NULL. */
static void list_names(const char *noun, const char *names[NAMES_MAX + 1])
{
    size_t count = 0;

    for (size_t i = 0; i < FG_COUNT_OF(verbs) && count < NAMES_MAX; i++) {
        const char *name = noun == NULL ? first_word(&verbs[i]) : verbs[i].name;

        if (noun != NULL && !same(verbs[i].noun, noun))
            continue;
        if (count == 0 || !same(names[count - 1], name))
            names[count++] = name;
    }
    names[count] = NULL;
}

static void join_names(const char *const *names, struct fg_buffer *joined)
{
    for (size_t i = 0; names[i] != NULL; i++)
        fg_buffer_add_format(joined, "%s%s", i == 0 ? "" : ", ", names[i]);
    fg_buffer_add_byte(joined, '\0');
}

/* noun == NULL: the first word is not known; else the word after that noun is not, or is missing. */
static enum fg_result unknown_word(const char *noun, const char *word, struct fg_error *error)
{
    const char *names[NAMES_MAX + 1];
    char memory[256];
    struct fg_buffer joined = fg_buffer_over(memory, sizeof memory);

    list_names(noun, names);
    join_names(names, &joined);
    const char *space = noun != NULL ? " " : "";
    noun = noun != NULL ? noun : "";
    if (word == NULL)
        return fg_error_set(error, FG_INVALID, "'%s' needs a verb: %s", noun, memory);
    const char *nearest = fg_text_nearest(fg_text_of(word), names);
    if (nearest != NULL)
        return fg_error_set(error, FG_INVALID, "no verb '%s%s%s' (did you mean '%s%s%s'?)", noun,
                            space, word, noun, space, nearest);
    return fg_error_set(error, FG_INVALID, "no verb '%s%s%s'; expected one of: %s", noun, space,
                        word, memory);
}

static bool is_noun(const char *word)
{
    for (size_t i = 0; i < FG_COUNT_OF(verbs); i++)
        if (same(verbs[i].noun, word))
            return true;
    return false;
}

static const struct fg_verb *look_up(const char *const *words)
{
    for (size_t i = 0; i < FG_COUNT_OF(verbs); i++) {
        if (verbs[i].noun == NULL && same(verbs[i].name, words[0]))
            return &verbs[i];
        if (same(verbs[i].noun, words[0]) && same(verbs[i].name, words[1]))
            return &verbs[i];
    }
    return NULL;
}

static enum fg_result explain_miss(const char *const *words, struct fg_error *error)
{
    if (words[0] == NULL)
        return fg_error_set(error, FG_INVALID, "what is to be done? flashgatectl --help tells");
    if (is_noun(words[0]))
        return unknown_word(words[0], words[1], error);
    return unknown_word(NULL, words[0], error);
}

static void print_call(const struct fg_verb *verb, struct fg_buffer *buffer)
{
    fg_buffer_add_string(buffer, "flashgatectl ");
    if (verb->noun != NULL)
        fg_buffer_add_format(buffer, "%s ", verb->noun);
    fg_buffer_add_string(buffer, verb->name);
    if (verb->values[0] != '\0')
        fg_buffer_add_format(buffer, " %s", verb->values);
    fg_buffer_add_byte(buffer, '\0');
}

static enum fg_result check_count(const struct fg_verb *verb, const char *const *values,
                                  struct fg_error *error)
{
    char memory[128];
    struct fg_buffer usage = fg_buffer_over(memory, sizeof memory);
    size_t count = 0;

    while (values[count] != NULL)
        count++;
    if (count >= verb->minimum && count <= verb->maximum)
        return FG_OK;
    print_call(verb, &usage);
    if (count < verb->minimum)
        return fg_error_set(error, FG_INVALID, "something is missing; usage: %s", memory);
    return fg_error_set(error, FG_INVALID, "'%s' is one word too many; usage: %s",
                        values[verb->maximum], memory);
}

enum fg_result fg_verb_find(const char *const *words, const struct fg_verb **verb_r,
                            const char *const **values_r, struct fg_error *error)
{
    const struct fg_verb *verb = look_up(words);

    if (verb == NULL)
        return explain_miss(words, error);
    *verb_r = verb;
    *values_r = words + (verb->noun != NULL ? 2 : 1);
    return check_count(verb, *values_r, error);
}

enum fg_result fg_verb_check_flags(const struct fg_verb *verb, const struct fg_ctl *ctl,
                                   struct fg_error *error)
{
    for (unsigned i = 0; i < FG_OWN_FLAGS; i++) {
        if (ctl->is_set[i] && (verb->flags & FG_OWN_BIT(i)) == 0)
            return fg_error_set(error, FG_INVALID, "'%s%s%s' takes no --%s",
                                verb->noun != NULL ? verb->noun : "", verb->noun != NULL ? " " : "",
                                verb->name, fg_own_flag_name(i));
    }
    return FG_OK;
}

/* --- help ------------------------------------------------------------------------------------------- */

static void print_indented(const char *lines, FILE *out)
{
    bool at_start = true;

    for (; *lines != '\0'; lines++) {
        if (at_start)
            fputs("  ", out);
        fputc(*lines, out);
        at_start = *lines == '\n';
    }
}

static void print_verb(const struct fg_verb *verb, const struct fg_flag *global_flags, FILE *out)
{
    char memory[128];
    struct fg_buffer usage = fg_buffer_over(memory, sizeof memory);
    struct fg_ctl nowhere;
    struct fg_flag own[FG_OWN_FLAGS + 1];

    print_call(verb, &usage);
    fprintf(out, "usage: %s%s\n\n%s\n", memory, verb->flags != 0 ? " [FLAG]..." : "", verb->help);
    if (verb->more[0] != '\0')
        fprintf(out, "\n%s", verb->more);
    fprintf(out, "\nexamples:\n");
    print_indented(verb->examples, out);
    if (verb->flags != 0) {
        fg_own_flag_rows(&nowhere, verb->flags, own);
        fprintf(out, "\nflags of this verb:\n");
        fg_arguments_print_flags(own, out);
    }
    fprintf(out, "\nflags of every verb:\n");
    fg_arguments_print_flags(global_flags, out);
}

/* The rows of one noun, or all of them. */
static void print_list(const char *noun, FILE *out)
{
    for (size_t i = 0; i < FG_COUNT_OF(verbs); i++) {
        const struct fg_verb *verb = &verbs[i];
        char left[64];

        if (noun != NULL && !same(verb->noun, noun))
            continue;
        (void)snprintf(left, sizeof left, "%s%s%s %s", verb->noun != NULL ? verb->noun : "",
                       verb->noun != NULL ? " " : "", verb->name, verb->values);
        fprintf(out, "  %-22s  %s\n", left, verb->help);
    }
}

static void print_all(const struct fg_flag *flags, FILE *out)
{
    fprintf(out, "usage: flashgatectl [--admin ADDRESS]... [--relay ADDRESS] [--json] VERB ...\n"
                 "\n"
                 "The operator's hand: asks and changes running gateways and the relay.\n"
                 "\nverbs:\n");
    print_list(NULL, out);
    fprintf(out, "\nflags:\n");
    fg_arguments_print_flags(flags, out);
    fprintf(out,
            "\n"
            "An ADDRESS is unix:PATH or HOST:PORT. Changes go to the first gateway that\n"
            "answers, for all share one Redis; what each has of its own (configuration,\n"
            "breakers) is changed at all of them.\n"
            "\n"
            "exit codes: 0 good; 1 refused, or the books differ; 2 usage; 3 not reachable, or\n"
            "the outcome is not known.\n"
            "'flashgatectl VERB --help' tells more.\n");
}

enum fg_result fg_verb_print_help(const char *const *words, const struct fg_flag *global_flags,
                                  FILE *out, struct fg_error *error)
{
    const struct fg_verb *verb = look_up(words);

    if (verb != NULL) {
        print_verb(verb, global_flags, out);
    } else if (words[0] == NULL) {
        print_all(global_flags, out);
    } else if (is_noun(words[0]) && words[1] == NULL) {
        fprintf(out, "usage: flashgatectl %s VERB ...\n\nverbs:\n", words[0]);
        print_list(words[0], out);
        fprintf(out, "\n'flashgatectl %s VERB --help' tells more.\n", words[0]);
    } else {
        return explain_miss(words, error);
    }
    return FG_OK;
}
