/* test_inventory_calls.c - what becomes of purchases that Redis must be asked for, and what the owner is told of
 * the calls; a peer in the test's own hands plays Redis. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "flashgate/inventory/inventory.h"
#include "flashgate/inventory/settle.h"
#include "inventory/latch.h"

enum {
    PATIENCE_S = 30,
    BUCKET = 7,
    HEARD_BYTES = 64 << 10,
    ENDS_MAX = 128
};

/* What is not to time out does not, however loaded the machine is. */
static const uint64_t patient_ns = PATIENCE_S * FG_SECOND_IN_NS;
static const uint64_t impatient_ns = 300 * FG_MS_IN_NS;

#define SHA        "0123456789012345678901234567890123456789"
#define SETTLE_SHA "1111111111111111111111111111111111111111"
#define SETTLE_SHA "1111111111111111111111111111111111111111"
#define GREETING   "*2\r\n$10\r\n1795238562\r\n$1\r\n0\r\n$40\r\n" SHA "\r\n$40\r\n" SETTLE_SHA "\r\n"
/* The head of a reply to `items` purchases, of which none is free. */
#define SOLD_OUT_HEAD(length) \
    "*" length "\r\n:1795238562000\r\n:0\r\n$4\r\nopen\r\n$0\r\n\r\n:0\r\n"
#define SOLD_OUT   "$8\r\nsold_out\r\n"
#define FOUND_NONE "$4\r\nnone\r\n"

struct told {
    enum fg_call_end end;
    uint64_t calls, sent_ns, took_ns;
};

static struct {
    char folder[40], address[64];
    struct fg_ring *ring;
    struct fg_inventory *inventory;
    int listener, peer; /* -1: none */
    char heard[HEARD_BYTES];
    size_t heard_bytes;
    struct told told[ENDS_MAX];
    unsigned told_count, asked_count;
    bool allows;
} stage;

/* --- the owner, and the peer ---------------------------------------------------------------------------- */

static void on_told(void *owner, enum fg_call_end end, uint64_t calls, uint64_t sent_ns,
                    uint64_t took_ns)
{
    assert_ptr_equal(owner, &stage);
    assert_true(stage.told_count < ENDS_MAX);
    stage.told[stage.told_count++] = (struct told){ end, calls, sent_ns, took_ns };
}

static bool on_asked(void *owner)
{
    assert_ptr_equal(owner, &stage);
    stage.asked_count++;
    return stage.allows;
}

static void assert_told(unsigned at, enum fg_call_end end, uint64_t calls)
{
    assert_true(at < stage.told_count);
    assert_int_equal(stage.told[at].end, end);
    assert_int_equal(stage.told[at].calls, calls);
}

static void hang_up(void)
{
    if (stage.peer >= 0)
        close(stage.peer);
    stage.peer = -1;
}

static void say(const char *text)
{
    assert_int_equal(write(stage.peer, text, strlen(text)), strlen(text));
}

static void listen_to_peer(void)
{
    size_t room = sizeof stage.heard - stage.heard_bytes;
    ssize_t length = recv(stage.peer, stage.heard + stage.heard_bytes, room, MSG_DONTWAIT);
    assert_true(length >= 0 || errno == EAGAIN);
    stage.heard_bytes += length > 0 ? (size_t)length : 0;
}

static void turn(void)
{
    fg_inventory_flush(stage.inventory);
    fg_ring_turn(stage.ring, 5 * FG_MS_IN_NS);
    int fd = stage.listener < 0 ? -1 : accept4(stage.listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd >= 0) {
        hang_up();
        stage.peer = fd;
        say(GREETING);
    }
    if (stage.peer >= 0)
        listen_to_peer();
}

/* Turns until `condition` holds. */
#define TURN_UNTIL(condition)                                                                     \
    for (uint64_t give_up_ns = fg_clock_steady_ns() + PATIENCE_S * FG_SECOND_IN_NS; !(condition); \
         turn())                                                                                  \
        if (fg_clock_steady_ns() > give_up_ns)                                                    \
    fail_msg("not within %d s: %s", PATIENCE_S, #condition)

static bool hears(const char *word)
{
    return memmem(stage.heard, stage.heard_bytes, word, strlen(word)) != NULL;
}

static void forget_heard(void)
{
    stage.heard_bytes = 0;
}

static uint64_t ready_links(void)
{
    return fg_counter_read(&fg_inventory_link_counts(stage.inventory)->ready);
}

static const struct fg_inventory_counts *counts(void)
{
    return fg_inventory_counts(stage.inventory);
}

static int set_stage(void **state)
{
    struct fg_ring_settings settings = {
        .entries = 64, .buffers = 16, .buffer_bytes = 512, .sockets = 8
    };
    struct fg_error error;
    struct fg_address address;
    (void)state;
    memset(&stage, 0, sizeof stage);
    stage.peer = -1;
    stage.allows = true;
    (void)strcpy(stage.folder, "/tmp/fg-test-calls-XXXXXX");
    if (mkdtemp(stage.folder) == NULL)
        return -1;
    (void)snprintf(stage.address, sizeof stage.address, "unix:%s/s", stage.folder);
    if (!fg_address_parse(stage.address, &address))
        return -1;
    stage.listener = fg_listen(&address, false, 4, &error);
    return stage.listener >= 0 && fcntl(stage.listener, F_SETFL, O_NONBLOCK) == 0 &&
                   fg_ring_open(&settings, &stage.ring, &error) == FG_OK
               ? 0
               : -1;
}

static void open_inventory(uint64_t timeout_ns)
{
    struct fg_error error;
    struct fg_inventory_settings settings = { .address = stage.address,
                                              .timeout_ns = timeout_ns,
                                              .owner = &stage,
                                              .allows = on_asked,
                                              .told = on_told };
    assert_int_equal(fg_inventory_open(stage.ring, &settings, &stage.inventory, &error), FG_OK);
    assert_int_equal(fg_inventory_add_bucket(stage.inventory, BUCKET), FG_OK);
}

static void connect_inventory(uint64_t timeout_ns)
{
    open_inventory(timeout_ns);
    TURN_UNTIL(ready_links() == 1);
    forget_heard();
}

static void stop_listening(void)
{
    if (stage.listener >= 0)
        close(stage.listener);
    stage.listener = -1;
}

static int clear_stage(void **state)
{
    (void)state;
    stop_listening();
    if (stage.inventory != NULL) {
        fg_inventory_close(stage.inventory);
        for (int i = 0; i < 1000 && !fg_inventory_is_closed(stage.inventory); i++)
            fg_ring_turn(stage.ring, 5 * FG_MS_IN_NS);
        if (!fg_inventory_is_closed(stage.inventory))
            return -1;
        fg_inventory_free(&stage.inventory);
    }
    hang_up();
    fg_ring_close(&stage.ring);
    (void)unlink(stage.address + strlen("unix:"));
    return rmdir(stage.folder);
}

/* --- shoppers (static, for after a failed test the inventory still knows them) ------------------------------ */

enum {
    SHOPPERS = 80,
    FULL = 64 /* purchases of a full call */
};
static struct shopper {
    struct fg_purchase purchase;
    unsigned answered, told_before; /* how much the owner knew when the answer came */
} shoppers[SHOPPERS];

static void on_answered(struct fg_purchase *purchase)
{
    struct shopper *shopper = FG_CONTAINER_OF(purchase, struct shopper, purchase);
    shopper->answered++;
    shopper->told_before = stage.told_count;
}

static struct fg_bucket_terms terms(enum fg_sale_state state)
{
    return (struct fg_bucket_terms){
        .bucket = BUCKET, .epoch = "0badcafe", .state = state, .per_user = 5, .ledger_maximum = 1000
    };
}

static struct fg_purchase *enter(unsigned which)
{
    shoppers[which] = (struct shopper){
        .purchase = { .user = FG_TEXT("ann"), .quantity = 1, .answered = on_answered }
    };
    return &shoppers[which].purchase;
}

static void press_buy_in(enum fg_sale_state state, unsigned which)
{
    struct fg_bucket_terms of = terms(state);
    struct fg_purchase *purchase = enter(which);
    assert_false(fg_inventory_decide(stage.inventory, &of, purchase));
    fg_inventory_submit(stage.inventory, &of, purchase);
}

static void press_buy(unsigned which)
{
    press_buy_in(FG_SALE_OPEN, which);
}

static void await_answer(unsigned which, enum fg_answer answer)
{
    TURN_UNTIL(shoppers[which].answered > 0);
    assert_int_equal(shoppers[which].answered, 1);
    assert_int_equal(shoppers[which].purchase.answer, answer);
}

static struct search {
    struct fg_order_search search;
    unsigned found;
} search;

static void on_found(struct fg_order_search *of)
{
    assert_ptr_equal(of, &search.search);
    search.found++;
}

static void look_for_orders(void)
{
    search = (struct search){ .search = { .user = FG_TEXT("ann"),
                                          .bucket = BUCKET,
                                          .epoch = "0badcafe",
                                          .found = on_found } };
    fg_inventory_search(stage.inventory, &search.search);
}

static struct giver { /* who gives an order back */
    struct fg_order_settling settling;
    unsigned settled, told_before;
} giver;

static void on_settled(struct fg_order_settling *settling)
{
    assert_ptr_equal(settling, &giver.settling);
    giver.settled++;
    giver.told_before = stage.told_count;
}

static void give_back(void)
{
    giver =
        (struct giver){ .settling = { .settlement = { .verb = FG_SETTLE_GIVE_BACK,
                                                      .order = { .bucket = BUCKET,
                                                                 .epoch = "0badcafe",
                                                                 .entry = { 1795238562267, 3 } },
                                                      .user = FG_TEXT("ann") },
                                      .settled = on_settled } };
    fg_inventory_settle(stage.inventory, &giver.settling);
}

#define RECORD(letter) \
    "0000000000000000" \
    "000002"           \
    "1795239462267" letter "1795238562267-3         "
#define SETTLED(length, word, letter) \
    "*3\r\n$" length "\r\n" word "\r\n$3\r\nann\r\n$60\r\n" RECORD(letter) "\r\n"
#define GAVE_BACK SETTLED("4", "done", "x")

static void await_settled(enum fg_result result)
{
    TURN_UNTIL(giver.settled > 0);
    assert_int_equal(giver.settled, 1);
    assert_int_equal(giver.settling.settlement.result, result);
}

/* --- deciding and submitting -------------------------------------------------------------------------------- */

static void who_comes_too_early_is_answered_from_memory(void **state)
{
    struct fg_bucket_terms later = terms(FG_SALE_OPEN);
    (void)state;
    later.opens_ms = INT64_MAX;
    connect_inventory(patient_ns);
    assert_true(fg_inventory_decide(stage.inventory, &later, enter(0)));
    assert_int_equal(shoppers[0].answered, 1);
    assert_int_equal(shoppers[0].purchase.answer, FG_ANSWER_NOT_STARTED);
    turn();
    assert_false(hears("EVALSHA"));
    assert_int_equal(stage.told_count, 0);
}

/* The caller refuses those that are decided and not submitted. */
static void who_is_refused_in_between_leaves_nothing(void **state)
{
    struct fg_bucket_terms open = terms(FG_SALE_OPEN);
    (void)state;
    connect_inventory(patient_ns);
    press_buy(0);
    TURN_UNTIL(hears("EVALSHA"));
    say(SOLD_OUT_HEAD("6") SOLD_OUT);
    await_answer(0, FG_ANSWER_SOLD_OUT);
    uint64_t lapsed_ns = fg_clock_steady_ns() + LATCH_LAPSE_NS;
    TURN_UNTIL(fg_ring_now_ns(stage.ring) > lapsed_ns);
    forget_heard();

    assert_false(fg_inventory_decide(stage.inventory, &open, enter(1)));
    assert_false(fg_inventory_decide(stage.inventory, &open, enter(2)));
    turn();
    assert_false(hears("EVALSHA"));
    assert_int_equal(shoppers[1].answered, 0);
    assert_int_equal(fg_counter_read(&counts()->probes), 0);

    assert_false(fg_inventory_decide(stage.inventory, &open, enter(3)));
    assert_false(fg_inventory_decide(stage.inventory, &open, enter(4)));
    fg_inventory_submit(stage.inventory, &open, &shoppers[3].purchase);
    fg_inventory_submit(stage.inventory, &open, &shoppers[4].purchase);
    assert_int_equal(fg_counter_read(&counts()->probes), 1); /* and the other only looks */
    assert_int_equal(fg_counter_read(&counts()->look_ups), 1);
    TURN_UNTIL(hears("EVALSHA"));
    say(SOLD_OUT_HEAD("7") SOLD_OUT FOUND_NONE);
    await_answer(3, FG_ANSWER_SOLD_OUT);
    await_answer(4, FG_ANSWER_SOLD_OUT);
}

/* --- what the owner is told --------------------------------------------------------------------------------- */

static void a_good_call_is_told_with_all_its_purchases(void **state)
{
    (void)state;
    connect_inventory(patient_ns);
    for (unsigned i = 0; i < 3; i++)
        press_buy(i);
    TURN_UNTIL(hears("EVALSHA"));
    uint64_t heard_ns = fg_ring_now_ns(stage.ring);
    say(SOLD_OUT_HEAD("8") SOLD_OUT SOLD_OUT SOLD_OUT);
    await_answer(2, FG_ANSWER_SOLD_OUT);
    assert_int_equal(stage.told_count, 1);
    assert_told(0, FG_CALL_END_GOOD, 3);
    assert_true(stage.told[0].sent_ns <= heard_ns);
    assert_int_equal(stage.told[0].sent_ns + stage.told[0].took_ns, fg_ring_now_ns(stage.ring));
    assert_int_equal(shoppers[0].told_before, 1); /* who is answered may buy again at once */
    assert_int_equal(stage.asked_count, 0);
}

static void an_error_and_a_reply_of_no_form_are_failures(void **state)
{
    (void)state;
    connect_inventory(patient_ns);
    press_buy(0);
    TURN_UNTIL(hears("EVALSHA"));
    say("-OOM command not allowed\r\n");
    await_answer(0, FG_ANSWER_BUSY);
    assert_told(0, FG_CALL_END_FAILED, 1);

    forget_heard();
    press_buy(1);
    press_buy(2);
    TURN_UNTIL(hears("EVALSHA"));
    say(SOLD_OUT_HEAD("6") SOLD_OUT); /* one answer for two */
    await_answer(1, FG_ANSWER_OUTCOME_UNKNOWN);
    assert_told(1, FG_CALL_END_FAILED, 2);
    assert_int_equal(stage.told_count, 2);
}

static void a_script_that_redis_lost_is_told_once(void **state)
{
    (void)state;
    connect_inventory(patient_ns);
    press_buy(0);
    TURN_UNTIL(hears("EVALSHA"));
    forget_heard();
    say("-NOSCRIPT No matching script.\r\n");
    TURN_UNTIL(hears("EVAL\r\n"));
    assert_int_equal(stage.told_count, 0);
    say(SOLD_OUT_HEAD("6") SOLD_OUT);
    await_answer(0, FG_ANSWER_SOLD_OUT);
    assert_told(0, FG_CALL_END_GOOD, 1);
    assert_int_equal(stage.told_count, 1);
}

static void a_late_reply_is_not_told_again(void **state)
{
    (void)state;
    connect_inventory(impatient_ns);
    press_buy(0);
    TURN_UNTIL(hears("EVALSHA"));
    press_buy(1); /* waits for the call */
    await_answer(0, FG_ANSWER_OUTCOME_UNKNOWN);
    await_answer(1, FG_ANSWER_BUSY);
    assert_told(0, FG_CALL_END_FAILED, 1);
    assert_int_equal(stage.told[0].took_ns, impatient_ns);
    assert_told(1, FG_CALL_END_NOT_SENT, 1);
    press_buy(2); /* the bucket is blocked */
    await_answer(2, FG_ANSWER_BUSY);
    assert_told(2, FG_CALL_END_NOT_SENT, 1);
    assert_int_equal(stage.told[2].took_ns, 0);

    say(SOLD_OUT_HEAD("6") SOLD_OUT);
    TURN_UNTIL(fg_counter_read(&counts()->late_replies) == 1);
    assert_int_equal(stage.told_count, 3);
}

static void press_buy_each(unsigned from, unsigned upto)
{
    for (unsigned i = from; i < upto; i++)
        press_buy(i);
}

/* The first shopper's call is in flight, and beside it the one of the FULL next; one more waits. */
static void fly_two_calls(uint64_t timeout_ns)
{
    connect_inventory(timeout_ns);
    press_buy(0);
    TURN_UNTIL(hears("EVALSHA"));
    forget_heard();
    press_buy_each(1, FULL);
    for (int i = 0; i < 3; i++)
        turn();
    assert_false(hears("EVALSHA")); /* one is missing */
    press_buy_each(FULL, FULL + 2);
    TURN_UNTIL(hears("EVALSHA"));
    assert_int_equal(fg_counter_read(&counts()->calls), 2);
    assert_int_equal(fg_counter_read(&counts()->in_flight), 2);
    assert_int_equal(fg_counter_read(&counts()->queued), 1);
    forget_heard();
}

static void say_all_sold_out(void)
{
    say(SOLD_OUT_HEAD("69"));
    for (int i = 0; i < FULL; i++)
        say(SOLD_OUT);
}

static void a_second_call_leaves_only_when_it_is_full(void **state)
{
    (void)state;
    fly_two_calls(patient_ns);
    say(SOLD_OUT_HEAD("6") SOLD_OUT);
    await_answer(0, FG_ANSWER_SOLD_OUT);
    for (int i = 0; i < 3; i++)
        turn();
    assert_false(hears("EVALSHA")); /* the other call is under way still, and one waits */
    assert_int_equal(shoppers[FULL].answered, 0);
    say_all_sold_out();
    await_answer(1, FG_ANSWER_SOLD_OUT);
    await_answer(FULL, FG_ANSWER_SOLD_OUT);
    assert_told(0, FG_CALL_END_GOOD, 1);
    assert_told(1, FG_CALL_END_GOOD, FULL);
    TURN_UNTIL(hears("EVALSHA"));
    say(SOLD_OUT_HEAD("6") SOLD_OUT);
    await_answer(FULL + 1, FG_ANSWER_SOLD_OUT);
    assert_int_equal(fg_counter_read(&counts()->in_flight), 0);
}

static void two_late_calls_block_until_both_replies_came(void **state)
{
    (void)state;
    fly_two_calls(impatient_ns);
    await_answer(0, FG_ANSWER_OUTCOME_UNKNOWN);
    await_answer(FULL, FG_ANSWER_OUTCOME_UNKNOWN);
    await_answer(FULL + 1, FG_ANSWER_BUSY);
    say(SOLD_OUT_HEAD("6") SOLD_OUT);
    TURN_UNTIL(fg_counter_read(&counts()->late_replies) == 1);
    press_buy(2); /* one is late still */
    await_answer(2, FG_ANSWER_BUSY);
    say_all_sold_out();
    TURN_UNTIL(fg_counter_read(&counts()->late_replies) == 2);
    assert_int_equal(shoppers[1].answered, 1);
    press_buy(3);
    TURN_UNTIL(hears("EVALSHA"));
    say(SOLD_OUT_HEAD("6") SOLD_OUT);
    await_answer(3, FG_ANSWER_SOLD_OUT);
}

/* A shopper each at so many SKUs: sixteen calls of one leave, the rest waits. */
static void crowd_buckets(unsigned count, uint64_t timeout_ns)
{
    connect_inventory(timeout_ns);
    for (unsigned i = 0; i < count; i++) {
        struct fg_bucket_terms of = terms(FG_SALE_OPEN);
        of.bucket = BUCKET + i;
        assert_int_equal(fg_inventory_add_bucket(stage.inventory, of.bucket), FG_OK);
        struct fg_purchase *purchase = enter(i);
        assert_false(fg_inventory_decide(stage.inventory, &of, purchase));
        fg_inventory_submit(stage.inventory, &of, purchase);
    }
    TURN_UNTIL(hears("EVALSHA"));
    for (int i = 0; i < 3; i++)
        turn();
    assert_int_equal(fg_counter_read(&counts()->calls), 16);
    assert_int_equal(fg_counter_read(&counts()->queued), count - 16);
}

static void many_buckets_take_turns(void **state)
{
    (void)state;
    crowd_buckets(20, patient_ns);
    press_buy(20); /* behind the first bucket's call */
    say(SOLD_OUT_HEAD("6") SOLD_OUT);
    await_answer(0, FG_ANSWER_SOLD_OUT);
    TURN_UNTIL(fg_counter_read(&counts()->calls) == 17);
    for (unsigned i = 1; i <= 20; i++) {
        say(SOLD_OUT_HEAD("6") SOLD_OUT);
        await_answer(i, FG_ANSWER_SOLD_OUT);
    }
    assert_int_equal(fg_counter_read(&counts()->calls), 21);
    assert_int_equal(fg_counter_read(&counts()->in_flight), 0);
    assert_int_equal(fg_counter_read(&counts()->queued), 0);
}

static void who_waits_for_calls_that_time_out_is_refused(void **state)
{
    (void)state;
    crowd_buckets(20, impatient_ns);
    await_answer(0, FG_ANSWER_OUTCOME_UNKNOWN);
    for (unsigned i = 16; i < 20; i++)
        await_answer(i, FG_ANSWER_BUSY);
    struct fg_bucket_terms of = terms(FG_SALE_OPEN);
    of.bucket = BUCKET + 19;
    struct fg_purchase *purchase = enter(20); /* it is not kept by those that are late */
    assert_false(fg_inventory_decide(stage.inventory, &of, purchase));
    fg_inventory_submit(stage.inventory, &of, purchase);
    TURN_UNTIL(fg_counter_read(&counts()->calls) == 17);
    await_answer(20, FG_ANSWER_OUTCOME_UNKNOWN);
}

/* Redis answers each call in time, but there are five rounds of them. */
static void who_waits_longer_than_a_call_may_take_is_refused(void **state)
{
    (void)state;
    crowd_buckets(SHOPPERS, FG_SECOND_IN_NS);
    uint64_t second_round_ns = fg_clock_steady_ns() + 700 * FG_MS_IN_NS;
    TURN_UNTIL(fg_clock_steady_ns() > second_round_ns);
    for (unsigned i = 0; i < 16; i++)
        say(SOLD_OUT_HEAD("6") SOLD_OUT);
    TURN_UNTIL(fg_counter_read(&counts()->calls) == 32);
    await_answer(32, FG_ANSWER_BUSY);
    await_answer(SHOPPERS - 1, FG_ANSWER_BUSY);
    assert_int_equal(fg_counter_read(&counts()->timeouts), 0);
    for (unsigned i = 16; i < 32; i++)
        say(SOLD_OUT_HEAD("6") SOLD_OUT);
    await_answer(31, FG_ANSWER_SOLD_OUT);
    assert_int_equal(fg_counter_read(&counts()->queued), 0);
}

static void two_calls_that_redis_lost_are_both_sent_again(void **state)
{
    (void)state;
    fly_two_calls(patient_ns);
    say("-NOSCRIPT No matching script.\r\n");
    say("-NOSCRIPT No matching script.\r\n");
    TURN_UNTIL(fg_counter_read(&counts()->noscript) == 2);
    say(SOLD_OUT_HEAD("6") SOLD_OUT);
    say_all_sold_out();
    await_answer(0, FG_ANSWER_SOLD_OUT);
    await_answer(FULL, FG_ANSWER_SOLD_OUT);
    assert_int_equal(stage.told_count, 2);
}

static void what_a_lost_connection_takes_along_is_told(void **state)
{
    (void)state;
    connect_inventory(patient_ns);
    press_buy(0);
    TURN_UNTIL(hears("EVALSHA"));
    press_buy(1); /* waits for the call */
    press_buy(2);
    look_for_orders();
    TURN_UNTIL(hears("HMGET"));
    stop_listening();
    hang_up();
    await_answer(0, FG_ANSWER_OUTCOME_UNKNOWN);
    await_answer(2, FG_ANSWER_BUSY);
    assert_int_equal(search.search.result, FG_UNKNOWN);
    assert_told(0, FG_CALL_END_FAILED, 1);   /* in flight, … */
    assert_told(1, FG_CALL_END_FAILED, 1);   /* … the search */
    assert_told(2, FG_CALL_END_NOT_SENT, 2); /* and those that waited */

    press_buy(3);
    assert_int_equal(shoppers[3].purchase.answer, FG_ANSWER_BUSY);
    assert_told(3, FG_CALL_END_NOT_SENT, 1);
    look_for_orders();
    assert_int_equal(search.search.result, FG_UNREACHABLE);
    assert_told(4, FG_CALL_END_NOT_SENT, 1);
    assert_int_equal(stage.told_count, 5);
}

static void a_search_is_told_like_a_purchase(void **state)
{
    (void)state;
    connect_inventory(impatient_ns);
    look_for_orders();
    TURN_UNTIL(hears("HMGET"));
    say("-LOADING Redis is loading\r\n");
    TURN_UNTIL(search.found == 1);
    assert_told(0, FG_CALL_END_FAILED, 1);

    look_for_orders();
    TURN_UNTIL(search.found == 1);
    assert_int_equal(search.search.result, FG_UNKNOWN);
    assert_told(1, FG_CALL_END_FAILED, 1);
    assert_int_equal(stage.told[1].took_ns, impatient_ns);
    say("*2\r\n$8\r\n0badcafe\r\n$-1\r\n"); /* late */

    look_for_orders();
    say("*2\r\n$8\r\n0badcafe\r\n$-1\r\n");
    TURN_UNTIL(search.found == 1);
    assert_told(2, FG_CALL_END_GOOD, 1);
    assert_int_equal(stage.told_count, 3);
}

/* A sale that has ended makes the filter wanted, so the ledger is read. */
static void reading_the_ledger_is_asked_for_and_told(void **state)
{
    (void)state;
    connect_inventory(patient_ns);
    stage.allows = false;
    press_buy_in(FG_SALE_ENDED, 0);
    TURN_UNTIL(hears("EVALSHA"));
    say(SOLD_OUT_HEAD("6") FOUND_NONE);
    await_answer(0, FG_ANSWER_ENDED);
    assert_int_equal(stage.told_count, 1);
    assert_int_not_equal(stage.asked_count, 0);
    assert_false(hears("XRANGE"));

    stage.allows = true;
    press_buy_in(FG_SALE_ENDED, 1);
    TURN_UNTIL(hears("XRANGE"));
    say(SOLD_OUT_HEAD("6") FOUND_NONE "*0\r\n");
    await_answer(1, FG_ANSWER_ENDED);
    TURN_UNTIL(stage.told_count == 3);
    assert_told(2, FG_CALL_END_GOOD, 1);
}

/* A page of two entries: who bought is remembered; a later event, too, is gone over. */
#define PAGE(name, value)                                                                  \
    "*2\r\n"                                                                               \
    "*2\r\n$3\r\n1-0\r\n*4\r\n$5\r\nevent\r\n$7\r\nexpired\r\n$4\r\nuser\r\n$3\r\nbob\r\n" \
    "*2\r\n$3\r\n2-0\r\n*2\r\n" name value

static void users_of_a_page(const char *page, uint64_t users)
{
    connect_inventory(patient_ns);
    press_buy_in(FG_SALE_ENDED, 0);
    TURN_UNTIL(hears("XRANGE"));
    say(SOLD_OUT_HEAD("6") FOUND_NONE);
    await_answer(0, FG_ANSWER_ENDED);
    say(page);
    TURN_UNTIL(stage.told_count == 2);
    assert_int_equal(fg_counter_read(&counts()->filter_users), users);
}

static void a_purchase_in_the_ledger_adds_its_user(void **state)
{
    (void)state;
    users_of_a_page(PAGE("$9\r\nconfirmed\r\n", "$9\r\n1 ann - -\r\n"), 1);
}

static void what_is_no_purchase_adds_nobody(void **state)
{
    (void)state;
    users_of_a_page(PAGE("$9\r\nconfirmed\r\n", "$9\r\n1 ann - 7\r\n"), 0);
    forget_heard();
    press_buy_in(FG_SALE_ENDED,
                 1); /* the filter is given up: the script is asked, the ledger not any more */
    TURN_UNTIL(hears("EVALSHA"));
    say(SOLD_OUT_HEAD("6") FOUND_NONE);
    await_answer(1, FG_ANSWER_ENDED);
    turn();
    assert_false(hears("XRANGE"));
}

static void a_ledger_that_does_not_come_is_told_once(void **state)
{
    (void)state;
    connect_inventory(impatient_ns);
    press_buy_in(FG_SALE_ENDED, 0);
    TURN_UNTIL(hears("XRANGE"));
    TURN_UNTIL(stage.told_count == 2);
    assert_told(0, FG_CALL_END_FAILED, 1);
    assert_told(1, FG_CALL_END_FAILED, 1);
    assert_int_equal(stage.told[1].took_ns, impatient_ns);
    forget_heard();
    say(SOLD_OUT_HEAD("6") FOUND_NONE "*0\r\n"); /* both late */
    TURN_UNTIL(fg_counter_read(&counts()->late_replies) == 1);
    turn();
    assert_int_equal(stage.told_count, 2);
    press_buy_in(FG_SALE_ENDED, 1);
    TURN_UNTIL(hears("XRANGE")); /* it is read again */
}

/* --- settling an order -------------------------------------------------------------------------------------- */

static void an_order_is_given_back_by_the_script(void **state)
{
    static const char command[] =
        "*11\r\n$7\r\nEVALSHA\r\n$40\r\n" SETTLE_SHA "\r\n$1\r\n3\r\n$12\r\nfg:{7}:stock\r\n"
        "$13\r\nfg:{7}:buyers\r\n$13\r\nfg:{7}:orders\r\n$8\r\n0badcafe\r\n$9\r\ngive_back\r\n"
        "$15\r\n1795238562267-3\r\n$3\r\nann\r\n$0\r\n\r\n";
    (void)state;
    connect_inventory(patient_ns);
    give_back();
    TURN_UNTIL(hears(command));
    say(GAVE_BACK);
    await_settled(FG_OK);
    const struct fg_settlement *settlement = &giver.settling.settlement;
    assert_int_equal(settlement->outcome, FG_SETTLE_DONE);
    assert_false(settlement->is_reclaimed);
    assert_string_equal(settlement->found.user, "ann");
    assert_int_equal(settlement->found.record.state, FG_ORDER_CANCELLED);
    assert_int_equal(settlement->found.record.quantity, 2);
    assert_told(0, FG_CALL_END_GOOD, 1);
    assert_int_equal(giver.told_before, 1);
}

static void every_answer_to_a_settling_is_told_apart(void **state)
{
    static const struct {
        const char *reply;
        enum fg_result result;
        enum fg_settle_outcome outcome;
        bool is_reclaimed;
        enum fg_call_end end;
    } rows[] = {
        { SETTLED("7", "already", "x"), FG_OK, FG_SETTLE_ALREADY, false, FG_CALL_END_GOOD },
        { SETTLED("7", "foreign", "h"), FG_OK, FG_SETTLE_FOREIGN, false, FG_CALL_END_GOOD },
        { SETTLED("9", "reclaimed", "c"), FG_OK, FG_SETTLE_DONE, true, FG_CALL_END_GOOD },
        { "*3\r\n$9\r\nnot_found\r\n$0\r\n\r\n$0\r\n\r\n", FG_OK, FG_SETTLE_NOT_FOUND, false,
          FG_CALL_END_GOOD },
        { "*3\r\n$7\r\ndamaged\r\n$0\r\n\r\n$0\r\n\r\n", FG_REFUSED, 0, false, FG_CALL_END_GOOD },
        { SETTLED("4", "done", "q"), FG_REFUSED, 0, false, FG_CALL_END_GOOD },
        { "-FROZEN the ledger is missing\r\n", FG_REFUSED, 0, false, FG_CALL_END_GOOD },
        { "-OOM command not allowed\r\n", FG_UNREACHABLE, 0, false, FG_CALL_END_FAILED },
        { "-ERR what is this\r\n", FG_UNKNOWN, 0, false, FG_CALL_END_FAILED },
        { "*2\r\n$4\r\ndone\r\n$3\r\nann\r\n", FG_UNKNOWN, 0, false, FG_CALL_END_FAILED },
        { ":1\r\n", FG_UNKNOWN, 0, false, FG_CALL_END_FAILED },
    };
    (void)state;
    connect_inventory(patient_ns);
    for (unsigned i = 0; i < FG_COUNT_OF(rows); i++) {
        forget_heard();
        give_back();
        TURN_UNTIL(hears("EVALSHA"));
        say(rows[i].reply);
        await_settled(rows[i].result);
        assert_told(i, rows[i].end, 1);
        assert_int_equal(giver.settling.settlement.is_reclaimed, rows[i].is_reclaimed);
        if (rows[i].result == FG_OK)
            assert_int_equal(giver.settling.settlement.outcome, rows[i].outcome);
    }
}

static void a_settling_script_that_redis_lost_is_sent_along(void **state)
{
    (void)state;
    connect_inventory(patient_ns);
    give_back();
    TURN_UNTIL(hears("EVALSHA"));
    forget_heard();
    say("-NOSCRIPT No matching script.\r\n");
    TURN_UNTIL(hears("EVAL\r\n") && hears("$15\r\n1795238562267-3\r\n"));
    assert_int_equal(stage.told_count, 0);
    say(GAVE_BACK);
    await_settled(FG_OK);
    assert_told(0, FG_CALL_END_GOOD, 1);

    forget_heard();
    give_back();
    TURN_UNTIL(hears("EVALSHA"));
    say("-NOSCRIPT No matching script.\r\n-NOSCRIPT still not.\r\n"); /* the second answers the text */
    await_settled(FG_UNREACHABLE);
    assert_told(1, FG_CALL_END_FAILED, 1);
}

static void a_settling_without_an_answer_is_unknown_and_its_late_reply_is_nobodys(void **state)
{
    (void)state;
    connect_inventory(impatient_ns);
    give_back();
    TURN_UNTIL(hears("EVALSHA"));
    await_settled(FG_UNKNOWN);
    assert_told(0, FG_CALL_END_FAILED, 1);
    assert_int_equal(stage.told[0].took_ns, impatient_ns);
    forget_heard();
    give_back(); /* behind it, for another answer */
    TURN_UNTIL(hears("EVALSHA"));
    say(SETTLED("11", "wrong_state", "c") GAVE_BACK);
    await_settled(FG_OK);
    assert_int_equal(giver.settling.settlement.outcome, FG_SETTLE_DONE);
    assert_int_equal(fg_counter_read(&counts()->late_replies), 1);
    assert_int_equal(stage.told_count, 2);

    give_back();
    TURN_UNTIL(hears("EVALSHA"));
    stop_listening();
    hang_up();
    await_settled(FG_UNKNOWN); /* it may have been done */
    give_back();
    await_settled(FG_UNREACHABLE);
    assert_told(3, FG_CALL_END_NOT_SENT, 1);
}

#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, set_stage, clear_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(who_comes_too_early_is_answered_from_memory),
        ON_STAGE(who_is_refused_in_between_leaves_nothing),
        ON_STAGE(a_good_call_is_told_with_all_its_purchases),
        ON_STAGE(an_error_and_a_reply_of_no_form_are_failures),
        ON_STAGE(a_script_that_redis_lost_is_told_once),
        ON_STAGE(a_late_reply_is_not_told_again),
        ON_STAGE(a_second_call_leaves_only_when_it_is_full),
        ON_STAGE(two_late_calls_block_until_both_replies_came),
        ON_STAGE(many_buckets_take_turns),
        ON_STAGE(who_waits_for_calls_that_time_out_is_refused),
        ON_STAGE(who_waits_longer_than_a_call_may_take_is_refused),
        ON_STAGE(two_calls_that_redis_lost_are_both_sent_again),
        ON_STAGE(what_a_lost_connection_takes_along_is_told),
        ON_STAGE(a_search_is_told_like_a_purchase),
        ON_STAGE(reading_the_ledger_is_asked_for_and_told),
        ON_STAGE(a_purchase_in_the_ledger_adds_its_user),
        ON_STAGE(what_is_no_purchase_adds_nobody),
        ON_STAGE(a_ledger_that_does_not_come_is_told_once),
        ON_STAGE(an_order_is_given_back_by_the_script),
        ON_STAGE(every_answer_to_a_settling_is_told_apart),
        ON_STAGE(a_settling_script_that_redis_lost_is_sent_along),
        ON_STAGE(a_settling_without_an_answer_is_unknown_and_its_late_reply_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
