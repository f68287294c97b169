/* rubbish.h - the nonsense some shoppers send, each with the answer that is right for it.
 *
 * A row changes one thing of a proper purchase. None of it may ever buy anything. Pure. */
#ifndef FLASHGATE_LOADTEST_RUBBISH_H
#define FLASHGATE_LOADTEST_RUBBISH_H

#include <stdbool.h>
#include <stddef.h>

#include "flashgate/base/text.h"

struct fg_rubbish {
    const char *name;
    const char *method;       /* NULL: POST */
    const char *sale;         /* NULL: the sale's own name */
    const char *sku;          /* NULL: the shopper's SKU; what the body's first %s becomes */
    const char *content_type; /* NULL: application/json */
    const char *body;         /* NULL: the proper one; `%s` stands for the SKU, at most once */
    unsigned user_bytes;      /* 0: the proper user; else that many letters, or none at all… */
    bool no_user;             /* …with this */
    unsigned key_bytes;       /* 0: the proper key; else that many letters */
    int status;               /* the right answer */
    const char *code;
};

size_t fg_rubbish_count(void);
const struct fg_rubbish *fg_rubbish_at(size_t index);
/* NULL when there is none of that name. */
const struct fg_rubbish *fg_rubbish_find(struct fg_text name);

#endif
