/* fuzz_order_request.c - any bytes as a purchase's body: what is accepted is an order, and a refusal says why. */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "gateway/json_memory.h"
#include "gateway/order_carried.h"
#include "gateway/order_request.h"

/* What is composed of it is read again by the relay, each section with its bytes. */
static void check_carried(const struct order_request *request)
{
    static struct order_carried carried;
    static const struct order_seal unsealed;
    static bool is_open;
    struct fg_text sections[FG_SECTION_COUNT];
    struct fg_seal_place place = { 0 };
    if (!is_open)
        MUST(order_carried_open(&carried));
    is_open = true;
    if (request->section_bytes == 0)
        return;
    struct fg_text text = order_carried_compose(&carried, &unsealed, &place, request);
    MUST(text.length > 0 && fg_carried_read(text, sections));
    for (int section = 0; section < FG_SECTION_COUNT; section++)
        MUST(fg_text_equal(sections[section], request->sections[section]));
    order_carried_give(&carried, &text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static bool installed;
    if (!installed)
        json_memory_install();
    installed = true;

    char detail_memory[256]; /* as purchase.c has */
    struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
    struct order_request request;
    enum fg_problem problem =
        order_request_parse((struct fg_text){ (const char *)bytes, length }, &request, &detail);
    MUST(!detail.overflowed);
    if (problem == FG_NO_PROBLEM) {
        MUST(fg_name_is_valid(fg_text_of(request.sku)));
        MUST(request.quantity >= 1 && request.quantity <= FG_QUANTITY_MAX);
        MUST(request.section_bytes <= FG_SECTIONS_BYTES);
        check_carried(&request);
    } else {
        MUST(problem == FG_PROBLEM_BAD_REQUEST || problem == FG_PROBLEM_BAD_QUANTITY ||
             problem == FG_PROBLEM_PAYLOAD_TOO_LARGE);
        MUST(detail.length > 0);
    }
    return 0;
}
