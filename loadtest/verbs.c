#include "verbs.h"

#include "interrupt.h"

bool fg_verb_parse(int argc, char **argv, const struct fg_flag *flags, const bool *help,
                   const char *usage, int *exit_r)
{
    struct fg_error error;
    int words;
    if (fg_arguments_parse(argc, argv, flags, &words, &error) != FG_OK) {
        *exit_r = fg_verb_fail(&error);
        return false;
    }
    if (*help) {
        (void)printf("usage: flashgate-load %s\n\n", usage);
        fg_arguments_print_flags(flags, stdout);
        *exit_r = 0;
        return false;
    }
    if (words == 0)
        return true;
    (void)fg_error_set(&error, FG_INVALID, "did not expect \"%s\"; see --help", argv[1]);
    *exit_r = fg_verb_fail(&error);
    return false;
}

int fg_verb_fail(const struct fg_error *error)
{
    if (fg_interrupt_count() > 0) {
        (void)fputs("flashgate-load: interrupted\n", stderr);
        return FG_EXIT_INTERRUPTED;
    }
    (void)fprintf(stderr, "flashgate-load: %s\n", error->text);
    return fg_exit_code(error->result);
}
