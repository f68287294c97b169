/* limits.c - what the limits cost a request: four rules, each with a table that holds as many keys as it was
 * made for. A request hashes four keys that exist, in random order, prefetches their four lines, looks at
 * all and then charges all, as the gateway does. Beside that bare way through the tables: the whole of
 * fg_limits_admit, from a request's texts to counts, with rules of (user, SKU), client address, header field and
 * SKU. Which keys the next request has depends on what this one read, so
 * the processor cannot overlap requests, as it could not in a gateway that does other things between them.
 *
 * Time is that of the wall, and beside it the processor's, which a busy machine does not lengthen. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "bench/four_limits.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/hash.h"
#include "flashgate/ratelimit/table.h"

__extension__ typedef unsigned __int128 wide;

enum {
    RULES = FOUR_LIMITS,
    KEYS = 10000000,
    REQUESTS = 1000000,
    ROUNDS = 7,
    ROUNDS_MAX = 101,
    THREADS_MAX = 2,
    AHEAD = 16 /* keys under way while the tables are filled */
};

struct rule {
    struct fg_table *table;
    struct fg_token_clock clock;
    struct fg_hash_key key;
};

static struct rule rules[RULES];
static struct fg_limits *limits;

struct figures { /* a request, one for each round */
    double wall_ns[ROUNDS_MAX], cpu_ns[ROUNDS_MAX];
};

struct memory { /* as much as the tables take, for bare reads */
    const uint64_t *words;
    uint64_t count;
};

struct runner {
    pthread_t thread;
    uint64_t seed, refused, cpu_ns;
    unsigned number;
    enum way {
        WAY_TABLES,
        WAY_UNFETCHED, /* the tables without prefetch */
        WAY_ADMIT      /* fg_limits_admit */
    } way;
};

/* splitmix64 (Steele, Lea & Flood, 2014). */
static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* One of `limit` numbers; different ones of the same dice for different i < RULES. */
static uint64_t place(uint64_t dice, unsigned i, uint64_t limit)
{
    const uint64_t turned = dice >> 16 * i | dice << (63 - 16 * i) << 1;
    return (uint64_t)((wide)turned * limit >> 64);
}

static uint64_t hash_of(const struct rule *rule, uint64_t number)
{
    char text[24] = "shopper-";
    memcpy(text + 16, &number, sizeof number);
    return fg_hash_keyed(text, sizeof text, &rule->key);
}

static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * FG_SECOND_IN_NS + (uint64_t)now.tv_nsec;
}

static void fill(struct rule *rule)
{
    struct fg_table_receipt receipt;
    uint64_t hashes[AHEAD], evicted = 0;
    for (uint64_t number = 0; number < KEYS + AHEAD; number++) {
        if (number >= AHEAD)
            evicted += fg_table_charge(rule->table, &rule->clock, hashes[number % AHEAD], 0,
                                       &receipt) == FG_TABLE_EVICTED;
        hashes[number % AHEAD] = hash_of(rule, number);
        if (number < KEYS)
            fg_table_prefetch(rule->table, hashes[number % AHEAD]);
    }
    printf("filled: %llu bytes, %.2f a key; one key in %.0f met a full line\n",
           (unsigned long long)fg_table_bytes(rule->table),
           (double)fg_table_bytes(rule->table) / KEYS, (double)KEYS / (double)evicted);
}

/* One request; returns what it read. */
static uint64_t request(struct runner *runner, uint64_t now_ns)
{
    uint64_t hashes[RULES], units[RULES], read = 0;
    struct fg_table_receipt receipts[RULES];
    struct fg_table_seen seen[RULES];
    const uint64_t dice = runner->seed = mix(runner->seed);
    for (unsigned i = 0; i < RULES; i++)
        hashes[i] = hash_of(&rules[i], place(dice, i, KEYS));
    for (unsigned i = 0; i < RULES && runner->way == WAY_TABLES; i++)
        fg_table_prefetch(rules[i].table, hashes[i]);
    bool admitted = true;
    for (unsigned i = 0; i < RULES; i++) {
        units[i] = fg_token_units(&rules[i].clock, now_ns);
        seen[i] = fg_table_see(rules[i].table, hashes[i]);
        admitted &= fg_token_admits(&rules[i].clock, seen[i].word, units[i]);
        read += seen[i].word;
    }
    for (unsigned i = 0; i < RULES && admitted; i++)
        admitted &= fg_table_charge_seen(rules[i].table, &rules[i].clock, hashes[i], seen[i],
                                         units[i], &receipts[i]) != FG_TABLE_REFUSED;
    runner->refused += !admitted;
    return read;
}

/* --- the whole way ---------------------------------------------------------------------------------- */

struct texts {
    char user[16], token[32], sku[16];
};

static struct fg_text header_of(const void *owner, struct fg_text name)
{
    const struct texts *texts = owner;
    (void)name;
    return (struct fg_text){ texts->token, sizeof texts->token };
}

static void number_text(char *text, size_t bytes, uint64_t number)
{
    memset(text, 'a', bytes);
    for (unsigned i = 0; i < 8; i++)
        text[bytes - 1 - i] = (char)('a' + (number >> 4 * i & 15));
}

/* True: admitted. */
static bool admit(const uint64_t numbers[RULES], unsigned thread, uint64_t now_ns)
{
    struct texts texts;
    struct fg_limit_refusal refusal;
    number_text(texts.user, sizeof texts.user, numbers[0]);
    number_text(texts.token, sizeof texts.token, numbers[2]);
    number_text(texts.sku, sizeof texts.sku, numbers[3]);
    struct fg_limit_request request = { .user = { texts.user, sizeof texts.user },
                                        .sku = { texts.sku, sizeof texts.sku },
                                        .sale = FG_TEXT("flash-11"),
                                        .address_bytes = 4,
                                        .header = header_of,
                                        .owner = &texts };
    memcpy(request.address, &numbers[1], 4);
    return fg_limits_admit(limits, &request, thread, now_ns, &refusal);
}

/* Users and SKUs come in pairs, so that there are as many of (user, SKU) as of each. */
static bool admit_drawn(struct runner *runner, uint64_t now_ns)
{
    const uint64_t dice = runner->seed = mix(runner->seed);
    const uint64_t pair = place(dice, 0, KEYS);
    const uint64_t numbers[RULES] = { pair, place(dice, 1, KEYS), place(dice, 2, KEYS), pair };
    return admit(numbers, runner->number, now_ns);
}

static bool make_limits(void)
{
    limits = four_limits_new("rate: 10/s, burst: 1000, max_keys: 10_000_000", THREADS_MAX);
    if (limits == NULL)
        return false;
    bool is_filled = true;
    for (uint64_t number = 0; number < KEYS; number++)
        is_filled &= admit((const uint64_t[RULES]){ number, number, number, number }, 0, 0);
    return is_filled;
}

static void *runner_main(void *argument)
{
    struct runner *runner = argument;
    const uint64_t before_ns = cpu_now_ns();
    for (uint64_t i = 0; i < REQUESTS; i++)
        if (runner->way == WAY_ADMIT)
            runner->refused += !admit_drawn(runner, i * 1000);
        else
            runner->seed += request(runner, i * 1000);
    runner->cpu_ns = cpu_now_ns() - before_ns;
    return NULL;
}

/* As many threads at once: ns for each request of all of them together. */
static void run_round(unsigned threads, enum way way, unsigned round, struct figures *figures)
{
    struct runner runners[THREADS_MAX];
    const uint64_t before_ns = fg_clock_steady_ns();
    for (unsigned i = 0; i < threads; i++) {
        runners[i] = (struct runner){ .seed = mix(round * 10 + i), .number = i, .way = way };
        if (pthread_create(&runners[i].thread, NULL, runner_main, &runners[i]) != 0)
            abort();
    }
    uint64_t cpu_ns = 0;
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(runners[i].thread, NULL);
        cpu_ns += runners[i].cpu_ns;
        if (runners[i].refused > 0)
            printf("%llu refused\n", (unsigned long long)runners[i].refused);
    }
    const double requests = (double)REQUESTS * threads;
    figures->wall_ns[round] = (double)(fg_clock_steady_ns() - before_ns) / requests;
    figures->cpu_ns[round] = (double)cpu_ns / requests;
}

/* Bare reads at random places of as much memory, `at_once` of them together and then as many more whose
 * places depend on them: ns for each such group. */
static void read_round(const struct memory *memory, unsigned at_once, unsigned round,
                       struct figures *figures)
{
    uint64_t seed = round;
    const uint64_t wall_ns = fg_clock_steady_ns(), cpu_ns = cpu_now_ns();
    for (uint64_t i = 0; i < REQUESTS; i++) {
        uint64_t read = 0;
        const uint64_t dice = mix(seed);
        for (unsigned j = 0; j < at_once; j++)
            read += *(const volatile uint64_t *)&memory->words[place(dice, j, memory->count)];
        seed = dice + read;
    }
    figures->cpu_ns[round] = (double)(cpu_now_ns() - cpu_ns) / REQUESTS;
    figures->wall_ns[round] = (double)(fg_clock_steady_ns() - wall_ns) / REQUESTS;
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

/* Sorts the figures. */
static void print_row(const char *name, struct figures *figures, unsigned rounds)
{
    const double wall_ns = median(figures->wall_ns, rounds);
    printf("%-32s %8.0f %8.0f %8.0f %10.0f\n", name, wall_ns, figures->wall_ns[0],
           figures->wall_ns[rounds - 1], median(figures->cpu_ns, rounds));
}

static void print_ratio(const struct figures *one, const struct figures *two, unsigned rounds)
{
    double wall[ROUNDS_MAX], cpu[ROUNDS_MAX];
    for (unsigned round = 0; round < rounds; round++) {
        wall[round] = one->wall_ns[round] / two->wall_ns[round];
        cpu[round] = 2 * one->cpu_ns[round] / two->cpu_ns[round];
    }
    printf("two threads do %.2f times the requests of one; by processor time %.2f\n",
           median(wall, rounds), median(cpu, rounds));
}

static void measure(const struct memory *memory, unsigned rounds)
{
    static struct figures one, two, unfetched, single, together, whole, whole_two;
    for (unsigned round = 0; round < rounds; round++) {
        run_round(1, WAY_TABLES, round, &one);
        run_round(2, WAY_TABLES, round, &two);
        run_round(1, WAY_UNFETCHED, round, &unfetched);
        run_round(1, WAY_ADMIT, round, &whole);
        run_round(2, WAY_ADMIT, round, &whole_two);
        read_round(memory, 1, round, &single);
        read_round(memory, RULES, round, &together);
    }
    printf("\n%u rules, %u keys each, %u rounds of %u requests; ns a request\n", RULES, KEYS,
           rounds, REQUESTS);
    printf("%-32s %8s %8s %8s %10s\n", "", "median", "min", "max", "processor");
    const struct figures one_by_round = one, two_by_round = two; /* rows sort theirs */
    const struct figures whole_by_round = whole, whole_two_by_round = whole_two;
    print_row("fg_limits_admit, one thread", &whole, rounds);
    print_row("fg_limits_admit, two threads", &whole_two, rounds);
    print_row("tables, one thread", &one, rounds);
    print_row("tables, two threads", &two, rounds);
    print_row("tables, one, without prefetch", &unfetched, rounds);
    print_row("a bare read of that memory", &single, rounds);
    print_row("four bare reads at once", &together, rounds);
    printf("fg_limits_admit: ");
    print_ratio(&whole_by_round, &whole_two_by_round, rounds);
    printf("tables: ");
    print_ratio(&one_by_round, &two_by_round, rounds);
    const double request = median(one.cpu_ns, rounds), miss = median(single.cpu_ns, rounds);
    const double misses = median(together.cpu_ns, rounds);
    printf("processor time: %u misses × %.0f ns = %.0f ns, at once %.0f ns, leave %.0f of %.0f ns "
           "for the rest\n",
           RULES, miss, RULES * miss, misses, request - misses, request);
}

static bool make_memory(struct memory *memory)
{
    const size_t bytes = RULES * fg_table_bytes(rules[0].table);
    memory->count = bytes / sizeof *memory->words;
    void *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (words == MAP_FAILED)
        return false;
    (void)madvise(words, bytes, MADV_HUGEPAGE);
    memset(words, 1, bytes);
    memory->words = words;
    return true;
}

static bool make_rules(void)
{
    for (unsigned i = 0; i < RULES; i++) {
        rules[i].table = fg_table_new(KEYS);
        if (rules[i].table == NULL)
            return false;
        rules[i].clock =
            fg_token_clock_make((struct fg_rate){ 10, FG_SECOND_IN_NS }, 1000, 1, NULL, 0);
        fg_hash_key_make(&rules[i].key);
        fill(&rules[i]);
    }
    return true;
}

int main(int count, char **arguments)
{
    char *end = NULL;
    struct memory memory;
    const unsigned long rounds = count > 1 ? strtoul(arguments[1], &end, 10) : ROUNDS;
    if (count > 2 || (end != NULL && *end != '\0') || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: limits [ROUNDS]   1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    if (!make_rules() || !make_limits() || !make_memory(&memory)) {
        fprintf(stderr, "limits: no memory; it takes 2.4 GB\n");
        return 1;
    }
    measure(&memory, (unsigned)rounds);
    return 0;
}
