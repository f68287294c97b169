/* flashgate-load - rehearse a flash sale: a crowd, its record, a verdict. */
#include <stdio.h>
#include <string.h>

#include "flashgate/base/log.h"
#include "interrupt.h"
#include "verbs.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} verbs[] = {
    { "demo", fg_verb_demo,
      "a whole small flash sale on this machine, from first shopper to verdict" },
    { "crowd", fg_verb_crowd, "send a crowd to gateways, and record what every shopper was told" },
    { "audit", fg_verb_audit, "hold such a record against Redis and the database, and judge" },
};

static void print_help(FILE *out)
{
    (void)fputs("usage: flashgate-load VERB [FLAG ...]\n\n", out);
    for (size_t i = 0; i < FG_COUNT_OF(verbs); i++)
        (void)fprintf(out, "  %-7s %s\n", verbs[i].name, verbs[i].help);
    (void)fputs(
        "\nflashgate-load VERB --help says more. Exit codes: 0 good, 1 the verdict is bad,\n"
        "2 usage or config, 3 unreachable, 130 interrupted.\n",
        out);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    fg_log_configure("flashgate-load", FG_LOG_WARN, FG_LOG_LOGFMT);
    for (size_t i = 0; i < FG_COUNT_OF(verbs); i++) {
        if (strcmp(verb, verbs[i].name) == 0) {
            fg_interrupt_install();
            return verbs[i].run(argc - 1, argv + 1);
        }
    }
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(verb, "--version") == 0) {
        (void)puts("flashgate-load " FG_VERSION);
        return 0;
    }
    (void)fprintf(stderr, "flashgate-load: %s%s\n",
                  argc > 1 ? "no such verb: " : "a verb is missing", verb);
    print_help(stderr);
    return fg_exit_code(FG_INVALID);
}
