/* flags.c - the table of flags.h. */
#include "flags.h"

static const struct {
    const char *name, *value, *help;
    char letter;
} own_flags[FG_OWN_FLAGS] = {
    [FG_OWN_WAIT] = { "wait", NULL, "return when every worker runs it (at most 10 s)" },
    [FG_OWN_ONCE] = { "once", NULL, "print once, also on a terminal" },
    [FG_OWN_USER] = { "user", "USER", "the shopper" },
    [FG_OWN_SKU] = { "sku", "SKU", "the SKU" },
    [FG_OWN_IP] = { "ip", "ADDRESS", "where the request comes from" },
    [FG_OWN_SALE] = { "sale", "SALE", "the sale" },
    [FG_OWN_ROUTE] = { "route", "ROUTE", "buy, sale, my_orders, order or give_back (else buy)" },
    [FG_OWN_HEADER] = { "header", "NAME:VALUE", "a header field; repeatable" },
    [FG_OWN_PAYMENT] = { "payment", "REFERENCE", "the payment system's own name for it" },
    [FG_OWN_REASON] = { "reason", "TEXT", "why; kept in the log" },
    [FG_OWN_TO] = { "to", "STATE", "open, paused or ended (else paused)" },
    [FG_OWN_STATUS] = { "status", "STATUS", "held, confirmed, cancelled or expired" },
    [FG_OWN_SINCE] = { "since", "TIME", "made since then: 2027-06-18T20:00:00+08:00, or 2h ago" },
    [FG_OWN_LIMIT] = { "limit", "N", "at most so many, 1 to 1000 (else 100)" },
    [FG_OWN_DECRYPT] = { "decrypt", NULL, "open the record's sealed sections; needs --keys" },
    [FG_OWN_KEYS] = { "keys", "FOLDER", "files ID.key of the keys that sealed them" },
    [FG_OWN_ARCHIVE] = { "archive", "NAME",
                         "an archive of the relay: its file's name, or its sale" },
    [FG_OWN_OUTPUT] = { "output", "DIR|FILE.zip", "where it goes (else SALE-report.zip)", 'o' },
    [FG_OWN_EVERY] = { "all", NULL, "all of them" },
    [FG_OWN_SINK] = { "sink", "SINK", "the sink" },
    [FG_OWN_ORDER] = { "order", "ORDER", "the letters of this order" },
};

const char *fg_own_flag_name(enum fg_own_flag flag)
{
    return own_flags[flag].name;
}

void fg_own_flag_rows(struct fg_ctl *ctl, unsigned mask, struct fg_flag rows[FG_OWN_FLAGS + 1])
{
    for (unsigned i = 0; i < FG_OWN_FLAGS; i++) {
        if ((mask & FG_OWN_BIT(i)) == 0)
            continue;
        *rows++ = (struct fg_flag){
            .name = own_flags[i].name,
            .letter = own_flags[i].letter,
            .value = own_flags[i].value,
            .help = own_flags[i].help,
            .is_set = &ctl->is_set[i],
            .text = own_flags[i].value != NULL ? &ctl->text[i] : NULL,
            .texts = i == FG_OWN_HEADER ? ctl->headers : NULL,
            .texts_capacity = FG_CTL_HEADERS,
            .texts_count = &ctl->header_count,
        };
    }
    *rows = (struct fg_flag){ .name = NULL };
}
