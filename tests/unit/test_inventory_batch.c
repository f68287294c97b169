/* test_inventory_batch.c - a batch byte by byte as Redis gets it, and every reply it may be answered with. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/batch.h"

enum {
    NODES = 6 + BATCH_ITEMS + 8,
    TEXT_BYTES = 8192,
    OUTPUT_BYTES = 64 << 10,
};

#define SHA "0123456789abcdef0123456789abcdef01234567"

static void assert_text(struct fg_text text, struct fg_text expected)
{
    if (!fg_text_equal(text, expected))
        fail_msg("\"%.*s\" is not \"%.*s\"", (int)text.length, text.at, (int)expected.length,
                 expected.at);
}

static struct fg_purchase purchase(const char *user, const char *digest, uint32_t quantity,
                                   enum fg_answer refusal)
{
    struct fg_purchase item = { .user = fg_text_of(user),
                                .has_key = digest != NULL,
                                .quantity = quantity,
                                .refusal = refusal };
    memset(item.digest, '0', sizeof item.digest);
    if (digest != NULL)
        memcpy(item.digest, digest, sizeof item.digest);
    return item;
}

static struct batch batch_of(struct fg_purchase *items, unsigned count)
{
    struct batch batch = { .bucket = 17,
                           .epoch = "0badcafe",
                           .deadline_ms = INT64_C(1795238562267) };
    for (unsigned i = 0; i < count; i++)
        assert_true(batch_add(&batch, &items[i]));
    return batch;
}

/* --- encoding ----------------------------------------------------------------------------------------- */

static void a_small_batch_is_encoded_byte_by_byte(void **state)
{
    static const char expected[] =
        "*10\r\n$7\r\nEVALSHA\r\n$40\r\n" SHA "\r\n$1\r\n3\r\n"
        "$13\r\nfg:{17}:stock\r\n$14\r\nfg:{17}:buyers\r\n$14\r\nfg:{17}:orders\r\n"
        "$8\r\n0badcafe\r\n$13\r\n1795238562267\r\n"
        "$37\r\n"
        "\xdc\x00\x06"
        "\xa5"
        "alice"
        "\xb0"
        "e6c632b61e964e1f"
        "\x02"
        "\xa3"
        "bob"
        "\xa0"
        "\xd2\xff\xff\xff\x7f" /* a look-up of 129 */
        "\r\n"
        "$16\r\n1795238562200-42\r\n";
    struct fg_purchase items[] = {
        purchase("alice", "e6c632b61e964e1f", 2, FG_ANSWER_NONE),
        purchase("bob", NULL, 129, FG_ANSWER_SOLD_OUT),
    };
    struct batch batch = batch_of(items, 2);
    char memory[1024];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    (void)state;
    batch.has_known = true;
    batch.known = (struct fg_ledger_entry){ UINT64_C(1795238562200), 42 };
    batch_encode(&batch, SHA, NULL, &out);
    assert_text(fg_buffer_text(&out), FG_TEXT(expected));
    assert_true(out.length <= batch_bytes(&batch));
}

static void the_script_may_come_along_and_nothing_be_known(void **state)
{
    static const char expected[] =
        "*10\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n3\r\n"
        "$21\r\nfg:{4294967295}:stock\r\n$22\r\nfg:{4294967295}:buyers\r\n"
        "$22\r\nfg:{4294967295}:orders\r\n"
        "$8\r\n0badcafe\r\n$13\r\n1795238562267\r\n$7\r\n\xdc\x00\x03\xa1u\xa0\x01\r\n$0\r\n\r\n";
    struct fg_purchase item = purchase("u", NULL, 1, FG_ANSWER_NONE);
    struct batch batch = batch_of(&item, 1);
    char memory[1024];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    (void)state;
    batch.bucket = UINT32_MAX;
    batch_encode(&batch, NULL, "return 1", &out);
    assert_text(fg_buffer_text(&out), FG_TEXT(expected));
}

/* The packed items of a batch: what stands in the command's ninth argument. */
static struct fg_text packed_items(const struct batch *batch, struct fg_buffer *out)
{
    fg_buffer_clear(out);
    batch_encode(batch, SHA, NULL, out);
    assert_false(out->overflowed);
    struct fg_text rest = fg_buffer_text(out), argument = { 0 };
    (void)fg_text_cut(&rest, '\n');
    for (int i = 0; i < 9; i++) {
        uint64_t length;
        assert_true(rest.at[0] == '$');
        struct fg_text line = fg_text_cut(&rest, '\n');
        assert_true(line.length > 1 && line.at[line.length - 1] == '\r');
        struct fg_text digits = { line.at + 1, line.length - 2 };
        assert_int_equal(fg_text_decimal(digits, rest.length, &length), FG_NUMBER_OK);
        argument = (struct fg_text){ rest.at, (size_t)length };
        assert_memory_equal(rest.at + length, "\r\n", 2);
        rest = (struct fg_text){ rest.at + length + 2, rest.length - length - 2 };
    }
    /* After it only the newest entry known. */
    assert_true(rest.length > 0 && rest.at[0] == '$');
    return argument;
}

/* A reader of MessagePack as far as a batch needs it, from the specification. */
static unsigned char unpack_byte(struct fg_text *packed)
{
    assert_true(packed->length > 0);
    packed->length--;
    return (unsigned char)*packed->at++;
}

static uint32_t unpack_big_endian(struct fg_text *packed, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | unpack_byte(packed);
    return value;
}

static struct fg_text unpack_string(struct fg_text *packed)
{
    unsigned char head = unpack_byte(packed);
    uint32_t length = head & 31;
    if (head == 0xd9)
        length = unpack_big_endian(packed, 1);
    else
        assert_int_equal(head & 0xe0, 0xa0);
    assert_true(length <= packed->length);
    struct fg_text string = { packed->at, length };
    packed->at += length;
    packed->length -= length;
    return string;
}

static int32_t unpack_integer(struct fg_text *packed)
{
    unsigned char head = unpack_byte(packed);
    if (head < 0x80 || head >= 0xe0)
        return (int8_t)head;
    assert_int_equal(head, 0xd2);
    return (int32_t)unpack_big_endian(packed, 4);
}

static void users_of_every_length_are_packed(void **state)
{
    static char memory[OUTPUT_BYTES];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    char user[FG_USER_BYTES + 1] = "";
    (void)state;
    for (size_t length = 1; length <= FG_USER_BYTES; length++) {
        user[length - 1] = (char)('a' + length % 26);
        struct fg_purchase item = purchase(user, NULL, 1, FG_ANSWER_NONE);
        struct batch batch = batch_of(&item, 1);
        struct fg_text packed = packed_items(&batch, &out);
        assert_memory_equal(packed.at, "\xdc\x00\x03", 3);
        packed = (struct fg_text){ packed.at + 3, packed.length - 3 };
        assert_int_equal((unsigned char)packed.at[0], length < 32 ? 0xa0 + length : 0xd9);
        assert_text(unpack_string(&packed), fg_text_of(user));
        assert_int_equal(unpack_string(&packed).length, 0);
        assert_int_equal(unpack_integer(&packed), 1);
        assert_int_equal(packed.length, 0);
        assert_true(out.length <= batch_bytes(&batch));
    }
}

static void quantities_of_every_size_are_packed(void **state)
{
    static char memory[OUTPUT_BYTES];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    (void)state;
    for (int32_t quantity = -FG_QUANTITY_MAX; quantity <= FG_QUANTITY_MAX;
         quantity += quantity > -300 && quantity < 300 ? 1 : 97) {
        if (quantity == 0)
            continue;
        struct fg_purchase item = purchase("u", NULL, (uint32_t)abs(quantity),
                                           quantity < 0 ? FG_ANSWER_SOLD_OUT : FG_ANSWER_NONE);
        struct batch batch = batch_of(&item, 1);
        struct fg_text packed = packed_items(&batch, &out);
        packed = (struct fg_text){ packed.at + 6, packed.length - 6 };
        assert_int_equal(unpack_integer(&packed), quantity);
        assert_int_equal(packed.length, 0);
    }
}

static void what_orders_carry_comes_last_and_only_where_there_is_some(void **state)
{
    static const char expected_end[] = "$0\r\n\r\n" /* no ledger entry is known */
                                       "$23\r\n"
                                       "\xde\x00\x01"
                                       "\x02"
                                       "\xda\x00\x10"
                                       "{\"channel\":{} }\n"
                                       "\r\n";
    struct fg_purchase items[] = {
        purchase("alice", NULL, 1, FG_ANSWER_NONE), purchase("bob", NULL, 1, FG_ANSWER_NONE),
        purchase("carol", NULL, 1, FG_ANSWER_PAUSED), /* only looks */
    };
    char memory[1024];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    (void)state;
    items[1].carried = items[2].carried = FG_TEXT("{\"channel\":{} }\n");
    struct batch batch = batch_of(items, 3);
    batch_encode(&batch, SHA, NULL, &out);
    assert_true(fg_text_starts_with(fg_buffer_text(&out), FG_TEXT("*11\r\n")));
    assert_true(out.length <= batch_bytes(&batch));
    size_t bytes = sizeof expected_end - 1;
    assert_text((struct fg_text){ out.at + out.length - bytes, bytes }, FG_TEXT(expected_end));
}

static void a_batch_stops_before_its_bytes_run_over(void **state)
{
    static char carried[FG_CARRIED_BYTES], memory[OUTPUT_BYTES];
    static struct fg_purchase items[BATCH_ITEMS];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    struct batch batch = { .bucket = UINT32_MAX, .epoch = "0badcafe", .deadline_ms = INT64_MAX };
    char user[FG_USER_BYTES + 1] = "";
    (void)state;
    memset(carried, 'x', sizeof carried);
    memset(user, 'u', FG_USER_BYTES);
    for (int i = 0; i < BATCH_ITEMS; i++) {
        items[i] = purchase(user, "e6c632b61e964e1f", FG_QUANTITY_MAX, FG_ANSWER_NONE);
        items[i].carried = (struct fg_text){ carried, sizeof carried };
    }
    unsigned count = 0;
    while (batch_add(&batch, &items[count]))
        count++;
    assert_int_equal(count, 15);
    assert_int_equal(batch.count, count);
    batch_encode(&batch, SHA, NULL, &out);
    assert_false(out.overflowed);
    assert_true(out.length <= batch_bytes(&batch) && batch_bytes(&batch) <= BATCH_BYTES);
    items[count].carried = FG_TEXT(""); /* what carries nothing still has room */
    assert_true(batch_add(&batch, &items[count]));
    batch_clear(&batch);
    items[0].carried = FG_TEXT("");
    assert_true(batch_add(&batch, &items[0]));
    assert_int_equal(batch_bytes(&batch), BATCH_HEAD_BYTES + BATCH_ITEM_BYTES);
}

static void the_largest_batch_fits_what_it_promises(void **state)
{
    static struct fg_purchase items[BATCH_ITEMS];
    static char memory[OUTPUT_BYTES];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    char users[BATCH_ITEMS][FG_USER_BYTES + 1];
    (void)state;
    for (int i = 0; i < BATCH_ITEMS; i++) {
        memset(users[i], 'a' + i % 26, FG_USER_BYTES);
        users[i][FG_USER_BYTES] = '\0';
        items[i] = purchase(users[i], "e6c632b61e964e1f", FG_QUANTITY_MAX,
                            i % 2 ? FG_ANSWER_NONE : FG_ANSWER_ENDED);
    }
    struct batch batch = batch_of(items, BATCH_ITEMS);
    batch.bucket = UINT32_MAX;
    batch.deadline_ms = INT64_MAX;
    batch.has_known = true;
    batch.known = (struct fg_ledger_entry){ UINT64_C(9999999999999), UINT64_C(9999999999) };
    struct fg_text packed = packed_items(&batch, &out);
    assert_true(out.length <= batch_bytes(&batch));
    assert_true(batch_bytes(&batch) <= BATCH_BYTES);
    assert_int_equal((unsigned char)packed.at[0], 0xdc);
    packed = (struct fg_text){ packed.at + 1, packed.length - 1 };
    assert_int_equal(unpack_big_endian(&packed, 2), BATCH_ITEMS * 3);
    for (int i = 0; i < BATCH_ITEMS; i++) {
        assert_text(unpack_string(&packed), fg_text_of(users[i]));
        assert_text(unpack_string(&packed), FG_TEXT("e6c632b61e964e1f"));
        assert_int_equal(unpack_integer(&packed), i % 2 ? FG_QUANTITY_MAX : -FG_QUANTITY_MAX);
    }
    assert_int_equal(packed.length, 0);
}

/* --- decoding ----------------------------------------------------------------------------------------- */

/* A reply being made, node by node. */
struct script {
    struct fg_reply_node nodes[NODES];
    char text[TEXT_BYTES];
    uint32_t count, text_length;
};

static void add_node(struct script *script, struct fg_reply_node node)
{
    assert_true(script->count < NODES);
    script->nodes[script->count++] = node;
}

static void add_integer(struct script *script, int64_t value)
{
    add_node(script, (struct fg_reply_node){ .type = FG_REPLY_INTEGER, .integer = value });
}

static void add_string(struct script *script, const char *text)
{
    uint32_t length = (uint32_t)strlen(text);
    assert_true(script->text_length + length <= TEXT_BYTES);
    memcpy(script->text + script->text_length, text, length);
    add_node(script, (struct fg_reply_node){ .type = FG_REPLY_STRING,
                                             .text_at = script->text_length,
                                             .length = length });
    script->text_length += length;
}

static void begin(struct script *script, uint32_t elements, const char *state, const char *last,
                  int64_t expires_ms)
{
    script->count = script->text_length = 0;
    add_node(script, (struct fg_reply_node){ .type = FG_REPLY_ARRAY, .length = elements });
    add_integer(script, INT64_C(1795238562300));
    add_integer(script, 7);
    add_string(script, state);
    add_string(script, last);
    add_integer(script, expires_ms);
}

static bool decode(struct batch *batch, const struct script *script, struct batch_reply *head)
{
    struct fg_reply reply = { script->nodes, script->count, script->text };
    return batch_decode(batch, &reply, head);
}

/* One purchase answered with one word, in a call whose purchases run out then. */
static bool answered_until(struct fg_purchase *item, const char *word, int64_t expires_ms)
{
    static struct script script;
    struct batch batch = batch_of(item, 1);
    struct batch_reply head;
    begin(&script, 6, "open", "1795238562300-3", expires_ms);
    add_string(&script, word);
    return decode(&batch, &script, &head);
}

static bool answered(struct fg_purchase *item, const char *word)
{
    return answered_until(item, word, 0);
}

static void the_head_tells_time_stock_and_ledger(void **state)
{
    static const char *const words[] = {
        "open", "paused", "ended", "not_started", "frozen", "late"
    };
    static struct script script;
    struct batch_reply head;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(words); i++) {
        struct fg_purchase item = purchase("u", NULL, 1, FG_ANSWER_NONE);
        struct batch batch = batch_of(&item, 1);
        begin(&script, 6, words[i], i % 2 ? "" : "1795238562299-3", (int64_t)i);
        add_string(&script, "sold_out");
        assert_true(decode(&batch, &script, &head));
        assert_int_equal(head.redis_ms, INT64_C(1795238562300));
        assert_int_equal(head.free_units, 7);
        assert_int_equal(head.state, i);
        assert_int_equal(head.expires_ms, i);
        assert_int_equal(head.has_last, i % 2 == 0);
        if (head.has_last) {
            assert_int_equal(head.last.ms, INT64_C(1795238562299));
            assert_int_equal(head.last.sequence, 3);
        }
        assert_int_equal(item.answer,
                         head.state == BATCH_LATE ? FG_ANSWER_BUSY : FG_ANSWER_SOLD_OUT);
    }
}

static void a_late_batch_did_nothing(void **state)
{
    static struct script script;
    struct fg_purchase items[] = { purchase("a", NULL, 1, FG_ANSWER_NONE),
                                   purchase("b", NULL, 1, FG_ANSWER_SOLD_OUT) };
    struct batch batch = batch_of(items, 2);
    struct batch_reply head;
    (void)state;
    begin(&script, 5, "late", "", 0);
    script.nodes[2].integer = -1;
    assert_true(decode(&batch, &script, &head));
    assert_int_equal(head.free_units, -1);
    assert_int_equal(items[0].answer, FG_ANSWER_BUSY);
    assert_int_equal(items[1].answer, FG_ANSWER_BUSY);
}

static void orders_are_read(void **state)
{
    static const struct {
        const char *word;
        int64_t call_expires_ms;
        enum fg_answer answer;
        int64_t expires_ms;
        enum fg_order_state order_state;
    } rows[] = {
        { "1795238562300-3", 0, FG_ANSWER_BOUGHT, 0, FG_ORDER_CONFIRMED },
        { "1795238562300-3", INT64_C(1795239462300), FG_ANSWER_BOUGHT, INT64_C(1795239462300),
          FG_ORDER_HELD },
        { "=1795238562300-3 1795239462300 h", 7, FG_ANSWER_REPLAYED, INT64_C(1795239462300),
          FG_ORDER_HELD },
        { "=1795238562300-3 0 c", 7, FG_ANSWER_REPLAYED, 0, FG_ORDER_CONFIRMED },
        { "=1795238562300-3 1 x", 7, FG_ANSWER_REPLAYED, 1, FG_ORDER_CANCELLED },
        { "=1795238562300-3 1 e", 7, FG_ANSWER_REPLAYED, 1, FG_ORDER_EXPIRED },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        struct fg_purchase item = purchase("u", NULL, 1, FG_ANSWER_NONE);
        assert_true(answered_until(&item, rows[i].word, rows[i].call_expires_ms));
        assert_int_equal(item.answer, rows[i].answer);
        assert_int_equal(item.expires_ms, rows[i].expires_ms);
        assert_int_equal(item.state, rows[i].order_state);
        assert_int_equal(item.order.bucket, 17);
        assert_string_equal(item.order.epoch, "0badcafe");
        assert_int_equal(item.order.entry.ms, INT64_C(1795238562300));
        assert_int_equal(item.order.entry.sequence, 3);
    }
}

static void every_refusal_is_read(void **state)
{
    (void)state;
    for (enum fg_answer answer = FG_ANSWER_SOLD_OUT; answer <= FG_ANSWER_QUEUE_FULL; answer++) {
        struct fg_purchase item = purchase("u", NULL, 1, FG_ANSWER_NONE);
        assert_true(answered(&item, fg_answer_word(answer)));
        assert_int_equal(item.answer, answer);
    }
    for (int answer = 0; answer < FG_ANSWER_COUNT; answer++)
        assert_ptr_equal(fg_answer_words[answer], fg_answer_word((enum fg_answer)answer));
    assert_null(fg_answer_words[FG_ANSWER_COUNT]);
}

static void a_look_up_that_finds_nothing_is_refused_as_it_was(void **state)
{
    struct fg_purchase item = purchase("u", NULL, 1, FG_ANSWER_PAUSED);
    (void)state;
    assert_true(answered(&item, "none"));
    assert_int_equal(item.answer, FG_ANSWER_PAUSED);
    item = purchase("u", NULL, 1, FG_ANSWER_PAUSED);
    assert_true(answered(&item, "=1795238562300-3 0 c"));
    assert_int_equal(item.answer, FG_ANSWER_REPLAYED);
    item = purchase("u", NULL, 1, FG_ANSWER_NONE); /* who buys cannot be told "none" */
    assert_false(answered(&item, "none"));
}

static void a_reached_limit_lists_the_orders(void **state)
{
    char word[512] = "limit_reached";
    struct fg_purchase item = purchase("u", NULL, 1, FG_ANSWER_NONE);
    (void)state;
    for (unsigned count = 0; count <= FG_RECORDS_MAX; count++) {
        assert_true(answered(&item, word));
        assert_int_equal(item.answer, FG_ANSWER_LIMIT_REACHED);
        assert_int_equal(item.own_count, count);
        assert_int_equal(item.order.bucket, 17);
        assert_string_equal(item.order.epoch, "0badcafe");
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(item.own[i].ms, 1000 + i);
            assert_int_equal(item.own[i].sequence, i);
        }
        (void)snprintf(word + strlen(word), sizeof word - strlen(word), " %u-%u", 1000 + count,
                       count);
    }
    assert_false(answered(&item, word)); /* one more than is ever remembered */
}

static void malformed_words_are_refused(void **state)
{
    static const char *const words[] = { "",
                                         " ",
                                         "+",
                                         "=",
                                         "busy",
                                         "outcome_unknown",
                                         "bought",
                                         "replayed",
                                         "SOLD_OUT",
                                         "sold_outs",
                                         "sold_out ",
                                         "sold_out x",
                                         "paused\n",
                                         " sold_out",
                                         "1-1 ",
                                         "1-1 0",
                                         "1-1 0 h",
                                         "-1",
                                         "1",
                                         "1-",
                                         "01-1",
                                         "1-01",
                                         "1-1\t",
                                         "10000000000000-1",
                                         "1-10000000000",
                                         "+1-1",
                                         "+1-1 0",
                                         "=1 0 h",
                                         "= 0 h",
                                         "=1-1",
                                         "=1-1 -1 h",
                                         "=1-1 1e3 h",
                                         "=1-1 01 h",
                                         "=1-1 9223372036854775808 h",
                                         "=1-1  0 h",
                                         "=1795238562300-3\t0 h",
                                         "=1-1 0",
                                         "=1-1 0 ",
                                         "=1-1 0 q",
                                         "=1-1 0 hh",
                                         "=1-1 0 h ",
                                         "limit_reached ",
                                         "limit_reached 1-1 ",
                                         "none ",
                                         "limit_reached 1",
                                         "limit_reached 1-1,2-2",
                                         "limit_reached  1-1",
                                         "limit_reachedx" };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(words); i++) {
        struct fg_purchase item = purchase("u", NULL, 1, FG_ANSWER_SOLD_OUT);
        if (answered(&item, words[i]))
            fail_msg("\"%s\" was believed", words[i]);
    }
}

static void a_wrong_number_of_answers_is_refused(void **state)
{
    static struct script script;
    struct fg_purchase items[3];
    struct batch_reply head;
    (void)state;
    for (uint32_t answers = 0; answers <= 6; answers++) {
        for (unsigned i = 0; i < 3; i++)
            items[i] = purchase("u", NULL, 1, FG_ANSWER_NONE);
        struct batch batch = batch_of(items, 3);
        begin(&script, 5 + answers, "open", "1-1", 0);
        for (uint32_t i = 0; i < answers; i++)
            add_string(&script, "sold_out");
        assert_int_equal(decode(&batch, &script, &head), answers == 3);
    }
}

static void other_kinds_of_reply_are_refused(void **state)
{
    static struct script script;
    struct fg_purchase item = purchase("u", NULL, 1, FG_ANSWER_NONE);
    struct batch batch = batch_of(&item, 1);
    struct batch_reply head;
    (void)state;
    begin(&script, 6, "open", "1-1", 0);
    add_string(&script, "sold_out");
    assert_true(decode(&batch, &script, &head));
    for (uint32_t node = 0; node < script.count; node++) {
        struct fg_reply_node kept = script.nodes[node];
        for (int type = FG_REPLY_STRING; type <= FG_REPLY_NIL; type++) {
            if (type == (int)kept.type || (node == 4 && type != FG_REPLY_ARRAY))
                continue; /* the ledger's newest entry may be missing */
            script.nodes[node] = (struct fg_reply_node){ .type = (enum fg_reply_type)type };
            if (node != 4)
                assert_false(decode(&batch, &script, &head));
        }
        script.nodes[node] = kept;
    }
    script.nodes[5].integer = -1;
    assert_false(decode(&batch, &script, &head));
    script.nodes[5].integer = 0;
    for (uint32_t count = 0; count < 7; count++) {
        script.count = count;
        assert_false(decode(&batch, &script, &head));
    }
    begin(&script, 6, "opened", "1-1", 0);
    add_string(&script, "sold_out");
    assert_false(decode(&batch, &script, &head));
}

/* Anything at all: no crash, and what is accepted has an answer a shopper can be given. */
static void garbage_is_survived(void **state)
{
    static const char *const words[] = {
        "1795238562300-3",
        "=1-1 0 h",
        "sold_out",
        "none",
        "limit_reached 1-1 2-2",
        "open",
        "late",
        "-",
        "",
        "+",
        "limit_reached",
        "queue_full",
    };
    static struct script script;
    uint64_t seed = 77;
    unsigned accepted = 0;
    (void)state;
    for (int round = 0; round < 200000; round++) {
        struct fg_purchase items[4];
        unsigned count = (unsigned)(unit_random(&seed) % 4) + 1;
        for (unsigned i = 0; i < count; i++)
            items[i] =
                purchase("u", NULL, 1, unit_random(&seed) % 2 ? FG_ANSWER_NONE : FG_ANSWER_ENDED);
        struct batch batch = batch_of(items, count);
        struct batch_reply head;
        bool is_formed = unit_random(&seed) % 2;
        script.count = script.text_length = 0;
        if (is_formed)
            begin(&script, 5 + count, "open", "1-1", 0);
        for (uint64_t left = is_formed ? count : unit_random(&seed) % 9; left > 0; left--) {
            uint64_t kind = unit_random(&seed) % (is_formed ? 40 : 8);
            if (kind == 0)
                add_integer(&script, (int64_t)unit_random(&seed));
            else if (kind == 1)
                add_node(&script, (struct fg_reply_node){ .type = FG_REPLY_ARRAY });
            else if (kind == 2)
                add_node(&script, (struct fg_reply_node){ .type = FG_REPLY_NIL });
            else
                add_string(&script, words[unit_random(&seed) % FG_COUNT_OF(words)]);
        }
        if (script.text_length > 0 && unit_random(&seed) % 2)
            script.text[unit_random(&seed) % script.text_length] = (char)unit_random(&seed);
        if (!decode(&batch, &script, &head))
            continue;
        accepted++;
        for (unsigned i = 0; i < count; i++) {
            assert_true(items[i].answer < FG_ANSWER_COUNT && items[i].answer != FG_ANSWER_NONE);
            assert_true(items[i].own_count <= FG_RECORDS_MAX);
        }
    }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_batch_is_encoded_byte_by_byte),
        cmocka_unit_test(the_script_may_come_along_and_nothing_be_known),
        cmocka_unit_test(users_of_every_length_are_packed),
        cmocka_unit_test(quantities_of_every_size_are_packed),
        cmocka_unit_test(what_orders_carry_comes_last_and_only_where_there_is_some),
        cmocka_unit_test(a_batch_stops_before_its_bytes_run_over),
        cmocka_unit_test(the_largest_batch_fits_what_it_promises),
        cmocka_unit_test(the_head_tells_time_stock_and_ledger),
        cmocka_unit_test(a_late_batch_did_nothing),
        cmocka_unit_test(orders_are_read),
        cmocka_unit_test(every_refusal_is_read),
        cmocka_unit_test(a_look_up_that_finds_nothing_is_refused_as_it_was),
        cmocka_unit_test(a_reached_limit_lists_the_orders),
        cmocka_unit_test(malformed_words_are_refused),
        cmocka_unit_test(a_wrong_number_of_answers_is_refused),
        cmocka_unit_test(other_kinds_of_reply_are_refused),
        cmocka_unit_test(garbage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
