/* test_order_life.c - the life of orders and buckets through the blocking functions of settle.h, in a real Redis of the
 * test's own. What the scripts themselves promise is tested in tests/e2e/test_order_life.py. */
#include "catalogue_fixture.h"

#include "flashgate/inventory/settle.h"
#include "inventory/filter.h"

#define HELD_SALE(hold, late)                                     \
    "sale: demo\nhold: " hold "\nlate_payment: " late "\nskus:\n" \
    "  - { sku: tea, stock: 200, per_user: 2 }\n  - { sku: yak, stock: 5, per_user: 2 }\n"
#define CREATED "sale demo created\nstock of SKU tea: 200\nstock of SKU yak: 5\n"

enum {
    LEDGER_MOST = 512,
    SETTLED_MOST = 512
};

static struct {
    struct fg_catalogue *catalogue;
    const struct fg_catalogue_sku *tea, *yak;
    char memory[4096];
    struct fg_buffer lines;
} stage;

static void open_sale(const char *yaml)
{
    applied(yaml, CREATED);
    stage.catalogue = load();
    stage.tea = find(stage.catalogue, "tea");
    stage.yak = find(stage.catalogue, "yak");
    stage.lines = fg_buffer_over(stage.memory, sizeof stage.memory - 1);
}

static int close_sale(void **state)
{
    (void)state;
    fg_catalogue_release(&stage.catalogue);
    return 0;
}

static void said(const char *lines)
{
    stage.memory[stage.lines.length] = '\0';
    assert_string_equal(stage.memory, lines);
    fg_buffer_clear(&stage.lines);
}

#define GOOD(call)                              \
    do {                                        \
        if ((call) != FG_OK)                    \
            fail_msg("%s", fixture.error.text); \
    } while (0)

static void refused_because(enum fg_result result, const char *words)
{
    assert_int_equal(result, FG_REFUSED);
    assert_string_equal(fixture.error.text, words);
}

static void write_purchase(const struct fg_catalogue_sku *sku, const char *name, const char *value)
{
    redisReply *reply;
    GOOD(fg_redis_format(fixture.redis, &reply, &fixture.error, "XADD fg:{%u}:orders * %s %s",
                         sku->terms.bucket, name, value));
    freeReplyObject(reply);
}

/* The order that the SKU's ledger entry number `at` made, counted from `opened`, which is 0. */
static struct fg_order_id order_at(const struct fg_catalogue_sku *sku, size_t at)
{
    struct fg_order_id id = { .bucket = sku->terms.bucket };
    redisReply *ledger;
    memcpy(id.epoch, sku->terms.epoch, sizeof id.epoch);
    GOOD(fg_redis_format(fixture.redis, &ledger, &fixture.error, "XRANGE fg:{%u}:orders - +",
                         sku->terms.bucket));
    assert_true(at < ledger->elements && ledger->elements < LEDGER_MOST);
    assert_true(fg_ledger_entry_parse(fg_text_of(ledger->element[at]->element[0]->str), &id.entry));
    freeReplyObject(ledger);
    return id;
}

/* All of an array, which it bounds. */
static enum fg_result settle_all(struct fg_redis *redis, struct fg_settlement *all, size_t count)
{
    struct fg_settlement *each[SETTLED_MOST];
    assert_true(count <= SETTLED_MOST);
    for (size_t i = 0; i < count; i++)
        each[i] = &all[i];
    return fg_orders_settle(redis, each, count, &fixture.error);
}

static struct fg_settlement settle_one(enum fg_settle_verb verb, struct fg_order_id id,
                                       const char *user)
{
    struct fg_settlement one = { .verb = verb, .order = id, .user = fg_text_of(user) };
    GOOD(settle_all(fixture.redis, &one, 1));
    return one;
}

static void audit_finds(const struct fg_catalogue_sku *sku, const char *lines)
{
    struct fg_stock_books books;
    GOOD(fg_stock_audit(fixture.redis, sku, &books, &stage.lines, &fixture.error));
    said(lines);
}

static void counters_are(const struct fg_catalogue_sku *sku, uint64_t total, uint64_t free_units,
                         uint64_t held, uint64_t sold)
{
    struct fg_stock_books books;
    GOOD(fg_stock_read(fixture.redis, sku, &books, &fixture.error));
    assert_int_equal(books.total, total);
    assert_int_equal(books.free_units, free_units);
    assert_int_equal(books.held, held);
    assert_int_equal(books.sold, sold);
}

/* --- the sale ----------------------------------------------------------------------------- */

static void a_sale_holds_and_its_rule_for_late_payments_may_change(void **state)
{
    (void)state;
    open_sale(HELD_SALE("15m", "refuse"));
    const struct fg_catalogue_sale *sale = &stage.catalogue->sales[0];
    assert_string_equal(sale->hold, "15m");
    assert_int_equal(sale->hold_ms, 900000);
    assert_int_equal(sale->late_payment, FG_LATE_REFUSE);
    applied(HELD_SALE("15m", "refuse"), "");
    applied(HELD_SALE("15m", "reclaim"), "late_payment: reclaim\n");
    applied(HELD_SALE("15m", "reclaim"), "");
    refused(HELD_SALE("20m", "reclaim"), "SKU tea: hold cannot change once the sale has opened");
    char *late = redis_text("HGET fg:{2}:stock late"), *hold = redis_text("HGET fg:{2}:stock hold");
    assert_string_equal(late, "reclaim");
    assert_string_equal(hold, "900000");
    free(late);
    free(hold);
    fg_catalogue_release(&stage.catalogue);
    stage.catalogue = load();
    assert_int_equal(stage.catalogue->sales[0].late_payment, FG_LATE_RECLAIM);
}

/* Bytes as they were written before a sale could hold. */
static void an_entry_without_late_payment_is_read_and_stays_as_it_is(void **state)
{
    static const char entry[] =
        "{\"closes\":0,\"hold\":\"none\",\"opens\":0,\"skus\":[{\"added\":0,\"bucket\":1,\"epoch\":"
        "\"0badcafe\",\"max_ledger_entries\":0,\"per_user\":1,\"sku\":\"8801\",\"state\":\"open\","
        "\"stock\":1000}],\"state\":\"ended\"}";
    redisReply *reply;
    (void)state;
    GOOD(fg_redis_format(fixture.redis, &reply, &fixture.error, "HSET fg:sales %s %s", "sale:demo",
                         entry));
    freeReplyObject(reply);
    stage.catalogue = load();
    assert_int_equal(stage.catalogue->sales[0].late_payment, FG_LATE_REFUSE);
    assert_int_equal(stage.catalogue->sales[0].hold_ms, 0);
    applied("sale: demo\nskus: [{ sku: \"8801\", stock: 1000 }]\n", ""); /* though it has ended */
}

/* --- orders ------------------------------------------------------------------------------- */

static void orders_of_any_buckets_are_settled_together(void **state)
{
    enum {
        TEAS = 130,
        COUNT = TEAS + 3
    };
    struct fg_settlement all[COUNT] = { 0 };
    char user[32];
    (void)state;
    open_sale(HELD_SALE("15m", "refuse"));
    for (int i = 0; i < TEAS; i++) {
        snprintf(user, sizeof user, "user-%d", i);
        buy(stage.tea, user, 1);
    }
    buy(stage.yak, "ann", 2);
    for (int i = 0; i < TEAS; i++)
        all[i] = (struct fg_settlement){ .verb = i % 2 ? FG_SETTLE_CANCEL : FG_SETTLE_CONFIRM,
                                         .order = order_at(stage.tea, (size_t)i + 1),
                                         .payment = FG_TEXT("p-1") };
    struct fg_order_id annas = order_at(stage.yak, 1), stale = annas;
    stale.epoch[0] = stale.epoch[0] == '0' ? '1' : '0';
    all[64] = (struct fg_settlement){ .verb = FG_SETTLE_GIVE_BACK,
                                      .order = annas,
                                      .user = FG_TEXT("bob") };
    all[TEAS] = all[TEAS + 2] = (struct fg_settlement){ .verb = FG_SETTLE_GIVE_BACK,
                                                        .order = annas,
                                                        .user = FG_TEXT("ann") };
    all[TEAS + 1] = (struct fg_settlement){ .verb = FG_SETTLE_CONFIRM, .order = stale };
    GOOD(settle_all(fixture.redis, all, COUNT));
    for (int i = 0; i < COUNT; i++) {
        enum fg_settle_outcome wanted = i == 64         ? FG_SETTLE_FOREIGN
                                        : i == TEAS + 2 ? FG_SETTLE_ALREADY
                                                        : FG_SETTLE_DONE;
        assert_int_equal(all[i].result, i == TEAS + 1 ? FG_REFUSED : FG_OK);
        if (i != TEAS + 1)
            assert_int_equal(all[i].outcome, wanted);
    }
    assert_string_equal(all[5].found.user, "user-5");
    assert_int_equal(all[5].found.record.state, FG_ORDER_CANCELLED);
    assert_int_equal(all[6].found.record.state, FG_ORDER_CONFIRMED);
    assert_int_equal(all[TEAS].found.record.quantity, 2);
    counters_are(stage.tea, 200, 135, 1, 64);
    counters_are(stage.yak, 5, 5, 0, 0);
    audit_finds(stage.tea, "");
    audit_finds(stage.yak, "");
}

/* Between an audit's cut and the rest of it. */
static void (*meanwhile)(void);
void __real_filter_init(struct filter *filter, uint64_t seed, size_t maximum);
void __wrap_filter_init(struct filter *filter, uint64_t seed, size_t maximum);
void __wrap_filter_init(struct filter *filter, uint64_t seed, size_t maximum)
{
    void (*happen)(void) = meanwhile;
    __real_filter_init(filter, seed, maximum);
    meanwhile = NULL;
    if (happen != NULL)
        happen();
}

static void payments_come(void)
{
    settle_one(FG_SETTLE_CONFIRM, order_at(stage.tea, 1), "");
    settle_one(FG_SETTLE_CANCEL, order_at(stage.tea, 2), "");
    buy(stage.tea, "dan", 1);
    settle_one(FG_SETTLE_CONFIRM, order_at(stage.tea, 6), ""); /* is not of the cut */
}

static void one_more_payment(void)
{
    settle_one(FG_SETTLE_CONFIRM, order_at(stage.tea, 8), "");
}

static void an_audit_takes_no_payment_for_a_difference(void **state)
{
    (void)state;
    open_sale(HELD_SALE("15m", "refuse"));
    buy(stage.tea, "ann", 2);
    buy(stage.tea, "bob", 1);
    buy(stage.tea, "cid", 1);
    meanwhile = payments_come;
    audit_finds(stage.tea, "");
    counters_are(stage.tea, 200, 196, 1, 3);
    audit_finds(stage.tea, "");
    /* But no more than what was paid: one of them is gone. */
    redis("HDEL fg:{1}:buyers cid");
    buy(stage.tea, "eve", 1);
    meanwhile = one_more_payment;
    audit_finds(stage.tea, "SKU tea: the counter held is 2, the users' records say 0\n");
}

/* More buckets and more orders than are asked at once; and Redis has forgotten the script. */
static void many_orders_of_many_buckets_are_settled_in_rounds(void **state)
{
    enum {
        SKUS = 70,
        TEAS = 300,
        COUNT = SKUS + TEAS
    };
    static struct fg_settlement all[COUNT];
    static char yaml[SKUS * 40 + 128];
    char name[24];
    (void)state;
    int length = snprintf(yaml, sizeof yaml, "sale: demo\nhold: 15m\nskus:\n");
    for (int i = 0; i < SKUS; i++)
        length += snprintf(yaml + length, sizeof yaml - (size_t)length,
                           "  - { sku: s%d, stock: %d }\n", i, TEAS + 1);
    GOOD(apply(yaml));
    stage.catalogue = load();
    for (int i = 0; i < TEAS; i++) {
        snprintf(name, sizeof name, "user-%d", i);
        buy(find(stage.catalogue, "s7"), name, 1);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "s%d", i < SKUS ? i : 7);
        const struct fg_catalogue_sku *sku = find(stage.catalogue, name);
        if (i < SKUS)
            buy(sku, "ann", 1);
        size_t at = i >= SKUS ? (size_t)(i - SKUS) + 1 : i == 7 ? TEAS + 1 : 1;
        all[i] = (struct fg_settlement){ .verb = FG_SETTLE_CONFIRM, .order = order_at(sku, at) };
    }
    GOOD(settle_all(fixture.redis, all, 1));
    redis("SCRIPT FLUSH");
    GOOD(settle_all(fixture.redis, all, COUNT));
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(all[i].result, FG_OK);
        assert_int_equal(all[i].outcome, i == 0 ? FG_SETTLE_ALREADY : FG_SETTLE_DONE);
    }
    counters_are(find(stage.catalogue, "s7"), TEAS + 1, 0, 0, TEAS + 1);
    counters_are(find(stage.catalogue, "s69"), TEAS + 1, TEAS, 0, 1);
}

/* It says so before the script writes: nothing is done, and no books are closed. */
static void what_redis_refuses_to_run_was_not_done(void **state)
{
    (void)state;
    open_sale(HELD_SALE("15m", "refuse"));
    buy(stage.tea, "ann", 1);
    struct fg_order_id annas = order_at(stage.tea, 1);
    redis("CONFIG SET maxmemory 1");
    struct fg_settlement refused = settle_one(FG_SETTLE_CONFIRM, annas, "");
    redis("CONFIG SET maxmemory 0");
    assert_int_equal(refused.result, FG_UNREACHABLE);
    counters_are(stage.tea, 200, 199, 1, 0);
    assert_int_equal(settle_one(FG_SETTLE_CONFIRM, annas, "").outcome, FG_SETTLE_DONE);
}

static void without_an_answer_what_was_sent_is_unknown(void **state)
{
    struct fg_redis_settings settings = fixture.settings;
    struct fg_redis *hasty;
    (void)state;
    settings.timeout_ns = UINT64_C(100000000);
    open_sale(HELD_SALE("15m", "refuse"));
    buy(stage.tea, "ann", 1);
    buy(stage.yak, "ann", 1);
    struct fg_settlement both[] = {
        { .verb = FG_SETTLE_CONFIRM, .order = order_at(stage.tea, 1) },
        { .verb = FG_SETTLE_CONFIRM, .order = order_at(stage.yak, 1) },
    };
    GOOD(fg_redis_new(&settings, &hasty, &fixture.error));
    GOOD(settle_all(hasty, both, 1)); /* so that the script is known */
    kill(fixture.pid, SIGSTOP);
    enum fg_result result = settle_all(hasty, both, 2);
    kill(fixture.pid, SIGCONT);
    fg_redis_free(&hasty);
    assert_int_equal(result, FG_OK);
    assert_int_equal(both[0].result, FG_UNKNOWN);
    assert_int_equal(both[1].result, FG_UNKNOWN);

    static char nowhere[] = "unix:/nonexistent/redis.sock";
    settings.address = nowhere;
    GOOD(fg_redis_new(&settings, &hasty, &fixture.error));
    assert_int_equal(settle_all(hasty, both, 2), FG_UNREACHABLE);
    assert_int_equal(both[0].result, FG_UNREACHABLE);
    assert_int_equal(both[1].result, FG_UNREACHABLE);
    fg_redis_free(&hasty);
}

static void a_hold_that_has_not_run_out_is_told(void **state)
{
    struct fg_sweep sweep;
    (void)state;
    open_sale(HELD_SALE("15m", "refuse"));
    buy(stage.tea, "ann", 2);
    GOOD(fg_bucket_sweep(fixture.redis, stage.tea, &sweep, &fixture.error));
    assert_int_equal(sweep.expired, 0);
    assert_int_equal(sweep.walked, 1); /* `opened` */
    assert_true(sweep.is_at_end);
    assert_in_range(sweep.next_due_ms, sweep.now_ms + 1, sweep.now_ms + 900000);
    counters_are(stage.tea, 200, 198, 2, 0);
}

static void a_hold_runs_out_and_is_paid_for_too_late(void **state)
{
    struct fg_sweep sweep;
    (void)state;
    open_sale(HELD_SALE("100ms", "reclaim"));
    buy(stage.tea, "ann", 2);
    usleep(110000);
    GOOD(fg_bucket_sweep(fixture.redis, stage.tea, &sweep, &fixture.error));
    assert_int_equal(sweep.expired, 1);
    assert_int_equal(sweep.walked, 2); /* `opened` too */
    assert_true(sweep.is_at_end);
    assert_int_equal(sweep.next_due_ms, 0);
    counters_are(stage.tea, 200, 200, 0, 0);
    struct fg_settlement late = settle_one(FG_SETTLE_CONFIRM, order_at(stage.tea, 1), NULL);
    assert_int_equal(late.outcome, FG_SETTLE_DONE);
    assert_true(late.is_reclaimed);
    assert_int_equal(late.found.record.state, FG_ORDER_CONFIRMED);
    counters_are(stage.tea, 200, 198, 0, 2);
    audit_finds(stage.tea, ""); /* held, expired, reclaimed */
}

/* --- the audit ---------------------------------------------------------------------------- */

static void the_audit_takes_what_it_does_not_know_for_damage(void **state)
{
    (void)state;
    open_sale(HELD_SALE("15m", "refuse"));
    redis("XADD fg:{1}:orders * event vanished quantity 1");
    redis("XADD fg:{1}:orders * event cancelled quantity 1"); /* of which order? */
    redis("XADD fg:{1}:orders * event stock_added");          /* how many? */
    redis(
        "XADD fg:{1}:orders * event confirmed user ann quantity 1"); /* a purchase is told otherwise */
    write_purchase(stage.tea, "held", "1 ann - -");                  /* until when? */
    audit_finds(stage.tea, "SKU tea: 5 ledger entries or records are malformed\n");
}

/* --- freezing and resolving --------------------------------------------------------------- */

static void a_frozen_sku_goes_on_with_what_its_ledger_says(void **state)
{
    (void)state;
    open_sale(HELD_SALE("15m", "refuse"));
    buy(stage.tea, "ann", 1);
    buy(stage.tea, "bob", 1);
    refused_because(fg_bucket_resolve(fixture.redis, stage.tea, FG_SALE_OPEN, "x", &stage.lines,
                                      &fixture.error),
                    "SKU tea is not frozen");
    GOOD(fg_bucket_freeze(fixture.redis, stage.tea, "a test", &fixture.error));
    GOOD(fg_bucket_freeze(fixture.redis, stage.tea, "again", &fixture.error));
    redis("HSET fg:{1}:stock free 100 sold 3");
    redis("HDEL fg:{1}:buyers bob");
    audit_finds(stage.tea, "SKU tea: total 200 is not free 100 + held 2 + sold 3\n"
                           "SKU tea: the counter sold is 3, the ledger's entries say 0\n"
                           "SKU tea: the counter held is 2, the users' records say 1\n"
                           "SKU tea: the counter sold is 3, the users' records say 0\n");
    GOOD(fg_bucket_resolve(fixture.redis, stage.tea, FG_SALE_PAUSED, "looked", &stage.lines,
                           &fixture.error));
    said("SKU tea: free was 100, is 198\nSKU tea: sold was 3, is 0\n"
         "SKU tea: accepted that the users' records differ from the ledger\nSKU tea: paused\n");
    counters_are(stage.tea, 200, 198, 2, 0);
    audit_finds(stage.tea, ""); /* accepted */

    settle_one(FG_SETTLE_CONFIRM, order_at(stage.tea, 1), NULL);
    audit_finds(stage.tea, ""); /* still the same difference */
    redis("HSET fg:{1}:buyers eve x");
    audit_finds(stage.tea, "SKU tea: the counter held is 1, the users' records say 0\n"
                           "SKU tea: 1 ledger entries or records are malformed\n");
}

static void what_was_sold_and_not_there_is_added_to_the_total(void **state)
{
    (void)state;
    open_sale(HELD_SALE("none", "refuse"));
    static const char *const users[] = { "ann", "bob", "cid", "dan", "eve" };
    for (size_t i = 0; i < FG_COUNT_OF(users); i++)
        buy(stage.yak, users[i], 1);
    write_purchase(stage.yak, "confirmed", "2 zoe - -");
    GOOD(fg_bucket_freeze(fixture.redis, stage.yak, "oversold", &fixture.error));
    redis("HSET fg:{2}:stock free -2"); /* cannot even be read */
    GOOD(fg_bucket_resolve(fixture.redis, stage.yak, FG_SALE_ENDED, "x", &stage.lines,
                           &fixture.error));
    said("SKU yak: total was 5, is 7\nSKU yak: free was -2, is 0\nSKU yak: sold was 5, is 7\n"
         "SKU yak: 2 units more were sold than there were\n"
         "SKU yak: accepted that the users' records differ from the ledger\nSKU yak: ended\n");
    counters_are(stage.yak, 7, 0, 0, 7);
    audit_finds(stage.yak, "");
}

/* --- the end ------------------------------------------------------------------------------ */

static void an_ended_sale_is_closed_retired_and_removed(void **state)
{
    struct fg_ledger_entry last, again, other = { 1700000000000, 0 };
    enum fg_sale_state was;
    (void)state;
    open_sale(HELD_SALE("15m", "refuse"));
    buy(stage.tea, "ann", 1);
    refused_because(fg_bucket_close(fixture.redis, stage.tea, &last, &fixture.error),
                    "SKU tea: it is open and cannot become archived");
    refused_because(fg_sale_remove(fixture.redis, "demo", &fixture.error),
                    "sale demo is open, not ended");
    GOOD(fg_sale_set_state(fixture.redis, "demo", FG_SALE_ENDED, &was, &fixture.error));
    refused_because(fg_bucket_close(fixture.redis, stage.tea, &last, &fixture.error),
                    "SKU tea: 1 units are held: they are confirmed, cancelled or expire first");
    settle_one(FG_SETTLE_GIVE_BACK, order_at(stage.tea, 1), "ann");
    GOOD(fg_bucket_close(fixture.redis, stage.tea, &last, &fixture.error));
    GOOD(fg_bucket_close(fixture.redis, stage.tea, &again, &fixture.error));
    assert_int_equal(fg_ledger_entry_compare(last, again), 0);
    assert_int_equal(fg_ledger_entry_compare(last, order_at(stage.tea, 4).entry), 0);
    audit_finds(stage.tea, "");
    /* ending the sale again passes over what is archived */
    GOOD(fg_sale_set_state(fixture.redis, "demo", FG_SALE_ENDED, &was, &fixture.error));

    GOOD(fg_bucket_close(fixture.redis, stage.yak, &again, &fixture.error));
    GOOD(fg_bucket_retire(fixture.redis, stage.yak, again, &fixture.error));
    assert_int_equal(fg_bucket_retire(fixture.redis, stage.tea, other, &fixture.error), FG_REFUSED);
    refused_because(fg_sale_remove(fixture.redis, "demo", &fixture.error),
                    "SKU tea is not retired yet");
    GOOD(fg_bucket_retire(fixture.redis, stage.tea, last, &fixture.error));
    GOOD(fg_bucket_retire(fixture.redis, stage.tea, last, &fixture.error));
    GOOD(fg_sale_remove(fixture.redis, "demo", &fixture.error));
    assert_int_equal(fg_sale_remove(fixture.redis, "demo", &fixture.error), FG_NOT_FOUND);
    fg_catalogue_release(&stage.catalogue);
    stage.catalogue = load();
    assert_int_equal(stage.catalogue->sale_count, 0);
    redisReply *keys;
    GOOD(fg_redis_format(fixture.redis, &keys, &fixture.error, "KEYS *"));
    assert_int_equal(keys->elements, 1); /* the catalogue itself: numbers are never drawn twice */
    freeReplyObject(keys);
}

static void a_payments_reference_is_visible_and_short(void **state)
{
    static const char longest[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    (void)state;
    assert_true(fg_payment_is_valid(FG_TEXT("pay_17/x~!")));
    assert_true(fg_payment_is_valid(fg_text_of(longest)));
    assert_false(fg_payment_is_valid(FG_TEXT("")));
    assert_false(fg_payment_is_valid(FG_TEXT("a b")));
    assert_false(fg_payment_is_valid(FG_TEXT("caf\xc3\xa9")));
    assert_false(fg_payment_is_valid((struct fg_text){
        "00123456789012345678901234567890123456789012345678901234567890123", 65 }));
}

#define WITH_A_SALE(test) cmocka_unit_test_setup_teardown(test, empty_redis, close_sale)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_A_SALE(a_sale_holds_and_its_rule_for_late_payments_may_change),
        WITH_A_SALE(an_entry_without_late_payment_is_read_and_stays_as_it_is),
        WITH_A_SALE(orders_of_any_buckets_are_settled_together),
        WITH_A_SALE(an_audit_takes_no_payment_for_a_difference),
        WITH_A_SALE(many_orders_of_many_buckets_are_settled_in_rounds),
        WITH_A_SALE(what_redis_refuses_to_run_was_not_done),
        WITH_A_SALE(without_an_answer_what_was_sent_is_unknown),
        WITH_A_SALE(a_hold_that_has_not_run_out_is_told),
        WITH_A_SALE(a_hold_runs_out_and_is_paid_for_too_late),
        WITH_A_SALE(the_audit_takes_what_it_does_not_know_for_damage),
        WITH_A_SALE(a_frozen_sku_goes_on_with_what_its_ledger_says),
        WITH_A_SALE(what_was_sold_and_not_there_is_added_to_the_total),
        WITH_A_SALE(an_ended_sale_is_closed_retired_and_removed),
        cmocka_unit_test(a_payments_reference_is_visible_and_short),
    };
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
