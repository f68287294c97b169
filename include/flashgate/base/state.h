/* state.h - a checked state machine: a table of states, each with a name and the set of states it
 * may move to. Every move goes through fg_state_move, which asserts that the table allows it.
 *
 * The object keeps one byte. Pure; any thread that owns the object. */
#ifndef FLASHGATE_BASE_STATE_H
#define FLASHGATE_BASE_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct fg_state {
    const char *name;
    uint32_t may_go_to; /* a bit a state */
};

#define FG_STATE_BIT(state) (UINT32_C(1) << (state))

bool fg_state_may_move(const struct fg_state *table, uint8_t from, uint8_t to);
/* Moves, or aborts with both names and the place: a forbidden move is a bug. */
void fg_state_move_at(const struct fg_state *table, uint8_t *state, uint8_t to, const char *file,
                      int line);
#define fg_state_move(table, state, to) fg_state_move_at((table), (state), (to), __FILE__, __LINE__)

#endif
