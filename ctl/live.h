/* live.h - a view that is drawn anew every second, in place, until q or Ctrl-C.
 *
 * On the terminal's alternate screen, with plain ANSI sequences; whatever ends it, the terminal is as before.
 * One view a process. Blocks until it ends. */
#ifndef FLASHGATE_CTL_LIVE_H
#define FLASHGATE_CTL_LIVE_H

#include "ctl.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"

struct fg_view {
    void *context;
    /* Asks the servers; false: nobody answered. */
    bool (*read)(const struct fg_ctl *ctl, void *context);
    /* Did all answer the last reading? That is how a program that printed once ends. */
    enum fg_result (*judge)(const struct fg_ctl *ctl, const void *context, struct fg_error *error);
    /* Prints the last reading to ctl->out; `is_live`: with time and rates. */
    void (*print)(const struct fg_ctl *ctl, const void *context, bool is_live);
};

/* Draws; or, with --once, --json or where there is no terminal, reads, prints and judges once. The same where
 * nobody answers at first; later silence is drawn. */
enum fg_result fg_view_show(const struct fg_ctl *ctl, const struct fg_view *view,
                            struct fg_error *error) FG_MUST_CHECK;

/* `text` as one frame for a screen of that size: lines are cut, not wrapped, and where there are too many, the
 * last row says how many are missing. Sequences "ESC [ … m" take no room. */
void fg_view_fit(const char *text, size_t rows, size_t columns, FILE *out);

#endif
