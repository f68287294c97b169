/* state.c - the table is the drawing, and the check is the same line everywhere. A forbidden move
 * ends the program even in release builds: what follows a broken state machine is worse than a
 * restart. */
#include "flashgate/base/state.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    STATES_MAX = 32
}; /* bits of may_go_to */

bool fg_state_may_move(const struct fg_state *table, uint8_t from, uint8_t to)
{
    return from < STATES_MAX && to < STATES_MAX && (table[from].may_go_to & FG_STATE_BIT(to)) != 0;
}

void fg_state_move_at(const struct fg_state *table, uint8_t *state, uint8_t to, const char *file,
                      int line)
{
    if (!fg_state_may_move(table, *state, to)) {
        fprintf(stderr, "%s:%d: a state moved from %s to %s, which its table forbids\n", file, line,
                table[*state].name, table[to].name);
        abort();
    }
    *state = to;
}
