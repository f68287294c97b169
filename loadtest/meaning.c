#include "meaning.h"

/* The 503 that say in words that nothing was bought. */
static bool is_plain_refusal(struct fg_text code)
{
    static const char *const codes[] = { "paused", "frozen", "busy", "breaker_open", "queue_full" };
    for (size_t i = 0; i < FG_COUNT_OF(codes); i++)
        if (fg_text_equal(code, fg_text_of(codes[i])))
            return true;
    return false;
}

enum fg_meaning fg_meaning_of(int status, struct fg_text code)
{
    if (status == 0)
        return fg_text_equal(code, FG_TEXT(FG_CODE_UNSENT)) ? FG_MEANS_UNSENT : FG_MEANS_UNKNOWN;
    if (status == 200 || status == 201)
        return FG_MEANS_ORDER;
    if (status == 429 || status == 408 || (status == 503 && is_plain_refusal(code)))
        return FG_MEANS_LATER;
    if (status >= 400 && status < 500)
        return FG_MEANS_NO;
    return FG_MEANS_UNKNOWN; /* outcome_unknown, and whatever nobody promised anything about */
}

bool fg_meaning_settles(enum fg_meaning meaning, bool *uncertain)
{
    switch (meaning) {
    case FG_MEANS_ORDER:
    case FG_MEANS_NO:
        *uncertain = false;
        return true;
    case FG_MEANS_LATER:
        return !*uncertain;
    case FG_MEANS_UNKNOWN:
        *uncertain = true;
        return false;
    case FG_MEANS_UNSENT:
        break;
    }
    return false;
}
