/* test_catalogue.c - sales in a real Redis, of the test's own: applied, completed, changed, paused, ended,
 * audited; and the blocking connection under all of it. */
#include "catalogue_fixture.h"
#include "inventory/catalogue-private.h"

#define ONE_SKU  "sale: demo\nskus:\n  - { sku: \"8801\", stock: 1000 }\n"
#define TWO_SKUS ONE_SKU "  - { sku: tea, stock: 5, per_user: 2 }\n"

/* --- applying ----------------------------------------------------------------------------- */

static void a_sale_is_created_and_repeating_changes_nothing(void **state)
{
    (void)state;
    applied(TWO_SKUS, "sale demo created\nstock of SKU 8801: 1000\nstock of SKU tea: 5\n");
    struct fg_catalogue *first = load();
    const struct fg_catalogue_sale *sale;
    const struct fg_catalogue_sku *tea = find(first, "tea");
    assert_non_null(tea);
    assert_int_equal(tea->terms.per_user, 2);
    assert_int_equal(tea->terms.ledger_maximum, 100000);
    assert_ptr_equal(fg_catalogue_find_bucket(first, tea->terms.bucket, &sale), tea);
    assert_string_equal(sale->sale, "demo");
    assert_null(find(first, "coffee"));
    assert_null(fg_catalogue_find_sale(first, FG_TEXT("dem")));
    assert_null(fg_catalogue_find_bucket(first, 999, &sale));
    assert_null(fg_catalogue_find_bucket(first, 0, &sale));
    buy(tea, "ann", 1);

    applied(TWO_SKUS, "");
    struct fg_catalogue *same = NULL;
    assert_int_equal(fg_catalogue_load(fixture.redis, first->generation, &same, &fixture.error),
                     FG_OK);
    assert_null(same);
    fg_catalogue_release(&first);
}

static void another_stock_is_refused(void **state)
{
    (void)state;
    applied(ONE_SKU, "sale demo created\nstock of SKU 8801: 1000\n");
    refused("sale: demo\nskus: [{ sku: \"8801\", stock: 1200 }]\n",
            "stock of SKU 8801 is 1000, the file says 1200: use `stock add`");
    refused("sale: demo\nskus: [{ sku: tea, stock: 5 }]\n",
            "SKU 8801 is on sale and the file leaves it out: a SKU cannot be taken away, only the "
            "sale be paused or ended");
}

static void a_sku_is_added_and_a_limit_and_a_close_are_changed(void **state)
{
    (void)state;
    applied(ONE_SKU, "sale demo created\nstock of SKU 8801: 1000\n");
    applied(TWO_SKUS, "stock of SKU tea: 5\n");
    applied("sale: demo\ncloses: 2099-01-01T00:00:00Z\nskus:\n  - { sku: \"8801\", stock: 1000, "
            "per_user: 3 }\n  - { sku: tea, stock: 5, per_user: 2 }\n",
            "closes changed\nper_user of SKU 8801: 3\n");
    refused("sale: demo\nopens: 2098-01-01T00:00:00Z\nskus:\n  - { sku: \"8801\", stock: 1000 }\n"
            "  - { sku: tea, stock: 5, per_user: 2 }\n",
            "SKU 8801: opens cannot change once the sale has opened");
    struct fg_catalogue *catalogue = load();
    assert_int_equal(find(catalogue, "8801")->terms.per_user, 3);
    assert_int_equal(find(catalogue, "tea")->terms.closes_ms, INT64_C(4070908800000));
    fg_catalogue_release(&catalogue);
    char *stock = redis_text("HGET fg:{1}:stock per_user");
    assert_string_equal(stock, "3");
    free(stock);
}

/* A crash is played by putting the catalogue back to what it was at each step. */
static void an_apply_that_was_cut_off_is_completed_by_repeating_it(void **state)
{
    char *published, *again;
    (void)state;
    applied(TWO_SKUS, "sale demo created\nstock of SKU 8801: 1000\nstock of SKU tea: 5\n");
    published = redis_text("HGET fg:sales sale:demo");
    for (int cut_off = 0; cut_off < 3; cut_off++) {
        redisReply *reply;
        /* 0: reserved; 1: a bucket created; 2: published and not tidied up */
        redis("HDEL fg:sales sale:demo");
        if (cut_off < 2)
            redis("DEL fg:{2}:stock fg:{2}:buyers fg:{2}:orders");
        if (cut_off < 1)
            redis("DEL fg:{1}:stock fg:{1}:buyers fg:{1}:orders");
        assert_int_equal(fg_redis_format(fixture.redis, &reply, &fixture.error,
                                         "HSET fg:sales %s %s", "pending:demo", published),
                         FG_OK);
        freeReplyObject(reply);
        if (cut_off == 2) {
            assert_int_equal(fg_redis_format(fixture.redis, &reply, &fixture.error,
                                             "HSET fg:sales %s %s", "sale:demo", published),
                             FG_OK);
            freeReplyObject(reply);
        }
        applied(TWO_SKUS, cut_off == 2 ? ""
                                       : "sale demo created\nstock of SKU 8801: 1000\n"
                                         "stock of SKU tea: 5\n");
        again = redis_text("HGET fg:sales sale:demo");
        assert_string_equal(again, published); /* the same numbers and epochs */
        free(again);
    }
    free(published);
}

static void an_unsafe_redis_is_refused_by_the_settings_name(void **state)
{
    (void)state;
    redis("CONFIG SET maxmemory-policy allkeys-lru");
    refused(ONE_SKU, "Redis is not safe to sell from: maxmemory-policy is \"allkeys-lru\", needs "
                     "\"noeviction\", or stock is evicted when memory is full");
    redis("CONFIG SET maxmemory-policy noeviction");
    redis("CONFIG SET appendfsync everysec");
    refused(ONE_SKU, "Redis is not safe to sell from: appendfsync is \"everysec\", needs "
                     "\"always\", or a power cut loses acknowledged orders (accept_data_loss: "
                     "everysec accepts that)");
    fixture.settings.accept_data_loss = FG_LOSE_A_SECOND;
    assert_int_equal(fg_redis_check_safety(fixture.redis, &fixture.error), FG_OK);
    fixture.settings.accept_data_loss = FG_LOSE_NOTHING;
    redis("CONFIG SET appendfsync always");
    redis("CONFIG SET appendonly no");
    refused(ONE_SKU, "Redis is not safe to sell from: appendonly is \"no\", needs \"yes\", or a "
                     "restart forgets every order");
    redis("CONFIG SET appendonly yes");
}

static void a_missing_bucket_is_not_made_again(void **state)
{
    struct fg_stock_books books;
    (void)state;
    applied(ONE_SKU, "sale demo created\nstock of SKU 8801: 1000\n");
    struct fg_catalogue *catalogue = load();
    redis("DEL fg:{1}:stock");
    applied(ONE_SKU, "");
    assert_int_equal(fg_stock_read(fixture.redis, find(catalogue, "8801"), &books, &fixture.error),
                     FG_REFUSED);
    assert_string_equal(fixture.error.text,
                        "the stock fg:{1}:stock is missing or of another epoch");
    fg_catalogue_release(&catalogue);
}

/* --- running ------------------------------------------------------------------------------ */

static void a_sale_is_paused_resumed_and_ended(void **state)
{
    static const struct {
        enum fg_sale_state to, was;
        enum fg_result result;
    } steps[] = {
        { FG_SALE_PAUSED, FG_SALE_OPEN, FG_OK },     { FG_SALE_PAUSED, FG_SALE_PAUSED, FG_OK },
        { FG_SALE_OPEN, FG_SALE_PAUSED, FG_OK },     { FG_SALE_ENDED, FG_SALE_OPEN, FG_OK },
        { FG_SALE_OPEN, FG_SALE_ENDED, FG_REFUSED },
    };
    enum fg_sale_state was;
    (void)state;
    applied(TWO_SKUS, "sale demo created\nstock of SKU 8801: 1000\nstock of SKU tea: 5\n");
    for (size_t i = 0; i < FG_COUNT_OF(steps); i++) {
        assert_int_equal(
            fg_sale_set_state(fixture.redis, "demo", steps[i].to, &was, &fixture.error),
            steps[i].result);
        assert_int_equal(was, steps[i].was);
        struct fg_catalogue *catalogue = load();
        char *stock = redis_text("HGET fg:{2}:stock state");
        enum fg_sale_state now = steps[i].result == FG_OK ? steps[i].to : FG_SALE_ENDED;
        assert_int_equal(find(catalogue, "8801")->terms.state, now);
        assert_string_equal(stock, fg_sale_state_text(now));
        fg_catalogue_release(&catalogue);
        free(stock);
    }
    refused(ONE_SKU "  - { sku: tea, stock: 5, per_user: 3 }\n",
            "sale demo has ended and stays as it is");
    assert_int_equal(
        fg_sale_set_state(fixture.redis, "nosuch", FG_SALE_ENDED, &was, &fixture.error),
        FG_NOT_FOUND);
}

static void stock_is_added_and_orders_are_found(void **state)
{
    struct fg_stock_books books;
    struct fg_found_order order;
    (void)state;
    applied(TWO_SKUS, "sale demo created\nstock of SKU 8801: 1000\nstock of SKU tea: 5\n");
    struct fg_catalogue *catalogue = load();
    const struct fg_catalogue_sku *tea = find(catalogue, "tea");
    buy(tea, "ann", 2);
    assert_int_equal(fg_stock_add(fixture.redis, "demo", "tea", 7, &books, &fixture.error), FG_OK);
    assert_int_equal(books.total, 12);
    assert_int_equal(books.free_units, 10);
    assert_int_equal(books.sold, 2);
    assert_int_equal(fg_stock_add(fixture.redis, "demo", "milk", 7, &books, &fixture.error),
                     FG_NOT_FOUND);
    applied(TWO_SKUS, ""); /* what was added is no reason to refuse the same file */

    struct fg_order_id id = { .bucket = tea->terms.bucket };
    memcpy(id.epoch, tea->terms.epoch, sizeof id.epoch);
    redisReply *ledger;
    assert_int_equal(
        fg_redis_format(fixture.redis, &ledger, &fixture.error, "XRANGE fg:{2}:orders - +"), FG_OK);
    assert_true(fg_ledger_entry_parse(fg_text_of(ledger->element[1]->element[0]->str), &id.entry));
    freeReplyObject(ledger);
    assert_int_equal(fg_order_find(fixture.redis, &id, &order, &fixture.error), FG_OK);
    assert_string_equal(order.user, "ann");
    assert_int_equal(order.record.quantity, 2);
    assert_int_equal(order.record.state, FG_ORDER_CONFIRMED);
    id.entry.sequence += 77;
    assert_int_equal(fg_order_find(fixture.redis, &id, &order, &fixture.error), FG_NOT_FOUND);
    fg_catalogue_release(&catalogue);
}

static void an_audit_names_each_difference(void **state)
{
    struct fg_stock_books books;
    char memory[2048], user[32];
    struct fg_buffer differences = fg_buffer_over(memory, sizeof memory - 1);
    (void)state;
    applied(ONE_SKU, "sale demo created\nstock of SKU 8801: 1000\n");
    struct fg_catalogue *catalogue = load();
    const struct fg_catalogue_sku *sku = find(catalogue, "8801");
    for (int i = 0; i < 700; i++) { /* more than a page */
        snprintf(user, sizeof user, "user-%d", i);
        buy(sku, user, 1);
    }
    assert_int_equal(fg_stock_audit(fixture.redis, sku, &books, &differences, &fixture.error),
                     FG_OK);
    assert_int_equal(differences.length, 0);
    assert_int_equal(books.ledger_sold, 700);
    assert_int_equal(books.buyers_sold, 700);
    assert_int_equal(books.ledger_total, 1000);

    redis("HSET fg:{1}:stock free 301 sold 699");
    redis("HDEL fg:{1}:buyers user-7");
    redis("HDEL fg:{1}:buyers user-8");
    assert_int_equal(fg_stock_audit(fixture.redis, sku, &books, &differences, &fixture.error),
                     FG_OK);
    memory[differences.length] = '\0';
    assert_string_equal(memory, "SKU 8801: the counter sold is 699, the ledger's entries say 700\n"
                                "SKU 8801: the counter sold is 699, the users' records say 698\n");
    fg_catalogue_release(&catalogue);
}

/* --- the connection ----------------------------------------------------------------------- */

static void lost_scripts_are_loaded_again(void **state)
{
    struct fg_stock_books books;
    (void)state;
    applied(ONE_SKU, "sale demo created\nstock of SKU 8801: 1000\n");
    redis("SCRIPT FLUSH");
    assert_int_equal(fg_stock_add(fixture.redis, "demo", "8801", 1, &books, &fixture.error), FG_OK);
    assert_int_equal(books.total, 1001);
}

static void a_lost_connection_is_made_anew(void **state)
{
    (void)state;
    redis("CONFIG SET maxclients 100");
    uint64_t connects = fg_redis_connects(fixture.redis);
    redis("CLIENT KILL TYPE normal SKIPME yes");
    struct fg_redis *other;
    redisReply *reply;
    assert_int_equal(fg_redis_new(&fixture.settings, &other, &fixture.error), FG_OK);
    assert_int_equal(fg_redis_format(other, &reply, &fixture.error, "CLIENT KILL TYPE normal"),
                     FG_OK);
    freeReplyObject(reply);
    fg_redis_free(&other);
    usleep(20000);
    redis("PING");
    assert_int_equal(fg_redis_connects(fixture.redis), connects + 1);
}

static void a_server_that_does_not_answer_leaves_the_outcome_unknown(void **state)
{
    (void)state;
    uint64_t usual = fixture.settings.timeout_ns;
    struct fg_redis *hasty;
    redisReply *reply;
    struct fg_redis_settings settings = fixture.settings;
    settings.timeout_ns = UINT64_C(100000000);
    assert_int_equal(fg_redis_new(&settings, &hasty, &fixture.error), FG_OK);
    assert_int_equal(fg_redis_format(hasty, &reply, &fixture.error, "PING"), FG_OK);
    freeReplyObject(reply);
    kill(fixture.pid, SIGSTOP);
    assert_int_equal(fg_redis_format(hasty, &reply, &fixture.error, "PING"), FG_UNKNOWN);
    assert_non_null(strstr(fixture.error.text, "no reply in time"));
    assert_false(fg_redis_is_connected(hasty));
    kill(fixture.pid, SIGCONT);
    fg_redis_free(&hasty);
    fixture.settings.timeout_ns = usual;
}

static void an_address_that_leads_nowhere_is_said(void **state)
{
    static char nowhere[] = "unix:/nonexistent/redis.sock", nonsense[] = "redis";
    struct fg_redis_settings settings = { .address = nowhere };
    struct fg_redis *redis;
    redisReply *reply;
    (void)state;
    assert_int_equal(fg_redis_new(&settings, &redis, &fixture.error), FG_OK);
    assert_int_equal(fg_redis_format(redis, &reply, &fixture.error, "PING"), FG_UNREACHABLE);
    assert_string_equal(fixture.error.text,
                        "cannot reach Redis at unix:/nonexistent/redis.sock: No such file "
                        "or directory");
    settings.address = nonsense;
    assert_int_equal(fg_redis_format(redis, &reply, &fixture.error, "PING"), FG_INVALID);
    assert_string_equal(fixture.error.text,
                        "redis address \"redis\", expected HOST:PORT or unix:PATH");
    fg_redis_free(&redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_EMPTY_REDIS(a_sale_is_created_and_repeating_changes_nothing),
        IN_EMPTY_REDIS(another_stock_is_refused),
        IN_EMPTY_REDIS(a_sku_is_added_and_a_limit_and_a_close_are_changed),
        IN_EMPTY_REDIS(an_apply_that_was_cut_off_is_completed_by_repeating_it),
        IN_EMPTY_REDIS(an_unsafe_redis_is_refused_by_the_settings_name),
        IN_EMPTY_REDIS(a_missing_bucket_is_not_made_again),
        IN_EMPTY_REDIS(a_sale_is_paused_resumed_and_ended),
        IN_EMPTY_REDIS(stock_is_added_and_orders_are_found),
        IN_EMPTY_REDIS(an_audit_names_each_difference),
        IN_EMPTY_REDIS(lost_scripts_are_loaded_again),
        IN_EMPTY_REDIS(a_lost_connection_is_made_anew),
        IN_EMPTY_REDIS(a_server_that_does_not_answer_leaves_the_outcome_unknown),
        IN_EMPTY_REDIS(an_address_that_leads_nowhere_is_said),
    };
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
