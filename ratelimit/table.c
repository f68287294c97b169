/* table.c - see flashgate/ratelimit/table.h.
 *
 * One key, one word. Two words would give a key twice its burst, so a word never starts to belong to a key
 * while another word of the line does. A word is therefore given to a key in two steps:
 *
 *   empty, passed or evicted ──compare-and-swap──► claim ──store──► the key's word
 *                                                    └── the key is elsewhere in the line: put back
 *
 * A claim has tag 0 and the key's tag in the place of the time, so nobody takes it for a key, changes it or
 * takes it over but who made it. Having claimed, he looks at the other seven words; where he finds the same key,
 * as a word or as a claim, he puts back what he found and begins again.
 * Why that suffices: of two words that both are the key's at some moment, one was claimed first; who claimed the other
 * looked at the line after that, while the first word was the key's, or was claimed for it, without a break,
 * so he saw it and went away. "After" needs one order of all claims and looks, hence sequential consistency there.
 * Two who see each other both go away, and meet again: rounds are bounded, at the end stands a refusal.
 *
 * Everything else is relaxed: a word says all about its key, and no other memory is published by it.
 *
 * What is put back may belong to a key that has come back elsewhere since: it is placed in the same two steps, and
 * forgotten if so. */
#include "flashgate/ratelimit/table.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "flashgate/base/attributes.h"

__extension__ typedef unsigned __int128 wide;

enum {
    WORDS = 8,
    BYTES_A_KEY = 20,
    ROUNDS = 64 /* a compare-and-swap that fails means that somebody else's went well */
};
#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)

struct line {
    FG_CACHE_ALIGNED _Atomic uint64_t words[WORDS];
};
_Static_assert(sizeof(struct line) == FG_CACHE_LINE_BYTES, "a line is one cache line");

struct fg_table {
    struct line *lines;
    uint64_t count;
};

struct fg_table *fg_table_new(uint64_t keys)
{
    assert(keys >= 1 && keys <= FG_TABLE_KEYS_MAX);
    struct fg_table *table = malloc(sizeof *table);
    if (table == NULL)
        return NULL;
    table->count = (keys * BYTES_A_KEY + sizeof(struct line) - 1) / sizeof(struct line);
    const size_t bytes = table->count * sizeof(struct line);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        free(table);
        return NULL;
    }
    /* Only a help: without huge pages most looks miss the TLB as well. */
    if (bytes >= HUGE_PAGE_BYTES)
        (void)madvise(memory, bytes, MADV_HUGEPAGE);
    table->lines = memory;
    return table;
}

void fg_table_free(struct fg_table **table)
{
    if (*table == NULL)
        return;
    (void)munmap((*table)->lines, fg_table_bytes(*table));
    free(*table);
    *table = NULL;
}

uint64_t fg_table_lines(const struct fg_table *table)
{
    return table->count;
}

uint64_t fg_table_bytes(const struct fg_table *table)
{
    return table->count * sizeof(struct line);
}

static uint64_t line_of(const struct fg_table *table, uint64_t hash)
{
    return (uint64_t)((wide)hash * table->count >> 64);
}

/* Tag 0 is that of empty words and claims. */
static uint64_t tag_of_hash(uint64_t hash)
{
    const uint64_t tag = hash & ((UINT64_C(1) << FG_TOKEN_TAG_BITS) - 1);
    return tag != 0 ? tag : 1;
}

static uint64_t tag_of(uint64_t word)
{
    return word >> FG_TOKEN_TIME_BITS;
}

static uint64_t claim_for(uint64_t tag)
{
    return tag; /* tag 0, and the time is small and never 0 */
}

void fg_table_prefetch(const struct fg_table *table, uint64_t hash)
{
    __builtin_prefetch(&table->lines[line_of(table, hash)], 1);
}

static uint64_t load(const struct line *line, unsigned slot)
{
    return atomic_load_explicit(&line->words[slot], memory_order_relaxed);
}

/* The slot of the key's word; WORDS: not there. All words are looked at, without a branch, for which one it
 * is cannot be predicted; gcc -O2 alone would leave a loop. */
static unsigned find(const struct line *line, uint64_t tag)
{
    unsigned found = 1U << WORDS;
#pragma GCC unroll 8
    for (unsigned slot = 0; slot < WORDS; slot++)
        found |= (unsigned)(tag_of(load(line, slot)) == tag) << slot;
    return (unsigned)__builtin_ctz(found);
}

static struct fg_table_seen see(const struct line *line, uint64_t tag)
{
    const unsigned slot = find(line, tag);
    if (slot < WORDS) {
        const uint64_t word = load(line, slot);
        if (tag_of(word) == tag) /* else it is another's by now */
            return (struct fg_table_seen){ word, slot };
    }
    return (struct fg_table_seen){ 0, WORDS };
}

struct fg_table_seen fg_table_see(const struct fg_table *table, uint64_t hash)
{
    return see(&table->lines[line_of(table, hash)], tag_of_hash(hash));
}

uint64_t fg_table_look(const struct fg_table *table, uint64_t hash)
{
    return fg_table_see(table, hash).word;
}

static bool swap(struct line *line, unsigned slot, uint64_t expected, uint64_t word)
{
    return atomic_compare_exchange_strong_explicit(&line->words[slot], &expected, word,
                                                   memory_order_relaxed, memory_order_relaxed);
}

static bool claim(struct line *line, unsigned slot, uint64_t expected, uint64_t tag)
{
    return atomic_compare_exchange_strong(&line->words[slot], &expected, claim_for(tag));
}

/* Ends a claim; nobody else writes to one. */
static void settle(struct line *line, unsigned slot, uint64_t word)
{
    atomic_store_explicit(&line->words[slot], word, memory_order_release);
}

/* Has the key another word, or a claim on one? */
static bool elsewhere(struct line *line, unsigned slot, uint64_t tag)
{
    for (unsigned other = 0; other < WORDS; other++) {
        const uint64_t word = atomic_load(&line->words[other]);
        if (other != slot && (tag_of(word) == tag || word == claim_for(tag)))
            return true;
    }
    return false;
}

/* Puts `word` back where the caller's word or claim `mine` is. False: `mine` was not there any more. *emptied_r: the
 * word's key had come back elsewhere, or the word was empty. */
static bool put_back(struct line *line, unsigned slot, uint64_t mine, uint64_t word,
                     bool *emptied_r)
{
    *emptied_r = false;
    if (word == 0)
        return *emptied_r = swap(line, slot, mine, 0);
    if (tag_of(word) == tag_of(mine))
        return swap(line, slot, mine, word);
    if (!claim(line, slot, mine, tag_of(word)))
        return false;
    *emptied_r = elsewhere(line, slot, tag_of(word));
    settle(line, slot, *emptied_r ? 0 : word);
    return true;
}

struct place {
    unsigned slot; /* WORDS: nowhere */
    uint64_t word; /* that was seen there */
    enum {
        PLACE_EMPTY,
        PLACE_PASSED,
        PLACE_LIVE,
        PLACE_NONE
    } kind;
};

/* Where a new key goes: the first empty word, else the first passed one, else the one least used. Nowhere if the
 * key has just come: its own word must not give way to it. */
static struct place place_for_new(const struct line *line, uint64_t tag,
                                  const struct fg_token_clock *clock, uint64_t now_units)
{
    const struct place nowhere = { .slot = WORDS, .kind = PLACE_NONE };
    struct place best = nowhere;
    uint64_t least = UINT64_MAX;
    for (unsigned slot = 0; slot < WORDS; slot++) {
        struct place place = { .slot = slot, .word = load(line, slot), .kind = PLACE_LIVE };
        if (place.word == 0) {
            place.kind = PLACE_EMPTY;
            return place;
        }
        if (tag_of(place.word) == tag)
            return nowhere;
        if (tag_of(place.word) == 0)
            continue;
        if (fg_token_passed(clock, place.word, now_units))
            place.kind = PLACE_PASSED;
        const uint64_t used = fg_token_used(clock, place.word, now_units);
        if (place.kind < best.kind || (place.kind == best.kind && used < least)) {
            best = place;
            least = used;
        }
    }
    return best;
}

/* Gives the place to the key. False: look again; receipt->keys tells what that changed. */
static bool insert(struct line *line, struct place place, struct fg_table_receipt *receipt)
{
    const uint64_t tag = tag_of(receipt->after);
    if (place.kind == PLACE_NONE || !claim(line, place.slot, place.word, tag))
        return false;
    if (elsewhere(line, place.slot, tag)) {
        bool emptied = false;
        const bool mine = put_back(line, place.slot, claim_for(tag), place.word, &emptied);
        assert(mine);
        if (emptied && place.kind != PLACE_EMPTY)
            receipt->keys--;
        return false;
    }
    settle(line, place.slot, receipt->after);
    if (place.kind == PLACE_EMPTY)
        receipt->keys++;
    receipt->slot = (uint8_t)place.slot;
    /* Of a key whose bucket was full there is nothing to restore. */
    receipt->before = place.kind == PLACE_LIVE ? place.word : 0;
    return true;
}

enum fg_table_outcome fg_table_charge_seen(struct fg_table *table,
                                           const struct fg_token_clock *clock, uint64_t hash,
                                           struct fg_table_seen seen, uint64_t now_units,
                                           struct fg_table_receipt *receipt_r)
{
    const uint64_t tag = tag_of_hash(hash);
    const uint64_t number = line_of(table, hash);
    struct line *line = &table->lines[number];
    *receipt_r = (struct fg_table_receipt){ .line = (uint32_t)number, .units = now_units };
    for (unsigned round = 0; round < ROUNDS; round++, seen = see(line, tag)) {
        if (!fg_token_admits(clock, seen.word, now_units))
            return FG_TABLE_REFUSED;
        receipt_r->after = fg_token_charge(clock, seen.word, tag, now_units);
        if (seen.word == 0) {
            const struct place place = place_for_new(line, tag, clock, now_units);
            if (insert(line, place, receipt_r))
                return place.kind == PLACE_LIVE ? FG_TABLE_EVICTED : FG_TABLE_INSERTED;
        } else if (swap(line, seen.slot, seen.word, receipt_r->after)) {
            receipt_r->slot = (uint8_t)seen.slot;
            receipt_r->before = seen.word;
            return FG_TABLE_CHARGED;
        }
    }
    return FG_TABLE_REFUSED;
}

enum fg_table_outcome fg_table_charge(struct fg_table *table, const struct fg_token_clock *clock,
                                      uint64_t hash, uint64_t now_units,
                                      struct fg_table_receipt *receipt_r)
{
    return fg_table_charge_seen(table, clock, hash, fg_table_see(table, hash), now_units,
                                receipt_r);
}

bool fg_table_undo(struct fg_table *table, const struct fg_token_clock *clock,
                   const struct fg_table_receipt *receipt, uint64_t now_units)
{
    assert(receipt->line < table->count && receipt->slot < WORDS);
    struct line *line = &table->lines[receipt->line];
    const uint64_t tag = tag_of(receipt->after);
    bool emptied = false;
    if (put_back(line, receipt->slot, receipt->after, receipt->before, &emptied))
        return emptied;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const unsigned slot = find(line, tag);
        if (slot == WORDS)
            return false;
        const uint64_t word = load(line, slot);
        const uint64_t lighter = fg_token_give_back(clock, word, receipt->units, now_units);
        if (tag_of(word) == tag && (lighter == word || swap(line, slot, word, lighter)))
            return false;
    }
    return false;
}

uint64_t fg_table_sweep(struct fg_table *table, const struct fg_token_clock *clock,
                        uint64_t now_units, uint64_t first, uint64_t lines)
{
    uint64_t emptied = 0;
    if (first > table->count)
        first = table->count;
    if (lines > table->count - first)
        lines = table->count - first;
    for (uint64_t number = first; number < first + lines; number++) {
        struct line *line = &table->lines[number];
        for (unsigned slot = 0; slot < WORDS; slot++) {
            const uint64_t word = load(line, slot);
            if (tag_of(word) != 0 && fg_token_passed(clock, word, now_units))
                emptied += swap(line, slot, word, 0);
        }
    }
    return emptied;
}
