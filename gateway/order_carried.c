/* order_carried.c - see order_carried.h. */
#include "order_carried.h"

#include <assert.h>
#include <stdint.h>

#include "flashgate/base/counter.h"

/* Every section sealed, each with its name, quotes, colon and comma. */
_Static_assert(FG_SECTION_COUNT *(FG_SEAL_OVERHEAD_BYTES + 4 + 16) + FG_SECTIONS_BYTES * 4 / 3 +
                       2 <=
                   FG_CARRIED_BYTES,
               "whatever a request may carry has room, sealed or not");
_Static_assert((int)FG_SECTIONS_BYTES <= (int)FG_SEAL_PLAIN_BYTES,
               "no section is too long to be sealed");

bool order_carried_open(struct order_carried *carried)
{
    return fg_pool_init(&carried->blocks, FG_CARRIED_BYTES, ORDER_CARRIED_BLOCKS);
}

void order_carried_close(struct order_carried *carried)
{
    fg_pool_close(&carried->blocks);
}

/* A section that is to be sealed is sealed or nothing is said: never its plain text. */
static bool add_section(struct fg_buffer *out, const struct order_seal *seal,
                        struct fg_seal_place *place, unsigned section, struct fg_text text)
{
    fg_buffer_add_string(out, out->length == 0 ? "{\"" : ",\"");
    fg_buffer_add_string(out, fg_section_names[section]);
    fg_buffer_add_string(out, "\":");
    if (seal->sealer == NULL || (seal->sections >> section & 1) == 0) {
        fg_buffer_add_text(out, text);
        return true;
    }
    place->section = fg_text_of(fg_section_names[section]);
    return fg_seal(seal->sealer, place, text, out) == FG_OK;
}

struct fg_text order_carried_compose(struct order_carried *carried, const struct order_seal *seal,
                                     struct fg_seal_place *place,
                                     const struct order_request *request)
{
    void *block = fg_pool_take(&carried->blocks);
    if (block == NULL)
        return FG_TEXT("");
    fg_counter_add(&carried->in_use, 1);
    struct fg_buffer out = fg_buffer_over(block, FG_CARRIED_BYTES);
    bool is_whole = true;
    for (unsigned section = 0; section < FG_SECTION_COUNT && is_whole; section++)
        if (request->sections[section].length > 0)
            is_whole = add_section(&out, seal, place, section, request->sections[section]);
    fg_buffer_add_byte(&out, '}');
    assert(!out.overflowed);
    struct fg_text text = fg_buffer_text(&out);
    if (!is_whole)
        order_carried_give(carried, &text);
    return text;
}

void order_carried_give(struct order_carried *carried, struct fg_text *text)
{
    if (text->length > 0) {
        fg_pool_give(&carried->blocks, (void *)(uintptr_t)text->at);
        fg_counter_add(&carried->in_use, UINT64_MAX);
    }
    *text = FG_TEXT("");
}
