/* remembered.c - see remembered.h. Open addressing in tables that are at most half full; nothing is ever taken out
 * of a table but everything. */
#include "remembered.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/hash.h"

enum {
    SLOTS = 8192 /* a power of two, at least twice RELAY_REMEMBERED */
};

_Static_assert(SLOTS >= 2 * RELAY_REMEMBERED && (SLOTS & (SLOTS - 1)) == 0, "slots");

struct slot {
    char id[RELAY_ID_BYTES]; /* "": free */
    uint8_t kind;            /* enum relay_outcome_kind */
    char *reason;            /* of a dead one; NULL else, or without memory */
};

struct table {
    struct slot slots[SLOTS];
    size_t count;
};

struct relay_remembered {
    struct table tables[2];
    unsigned newest;
};

struct relay_remembered *relay_remembered_new(void)
{
    return calloc(1, sizeof(struct relay_remembered));
}

static void forget(struct table *table)
{
    for (size_t i = 0; i < SLOTS; i++)
        free(table->slots[i].reason);
    memset(table, 0, sizeof *table);
}

void relay_remembered_free(struct relay_remembered **remembered_at)
{
    struct relay_remembered *remembered = *remembered_at;
    *remembered_at = NULL;
    if (remembered == NULL)
        return;
    forget(&remembered->tables[0]);
    forget(&remembered->tables[1]);
    free(remembered);
}

/* The index of the event's slot, or of the free one where it would go: a table is never full. */
static size_t place_of(const struct table *table, const char *event_id)
{
    size_t place = fg_hash(event_id, strlen(event_id), 0) & (SLOTS - 1);
    while (table->slots[place].id[0] != '\0' && strcmp(table->slots[place].id, event_id) != 0)
        place = (place + 1) & (SLOTS - 1);
    return place;
}

static const struct slot *find(const struct relay_remembered *remembered, const char *event_id)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct table *table = &remembered->tables[i];
        const struct slot *slot = &table->slots[place_of(table, event_id)];
        if (slot->id[0] != '\0')
            return slot;
    }
    return NULL;
}

bool relay_remembered_find(const struct relay_remembered *remembered, const char *event_id,
                           struct relay_outcome *outcome_r)
{
    const struct slot *slot = find(remembered, event_id);
    if (slot == NULL)
        return false;
    outcome_r->kind = (enum relay_outcome_kind)slot->kind;
    snprintf(outcome_r->reason, sizeof outcome_r->reason, "%s",
             slot->reason != NULL               ? slot->reason
             : slot->kind == RELAY_OUTCOME_DEAD ? "refused before"
                                                : "");
    return true;
}

static struct slot *slot_of(struct relay_remembered *remembered, const char *event_id)
{
    for (unsigned i = 0; i < 2; i++) {
        struct table *table = &remembered->tables[i];
        size_t place = place_of(table, event_id);
        if (table->slots[place].id[0] != '\0')
            return &table->slots[place];
    }
    if (remembered->tables[remembered->newest].count == RELAY_REMEMBERED) {
        remembered->newest ^= 1;
        forget(&remembered->tables[remembered->newest]);
    }
    struct table *table = &remembered->tables[remembered->newest];
    table->count++;
    return &table->slots[place_of(table, event_id)];
}

void relay_remembered_add(struct relay_remembered *remembered, const char *event_id,
                          const struct relay_outcome *outcome)
{
    assert(event_id[0] != '\0');
    struct slot *slot = slot_of(remembered, event_id);
    snprintf(slot->id, sizeof slot->id, "%s", event_id);
    free(slot->reason);
    slot->kind = (uint8_t)outcome->kind;
    slot->reason = outcome->kind == RELAY_OUTCOME_DEAD ? strdup(outcome->reason) : NULL;
}

void relay_remembered_tell(struct relay_remembered *remembered, const char *event_id)
{
    for (unsigned i = 0; i < 2; i++) {
        struct table *table = &remembered->tables[i];
        struct slot *slot = &table->slots[place_of(table, event_id)];
        if (slot->id[0] != '\0' && slot->kind == RELAY_OUTCOME_NEW)
            slot->kind = RELAY_OUTCOME_KNOWN;
    }
}
