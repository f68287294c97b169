/* table.h - the keys of one limit: a table of fixed size with one 64-bit word a key (tokens.h), shared by all
 * threads without a lock.
 *
 * A key is known by a keyed 64-bit hash: its upper bits choose a line, its lowest 20 bits are the tag. A
 * line is one cache line of eight words; a key lives in its line or nowhere, so a check costs one memory miss, and
 * fg_table_prefetch lets those of several tables overlap. There are 20 bytes for each of `keys` (2.5 words),
 * so a table that holds as many keys as it was made for has lines that are 40 % full on average: one key in
 * four hundred met a full line on the way there, one in sixty would now. Two keys share a word (tag and line
 * alike) with odds of 3 in a million. Sharing a word can only refuse too early, never admit too much.
 *
 * Every change is one compare-and-swap of one word. A new key takes an empty word, else one whose time has
 * passed, else that of the key nearest to being full again, which is forgotten and counted (an eviction). A
 * key never has two words (table.c says how); in a race for that a key may be refused that had a token.
 *
 * Never blocks, never allocates after fg_table_new; any thread, but the counts are the caller's. */
#ifndef FLASHGATE_RATELIMIT_TABLE_H
#define FLASHGATE_RATELIMIT_TABLE_H

#include <stddef.h>

#include "flashgate/ratelimit/tokens.h"

#define FG_TABLE_KEYS_MAX UINT64_C(100000000)

struct fg_table;

/* NULL without memory. Address space is taken at once, pages as keys come: at most 20 B × keys, rounded up to a
 * cache line. keys 1 … FG_TABLE_KEYS_MAX. */
struct fg_table *fg_table_new(uint64_t keys);
void fg_table_free(struct fg_table **table); /* nobody else may use it any more */
uint64_t fg_table_bytes(const struct fg_table *table);

/* Fetches the key's line. Make all hashes of a request, then prefetch for all, one right after the other, then check: a
 * prefetch that misses the TLB holds up what comes after it, but not the next prefetch. */
void fg_table_prefetch(const struct fg_table *table, uint64_t hash);

/* The key's word now, and in which place of its line; word 0: it is not there, and the place means nothing. Changes
 * nothing. */
struct fg_table_seen {
    uint64_t word;
    uint32_t slot;
};
struct fg_table_seen fg_table_see(const struct fg_table *table, uint64_t hash);
/* The word alone. */
uint64_t fg_table_look(const struct fg_table *table, uint64_t hash);

/* What a charge did, for fg_table_undo. */
struct fg_table_receipt {
    uint32_t line;
    uint8_t slot;
    int8_t keys;            /* keys more in the table, -1 … 1; always set, even by a refusal */
    uint64_t before, after; /* words; `after` is what was written */
    uint64_t units;
};
enum fg_table_outcome {
    FG_TABLE_REFUSED, /* no token was left (any more) */
    FG_TABLE_CHARGED,
    FG_TABLE_INSERTED, /* charged, and the key is new */
    FG_TABLE_EVICTED,  /* the same, and a key whose bucket was not full yet was forgotten for it */
};
/* Takes one token at now_units of `clock`. _seen: for who has just seen this key in this table, and need not look for
 * it again; whatever happened to it since does no harm. */
enum fg_table_outcome fg_table_charge(struct fg_table *table, const struct fg_token_clock *clock,
                                      uint64_t hash, uint64_t now_units,
                                      struct fg_table_receipt *receipt_r) FG_MUST_CHECK;
enum fg_table_outcome fg_table_charge_seen(struct fg_table *table,
                                           const struct fg_token_clock *clock, uint64_t hash,
                                           struct fg_table_seen seen, uint64_t now_units,
                                           struct fg_table_receipt *receipt_r) FG_MUST_CHECK;
/* Takes back, once, a charge made on this clock. If nobody touched the word since, it is restored exactly,
 * whoever it belonged to; else the key gets its token back if it is still there. True: one key less. */
bool fg_table_undo(struct fg_table *table, const struct fg_token_clock *clock,
                   const struct fg_table_receipt *receipt, uint64_t now_units);

/* Empties the words whose time has passed, in lines [first, first + lines), or up to the end; returns how many.
 * Each line must be swept before the clock comes round (tokens.h). */
uint64_t fg_table_sweep(struct fg_table *table, const struct fg_token_clock *clock,
                        uint64_t now_units, uint64_t first, uint64_t lines);
uint64_t fg_table_lines(const struct fg_table *table);

#endif
