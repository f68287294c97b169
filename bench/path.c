/* path.c - the purchase path without sockets: a recorded request and a recorded reply of Redis through the functions of
 * the product, stage by stage. For counting instructions (bench/path.py), which a busy machine does not change.
 *
 *   parse ─► route ─► body ─► limits ─► encode (a batch of 32) ┄┄ Redis ┄┄► decode ─► answer
 *                                                                  refuse: what a sold-out SKU's shopper is told
 *
 * Each stage is a function `stage_NAME` that is never inlined. Two things are not the product's: where an answer is ready
 * it is only counted, and the date does not move. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/four_limits.h"
#include "core/http/server-private.h"
#include "flashgate/http/router.h"
#include "gateway/json_memory.h"
#include "gateway/order_json.h"
#include "gateway/order_request.h"
#include "inventory/batch.h"
#include "inventory/reply.h"

enum {
    ITEMS = 32,
    BATCHES = 50,
    WARM_UPS = 5,
    ARENA_BYTES = 8192,
    BODY_BYTES = 1024,
    REPLY_BYTES = 8192,
    CALL_BYTES = 32 << 10
};

#define STAGE __attribute__((noinline))
#define SHA   "0123456789abcdef0123456789abcdef01234567"

/* As a browser sends it through a load balancer. */
static const char recorded[] = "POST /v1/sales/autumn/orders HTTP/1.1\r\n"
                               "Host: shop.example\r\n"
                               "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
                               "Accept: application/json\r\n"
                               "Content-Type: application/json\r\n"
                               "X-User-Id: shopper-4711\r\n"
                               "X-Forwarded-For: 203.0.113.9\r\n"
                               "X-App-Token: 9f3c2a7be1\r\n"
                               "Idempotency-Key: 0c1f6d0e-9d7b-4f5e-8a53\r\n"
                               "Content-Length: 27\r\n"
                               "\r\n"
                               "{\"sku\":\"8801\",\"quantity\":1}";

static struct fg_limits *limits;
static struct fg_http_request *request;
static char *arena;
static struct fg_purchase purchases[ITEMS];
static struct batch batch;
static struct reply_reader reader;
static char call[CALL_BYTES], reply[REPLY_BYTES];
static size_t reply_length;
static uint64_t answered;

/* --- instead of the server ---------------------------------------------------------------------------- */

void server_answer_ready(struct fg_http_request *ready)
{
    answered += ready->output.length;
}

bool server_keeps_alive(const struct fg_http_request *kept)
{
    return !kept->close_after;
}

const char *server_date(struct fg_http_server *server)
{
    (void)server;
    return "Sun, 06 Nov 1994 08:49:37 GMT";
}

/* --- the stages --------------------------------------------------------------------------------------- */

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "path: %s: not as recorded\n", what);
        exit(1);
    }
}

static void handle(struct fg_http_request *handled, const struct fg_route_match *match)
{
    (void)handled, (void)match;
}

static const struct fg_route routes[] = { { FG_HTTP_POST, "/v1/sales/{sale}/orders", handle, "buy",
                                            0 },
                                          { FG_HTTP_GET, "/v1/sales/{sale}", handle, "sale", 0 },
                                          { FG_HTTP_GET, "/v1/orders/{order}", handle, "order", 0 },
                                          { 0 } };

static STAGE void stage_parse(void)
{
    fg_http_parser_start(&request->parser, arena, ARENA_BYTES, BODY_BYTES);
    fg_http_parser_feed(&request->parser, recorded, sizeof recorded - 1);
}

static STAGE int stage_route(struct fg_route_match *match)
{
    return fg_route_find(routes, request, match);
}

static STAGE enum fg_problem stage_body(struct order_request *order)
{
    char memory[BODY_BYTES];
    struct fg_buffer detail = fg_buffer_over(memory, sizeof memory);
    return order_request_parse(fg_http_body(&request->parser), order, &detail);
}

static struct fg_text header_of(const void *owner, struct fg_text name)
{
    const struct fg_http_request *asked = owner;
    unsigned count;
    struct fg_text value = fg_http_header(&asked->parser, name, &count);
    return count > 0 ? value : (struct fg_text){ 0 };
}

static STAGE bool stage_limits(const struct fg_purchase *purchase, uint64_t now_ns)
{
    struct fg_limit_refusal refusal;
    const struct fg_limit_request asked = { .user = purchase->user,
                                            .sku = FG_TEXT("8801"),
                                            .sale = FG_TEXT("autumn"),
                                            .address = { 203, 0, 113, 9 },
                                            .address_bytes = 4,
                                            .header = header_of,
                                            .owner = request };
    return fg_limits_admit(limits, &asked, 0, now_ns, &refusal);
}

static STAGE bool stage_encode(void)
{
    struct fg_buffer out = fg_buffer_over(call, sizeof call);
    bool good = true;
    batch_clear(&batch);
    for (unsigned i = 0; i < ITEMS; i++)
        good &= batch_add(&batch, &purchases[i]);
    batch_encode(&batch, SHA, NULL, &out);
    return good && !out.overflowed;
}

static STAGE bool stage_decode(void)
{
    struct fg_reply whole;
    struct batch_reply decoded;
    return reply_reader_feed(&reader, reply, reply_length) &&
           reply_reader_next(&reader, &whole) == REPLY_WHOLE &&
           batch_decode(&batch, &whole, &decoded);
}

static STAGE void stage_answer(const struct fg_purchase *purchase)
{
    char body_memory[BODY_BYTES], location_memory[64];
    struct fg_buffer body = fg_buffer_over(body_memory, sizeof body_memory);
    struct fg_buffer location = fg_buffer_over(location_memory, sizeof location_memory);
    order_json_add(&body, &purchase->order, FG_TEXT("autumn"), FG_TEXT("8801"), purchase->quantity,
                   purchase->expires_ms);
    fg_buffer_add_text(&location, FG_TEXT("/v1/orders/"));
    fg_order_id_add(&location, &purchase->order);
    fg_http_begin(request, 201, "application/json");
    fg_http_field(request, "Location", fg_buffer_text(&location));
    fg_http_field(request, "Order-Status", FG_TEXT("held"));
    fg_http_end(request, fg_buffer_text(&body));
}

static STAGE void stage_refuse(void)
{
    fg_http_refuse(request, FG_PROBLEM_SOLD_OUT, 0, FG_TEXT("fewer than 1 of SKU 8801 are left"));
}

/* --- a turn: a batch of requests, their call, its reply, their answers ------------------------------------ */

static void clear_answer(void)
{
    request->output = fg_buffer_over(request->output_memory, sizeof request->output_memory);
    request->answered = false;
}

static void read_one(unsigned number, uint64_t now_ns)
{
    struct order_request order;
    struct fg_route_match match;
    struct fg_purchase *purchase = &purchases[number];
    stage_parse();
    must(request->parser.complete && request->parser.problem == 0, "parse");
    must(stage_route(&match) == 0, "route");
    must(stage_body(&order) == FG_NO_PROBLEM, "body");
    must(stage_limits(purchase, now_ns), "limits");
    purchase->quantity = order.quantity;
    clear_answer();
}

static void turn(uint64_t number)
{
    for (unsigned i = 0; i < ITEMS; i++)
        read_one(i, number * 1000000 + i);
    must(stage_encode(), "encode");
    must(stage_decode(), "decode");
    for (unsigned i = 0; i < ITEMS; i++) {
        must(purchases[i].answer == FG_ANSWER_BOUGHT, "decode");
        stage_answer(&purchases[i]);
        clear_answer();
        stage_refuse();
        clear_answer();
    }
}

static void record_reply(void)
{
    struct fg_buffer out = fg_buffer_over(reply, sizeof reply);
    fg_buffer_add_format(
        &out,
        "*%d\r\n:1795238562267\r\n:100000\r\n$4\r\nopen\r\n$16\r\n1795238562267-31\r\n"
        ":1795239462267\r\n",
        5 + ITEMS);
    for (unsigned i = 0; i < ITEMS; i++) {
        char answer[64];
        int length = snprintf(answer, sizeof answer, "1795238562267-%u", i);
        fg_buffer_add_format(&out, "$%d\r\n%s\r\n", length, answer);
    }
    reply_length = out.length;
}

static void set_up(void)
{
    static char names[ITEMS][16];
    json_memory_install();
    request = calloc(1, sizeof *request);
    arena = malloc(ARENA_BYTES);
    must(request != NULL && arena != NULL && reply_reader_open(&reader), "memory");
    limits = four_limits_new("rate: 1000/s, burst: 100000, max_keys: 10_000", 1);
    must(limits != NULL, "limits");
    batch.bucket = 17;
    memcpy(batch.epoch, "0badcafe", sizeof batch.epoch);
    batch.deadline_ms = INT64_C(1795238562267);
    batch.has_known = true;
    batch.known = (struct fg_ledger_entry){ UINT64_C(1795238562200), 42 };
    for (unsigned i = 0; i < ITEMS; i++) {
        snprintf(names[i], sizeof names[i], "shopper-%04u", i);
        purchases[i] =
            (struct fg_purchase){ .user = fg_text_of(names[i]), .has_key = true, .quantity = 1 };
        fg_key_digest(FG_TEXT("0c1f6d0e-9d7b-4f5e-8a53"), purchases[i].digest);
    }
    record_reply();
    clear_answer();
}

int main(void)
{
    set_up();
    for (uint64_t i = 1; i <= BATCHES; i++)
        turn(i);
    printf("%d requests of %zu bytes, %d a batch, %llu bytes answered\n", BATCHES * ITEMS,
           sizeof recorded - 1, ITEMS, (unsigned long long)answered);
    return 0;
}
