/* dead_set.c - see dead_set.h. */
#include "dead_set.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_ORDERS = 8
};

void relay_dead_set_forget(struct relay_dead_set *set)
{
    free(set->orders);
    memset(set, 0, sizeof *set);
}

/* Where it is, or would be. */
static size_t place_of(const struct relay_dead_set *set, const char *order, bool *is_there_r)
{
    size_t low = 0, high = set->count;
    *is_there_r = false;
    while (low < high && !*is_there_r) {
        size_t middle = low + (high - low) / 2;
        int compared = strcmp(set->orders[middle], order);
        *is_there_r = compared == 0;
        if (compared < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return *is_there_r ? high : low;
}

static bool make_room(struct relay_dead_set *set)
{
    if (set->count < set->room)
        return true;
    size_t room = set->room == 0 ? FIRST_ORDERS : set->room * 2;
    void *grown =
        room > RELAY_DEAD_ORDERS_MAX ? NULL : realloc(set->orders, room * sizeof *set->orders);
    if (grown == NULL)
        return false;
    set->orders = grown;
    set->room = room;
    return true;
}

void relay_dead_set_add(struct relay_dead_set *set, const char *order)
{
    bool is_there;
    size_t place = place_of(set, order, &is_there);
    if (order[0] == '\0' || is_there)
        return;
    set->is_cut |= !make_room(set);
    if (set->count == set->room)
        return;
    memmove(set->orders + place + 1, set->orders + place,
            (set->count - place) * sizeof *set->orders);
    memset(set->orders[place], 0, sizeof set->orders[place]);
    memcpy(set->orders[place], order, strlen(order));
    set->count++;
}

bool relay_dead_set_has(const struct relay_dead_set *set, const char *order)
{
    bool is_there = false;
    if (order[0] != '\0')
        (void)place_of(set, order, &is_there);
    return is_there;
}
