/* books.h - what the books say: the counters, the buyers and the ledger in Redis, the orders in the database.
 *
 * Readers fill these tables; the audit compares them. A *sighting* is one source saying that one order
 * exists: the same order in four sources is four sightings. */
#ifndef FLASHGATE_LOADTEST_BOOKS_H
#define FLASHGATE_LOADTEST_BOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/error.h"
#include "flashgate/base/text.h"
#include "sale.h"
#include "store.h"

enum fg_source {
    FG_IN_ANSWERS, /* a shopper was told */
    FG_IN_BUYERS,  /* a user's record in Redis */
    FG_IN_LEDGER,
    FG_IN_DATABASE,
    FG_SOURCES
};

struct fg_sighting {
    struct fg_text order, user;
    struct fg_text
        key; /* answers: the Idempotency-Key; buyers, ledger: its digest; "": none or unknown */
    uint64_t quantity;
    uint32_t row;   /* answers: index in the record */
    uint16_t sku;   /* index in the sale */
    uint8_t source; /* enum fg_source */
    char state; /* h held, c confirmed, x cancelled, e expired; answers: '?', it may change later */
};

struct fg_stock { /* the counters of one SKU, all its buckets together */
    bool is_there;
    int64_t total, free, held, sold;
    int64_t ledger_total; /* what the ledger says was put on sale */
    char state[16];
};

struct fg_books {
    struct fg_stock *stock; /* one for each SKU of the sale */
    struct fg_sighting *sightings;
    size_t count, capacity;
    uint64_t events_twice; /* event ids that are in the database more than once */
    struct fg_store store;
};

void fg_books_open(struct fg_books *books, const struct fg_sale *sale);
void fg_books_free(struct fg_books *books);
/* The texts stay the caller's (usually the books' store). */
void fg_books_add(struct fg_books *books, const struct fg_sighting *sighting);
/* The letter of "held", "confirmed", "cancelled", "expired"; 0 for another word. */
char fg_order_state(struct fg_text word);
static inline bool fg_order_is_alive(char state)
{
    return state == 'h' || state == 'c' || state == '?';
}

/* Reads counters, buyers and ledger of the sale. `address`: "127.0.0.1:6379", "unix:PATH". */
enum fg_result fg_books_read_redis(struct fg_books *books, const struct fg_sale *sale,
                                   const char *address, struct fg_error *error) FG_MUST_CHECK;
/* Reads the orders of the sale from the relay's SQLite file. FG_NOT_FOUND while it is not there. */
enum fg_result fg_books_read_database(struct fg_books *books, const struct fg_sale *sale,
                                      const char *path, struct fg_error *error) FG_MUST_CHECK;

#endif
