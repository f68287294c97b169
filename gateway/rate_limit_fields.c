/* rate_limit_fields.c - see rate_limit_fields.h. */
#include "rate_limit_fields.h"

#include <assert.h>

#include "flashgate/base/clock.h"

enum {
    JITTER_PART = 4 /* one in so many seconds of the wait */
};

static uint64_t divide_up(uint64_t dividend, uint64_t divisor)
{
    return dividend / divisor + (dividend % divisor != 0);
}

/* Rounded up, at most a day. */
static uint32_t wait_s(uint64_t wait_ns)
{
    uint64_t seconds = divide_up(wait_ns, FG_SECOND_IN_NS);
    return seconds < RETRY_AFTER_MAX_S ? (uint32_t)seconds : RETRY_AFTER_MAX_S;
}

static void add_item(struct fg_buffer *value, struct fg_text name)
{
    fg_buffer_add_string(value, value->length > 0 ? ", \"" : "\"");
    for (size_t i = 0; i < name.length; i++) {
        assert(name.at[i] >= ' ' && name.at[i] <= '~');
        if (name.at[i] == '"' || name.at[i] == '\\')
            fg_buffer_add_byte(value, '\\');
        fg_buffer_add_byte(value, name.at[i]);
    }
    fg_buffer_add_byte(value, '"');
}

static void add_parameter(struct fg_buffer *value, const char *name, uint64_t number)
{
    fg_buffer_add_byte(value, ';');
    fg_buffer_add_string(value, name);
    fg_buffer_add_byte(value, '=');
    fg_buffer_add_decimal(value, number);
}

/* The product is in seconds, for in nanoseconds it would not fit: periods are whole seconds. */
void rate_limit_policy_add(struct fg_buffer *value, struct fg_text name, uint64_t burst,
                           struct fg_rate rate)
{
    uint64_t period_s = rate.period_ns / FG_SECOND_IN_NS;
    assert(burst >= 1 && burst <= UINT64_C(1000000000) && rate.count >= 1 && period_s >= 1);
    add_item(value, name);
    add_parameter(value, "q", burst);
    add_parameter(value, "w", divide_up(burst * period_s, rate.count));
}

void rate_limit_add(struct fg_buffer *value, struct fg_text name, uint64_t left, uint64_t wait_ns)
{
    add_item(value, name);
    add_parameter(value, "r", left);
    add_parameter(value, "t", wait_s(wait_ns));
}

uint32_t retry_after_s(uint64_t wait_ns, uint64_t dice)
{
    uint64_t wait = wait_s(wait_ns), most = wait_ns / FG_SECOND_IN_NS / JITTER_PART;
    uint64_t answer = (wait > 0 ? wait : 1) + dice % ((most > 1 ? most : 1) + 1);
    return answer < RETRY_AFTER_MAX_S ? (uint32_t)answer : RETRY_AFTER_MAX_S;
}
