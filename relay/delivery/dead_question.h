/* dead_question.h - what people ask about dead letters, as a structure: which letters, and what is to be done with
 * them. Pure. */
#ifndef FLASHGATE_RELAY_DEAD_QUESTION_H
#define FLASHGATE_RELAY_DEAD_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dead_letter.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"
#include "flashgate/inventory/names.h"

enum {
    RELAY_DEAD_IDS_MAX = 100, /* in one question */
    RELAY_DEAD_LIMIT = 100,   /* letters of a page, when nothing is said */
    RELAY_DEAD_LIMIT_MAX = 1000
};

enum relay_dead_verb {
    RELAY_DEAD_LIST,
    RELAY_DEAD_SHOW,
    RELAY_DEAD_RETRY,
    RELAY_DEAD_DROP,
};

/* SINK:EVENT-ID in its parts. */
struct relay_dead_id {
    char sink[FG_NAME_BYTES + 1];
    char event_id[RELAY_ID_BYTES];
    struct fg_order_id event;
};

/* Texts that are empty were left out. */
struct relay_dead_question {
    enum relay_dead_verb verb;
    char sink[FG_NAME_BYTES + 1], sale[FG_NAME_BYTES + 1], sku[FG_NAME_BYTES + 1];
    char order[RELAY_ID_BYTES];
    bool is_all;
    bool wants_dropped;              /* list: those that were dropped instead */
    char reason[RELAY_REASON_BYTES]; /* drop: why */
    size_t id_count;                 /* show: 1; list: at most 1, after which to go on */
    struct relay_dead_id ids[RELAY_DEAD_IDS_MAX];
    uint64_t limit;
};

bool relay_dead_id_read(struct fg_text text, struct relay_dead_id *id_r) FG_MUST_CHECK;

/* sink sale sku dropped limit after, each at most once, any of them left out. FG_INVALID says what was expected. */
enum fg_result relay_dead_list_read(struct fg_text query, struct relay_dead_question *question_r,
                                    struct fg_error *error) FG_MUST_CHECK;
/* The JSON body of retry or drop: exactly one of ids, order and all; sink may go with the latter two; a drop needs a
 * reason. */
enum fg_result relay_dead_change_read(enum relay_dead_verb verb, struct fg_text json,
                                      struct relay_dead_question *question_r,
                                      struct fg_error *error) FG_MUST_CHECK;

/* May the bucket have letters that are meant? */
bool relay_dead_concerns(const struct relay_dead_question *question, uint32_t bucket);
/* Is this letter named, by its id, its order or all? Of a retry or drop. The place of its id, else SIZE_MAX, is put
 * into *id_r. */
bool relay_dead_names(const struct relay_dead_question *question, const struct relay_letter *letter,
                      size_t *id_r);

#endif
