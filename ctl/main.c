/* main.c - flashgatectl: flags, addresses, the verb, and the exit code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "flags.h"
#include "table.h"
#include "verbs.h"

enum {
    GLOBAL_FLAGS = 6
};

struct switches {
    bool help, version;
    const char *token_file; /* NULL: not given */
};

/* What was printed goes out before the complaint about it. */
static int end_with(enum fg_result result, const struct fg_error *error)
{
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        perror("flashgatectl: standard output");
        return fg_exit_code(FG_UNREACHABLE);
    }
    if (result != FG_OK && error->text[0] != '\0') {
        fputs("flashgatectl: ", stderr);
        fg_print_safely(error->text, stderr);
        fputc('\n', stderr);
    }
    return fg_exit_code(result);
}

static bool is_terminal(void)
{
    const char *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

/* Bold helps people on a terminal and is noise elsewhere (https://no-color.org). */
static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR");

    return no_color == NULL || no_color[0] == '\0';
}

static enum fg_result do_verb(struct fg_ctl *ctl, const struct switches *switches,
                              const char *const *words, struct fg_error *error)
{
    const struct fg_verb *verb;
    const char *const *values;
    enum fg_result result = fg_verb_find(words, &verb, &values, error);

    if (result == FG_OK)
        result = fg_verb_check_flags(verb, ctl, error);
    if (result == FG_OK)
        result = fg_ctl_find_addresses(ctl, getenv("FLASHGATE_ADMIN"), error);
    if (result == FG_OK)
        result =
            fg_ctl_read_token(ctl, switches->token_file, getenv("FLASHGATE_TOKEN_FILE"), error);
    if (result == FG_OK)
        result = verb->run(ctl, values, error);
    free(ctl->token);
    return result;
}

/* The global flags, and the row that ends them. */
static void fill_flags(struct fg_ctl *ctl, struct switches *switches,
                       struct fg_flag flags[GLOBAL_FLAGS + 1])
{
    const struct fg_flag global_flags[GLOBAL_FLAGS + 1] = {
        { .name = "admin",
          .value = "ADDRESS",
          .help = "a gateway's; repeatable (else FLASHGATE_ADMIN, else unix:run/admin.sock)",
          .texts = ctl->gateways,
          .texts_capacity = FG_CTL_GATEWAYS,
          .texts_count = &ctl->gateway_count },
        { .name = "relay",
          .value = "ADDRESS",
          .help = "the relay's (else relay.sock beside the first gateway's socket)",
          .text = &ctl->relay },
        { .name = "token-file",
          .value = "FILE",
          .help = "holds the token for TCP addresses, mode 0600 (else FLASHGATE_TOKEN_FILE)",
          .text = &switches->token_file },
        { .name = "json",
          .help = "print the server's JSON, one document, for programs",
          .is_set = &ctl->json },
        { .name = "help",
          .letter = 'h',
          .help = "tell what a verb does",
          .is_set = &switches->help },
        { .name = "version", .help = "print the version", .is_set = &switches->version },
    };

    memcpy(flags, global_flags, sizeof global_flags);
}

int main(int argc, char **argv)
{
    struct fg_ctl ctl = { .out = stdout, .may_live = is_terminal() };
    struct switches switches = { false, false, NULL };
    struct fg_flag flags[GLOBAL_FLAGS + FG_OWN_FLAGS + 1];
    struct fg_error error = { .result = FG_OK };
    int count;

    ctl.bold = ctl.may_live && wants_colour();
    fill_flags(&ctl, &switches, flags);
    fg_own_flag_rows(&ctl, FG_OWN_ALL, flags + GLOBAL_FLAGS);
    enum fg_result result = fg_arguments_parse(argc, argv, flags, &count, &error);
    if (result != FG_OK)
        return end_with(result, &error);
    flags[GLOBAL_FLAGS].name = NULL; /* help tells of the others with their verbs */
    const char **words = calloc((size_t)count + 1, sizeof *words);
    if (words == NULL)
        abort();
    for (int i = 0; i < count; i++)
        words[i] = argv[i + 1];
    if (switches.version)
        printf("flashgatectl %s\n", FG_VERSION);
    else if (switches.help)
        result = fg_verb_print_help(words, flags, stdout, &error);
    else
        result = do_verb(&ctl, &switches, words, &error);
    free(words);
    return end_with(result, &error);
}
