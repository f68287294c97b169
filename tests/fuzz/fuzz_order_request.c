/* fuzz_order_request.c - any bytes as a purchase's body: what is accepted is an order, and a refusal says why. */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "gateway/json_memory.h"
#include "gateway/order_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static bool installed;
    if (!installed)
        json_memory_install();
    installed = true;

    char detail_memory[512];
    struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
    struct order_request request;
    enum fg_problem problem =
        order_request_parse((struct fg_text){ (const char *)bytes, length }, &request, &detail);
    MUST(!detail.overflowed);
    if (problem == FG_NO_PROBLEM) {
        MUST(fg_name_is_valid(fg_text_of(request.sku)));
        MUST(request.quantity >= 1 && request.quantity <= FG_QUANTITY_MAX);
    } else {
        MUST(problem == FG_PROBLEM_BAD_REQUEST || problem == FG_PROBLEM_BAD_QUANTITY);
        MUST(detail.length > 0);
    }
    return 0;
}
