/* admission.c - see admission.h. */
#include "admission.h"

#include <stdio.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/ratelimit/breaker_options.h"

#include "forwarded.h"
#include "rate_limit_fields.h"

enum {
    DETAIL_BYTES = 512,
    BODY_BYTES = 1024,
    FIELD_BYTES = 256,
    BUSY_WAIT_NS = 500 * 1000 * 1000
};

void admission_open(struct admission *admission, unsigned thread, uint64_t dice)
{
    struct fg_breaker_settings resting = fg_breaker_settings_default();
    const struct fg_concurrency_settings unlimited = { .least = 1, .most = 1, .mode = FG_MODE_OFF };
    resting.mode = FG_MODE_OFF;
    memset(admission, 0, sizeof *admission);
    admission->thread = thread;
    admission->dice = dice;
    fg_breaker_init(&admission->breaker, &resting, fg_clock_steady_ns());
    fg_concurrency_init(&admission->concurrency, &unlimited, fg_clock_steady_ns());
}

/* The breaker that guards the inventory; NULL: none. */
static const struct fg_breaker_definition *breaker_definition(const struct gateway_options *options)
{
    return options->breakers.count == 0 ? NULL : options->breakers.items;
}

/* Window, state and timers stay, whatever the breaker is called now: it is the same Redis. */
static void configure_breaker(struct admission *admission, const struct gateway_options *options)
{
    const struct fg_breaker_definition *definition = breaker_definition(options);
    struct fg_breaker_settings as = admission->breaker.settings;
    as.mode = FG_MODE_OFF;
    if (definition != NULL)
        as = fg_breaker_settings_of(definition);
    fg_breaker_configure(&admission->breaker, &as);
}

/* Each worker has its part of the limit, rounded up: they do not know of each other. */
static struct fg_concurrency_settings concurrency_part(const struct gateway_options *options)
{
    struct fg_concurrency_settings part = fg_concurrency_settings_of(&options->concurrency);
    uint64_t workers = options->threads;
    part.most = (part.most + workers - 1) / workers;
    part.least = (part.least + workers - 1) / workers;
    return part;
}

void admission_configure(struct admission *admission, const struct settings *settings)
{
    const struct gateway_options *options = &settings->configuration->options;
    struct fg_concurrency_settings part = concurrency_part(options);
    configure_breaker(admission, options);
    fg_concurrency_configure(&admission->concurrency, &part);
    admission->settings = settings;
}

static uint64_t next_dice(struct admission *admission)
{
    admission->dice = admission->dice * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return admission->dice >> 33;
}

/* --- refusals --------------------------------------------------------------------------------------- */

static void refuse(struct admission *admission, struct fg_http_request *request,
                   enum fg_problem problem, uint64_t wait_ns, const char *detail)
{
    fg_http_refuse(request, problem, retry_after_s(wait_ns, next_dice(admission)),
                   fg_text_of(detail));
}

/* "limit user-sku allows 3 at once for each user and sku" */
static void describe(const struct fg_limit_refusal *refusal, char *detail, size_t bytes)
{
    const struct fg_limit_definition *limit = refusal->limit;
    struct fg_buffer out = fg_buffer_over(detail, bytes - 1);
    fg_buffer_add_format(&out, "limit %s", limit->id);
    if (refusal->wait_ns == UINT64_MAX)
        fg_buffer_add_string(&out, " denies this");
    else
        fg_buffer_add_format(&out, " allows %llu at once", (unsigned long long)refusal->burst);
    for (size_t i = 0; i < limit->key.count; i++)
        fg_buffer_add_format(&out, "%s%s", i == 0 ? " for each " : " and ",
                             ((char **)limit->key.items)[i]);
    detail[out.length] = '\0';
}

static void add_fields(struct fg_http_request *request, const struct fg_limit_refusal *refusal)
{
    char memory[FIELD_BYTES];
    struct fg_text id = fg_text_of(refusal->limit->id);
    struct fg_buffer value = fg_buffer_over(memory, sizeof memory);
    rate_limit_policy_add(&value, id, refusal->burst, refusal->rate);
    fg_http_field(request, "RateLimit-Policy", fg_buffer_text(&value));
    value = fg_buffer_over(memory, sizeof memory);
    rate_limit_add(&value, id, refusal->left, refusal->wait_ns);
    fg_http_field(request, "RateLimit", fg_buffer_text(&value));
}

static void answer_limited(struct admission *admission, struct fg_http_request *request,
                           const struct fg_limit_refusal *refusal)
{
    char detail[DETAIL_BYTES], memory[BODY_BYTES];
    struct fg_buffer body = fg_buffer_over(memory, sizeof memory);
    uint32_t later_s = retry_after_s(refusal->wait_ns, next_dice(admission));
    describe(refusal, detail, sizeof detail);
    fg_problem_body_open(&body, FG_PROBLEM_RATE_LIMITED, fg_text_of(detail));
    fg_buffer_add_format(&body, ",\"limit\":\"%s\"", refusal->limit->id);
    fg_problem_body_close(&body);
    fg_http_begin_problem(request, FG_PROBLEM_RATE_LIMITED, later_s);
    add_fields(request, refusal);
    fg_http_end(request, fg_buffer_text(&body));
}

static void answer_refusal(struct admission *admission, struct fg_http_request *request,
                           const struct fg_limit_refusal *refusal)
{
    if (refusal->missing_header != NULL)
        fg_http_refuse_format(request, FG_PROBLEM_BAD_REQUEST,
                              "the header field %s is missing, which limit %s asks for",
                              refusal->missing_header, refusal->limit->id);
    else
        answer_limited(admission, request, refusal);
}

static void answer_open(struct admission *admission, struct fg_http_request *request,
                        uint64_t now_ns)
{
    refuse(admission, request, FG_PROBLEM_BREAKER_OPEN,
           fg_breaker_wait_ns(&admission->breaker, now_ns),
           "Redis failed or was slow too often; nothing was bought");
}

/* --- limits ----------------------------------------------------------------------------------------- */

static struct fg_text header_of(const void *owner, struct fg_text name)
{
    const struct fg_http_request *request = owner;
    unsigned count;
    struct fg_text value = fg_http_header(&request->parser, name, &count);
    return count == 0 ? (struct fg_text){ 0 } : value;
}

static void add_address(const struct admission *admission, struct fg_http_request *request,
                        struct fg_limit_request *asked)
{
    struct client_address address;
    if ((admission->settings->limit_facts & FG_FACT_ADDRESS) == 0 ||
        !client_address_of(request, &admission->settings->configuration->options.trusted, &address))
        return;
    asked->address_bytes = address.is_six ? 16 : 4;
    memcpy(asked->address, address.bytes, asked->address_bytes);
}

static bool admit(struct admission *admission, struct fg_http_request *request,
                  const struct admission_request *asked, uint64_t now_ns)
{
    struct fg_limits *limits = admission->settings->limits;
    struct fg_limit_refusal refusal;
    if (fg_limits_count(limits) == 0)
        return true;
    struct fg_limit_request facts = { .route = request->route,
                                      .user = asked->user,
                                      .sku = asked->sku,
                                      .sale = asked->sale,
                                      .header = header_of,
                                      .owner = request };
    add_address(admission, request, &facts);
    if (fg_limits_admit(limits, &facts, admission->thread, now_ns, &refusal))
        return true;
    answer_refusal(admission, request, &refusal);
    return false;
}

/* --- the gate --------------------------------------------------------------------------------------- */

/* Asks the breaker only when it is sure to say no: each request is counted by it once. */
static bool is_open(struct admission *admission, uint64_t now_ns)
{
    return fg_breaker_wait_ns(&admission->breaker, now_ns) > 0 &&
           !fg_breaker_allows(&admission->breaker, now_ns);
}

/* Breaker and concurrency limit before the limits: they cost nothing to leave. */
static bool has_room(struct admission *admission, struct fg_http_request *request,
                     enum admission_needs needs, uint64_t now_ns)
{
    if (needs == ADMISSION_MEMORY)
        return true;
    if (is_open(admission, now_ns)) {
        answer_open(admission, request, now_ns);
        return false;
    }
    if (needs == ADMISSION_PURCHASE && !fg_concurrency_enter(&admission->concurrency, now_ns)) {
        refuse(admission, request, FG_PROBLEM_BUSY, BUSY_WAIT_NS,
               "too many purchases are under way");
        return false;
    }
    return true;
}

bool admission_enter(struct admission *admission, struct fg_http_request *request,
                     const struct admission_request *asked)
{
    uint64_t now_ns = fg_ring_now_ns(fg_http_server_ring(request->server));
    if (!has_room(admission, request, asked->needs, now_ns))
        return false;
    bool is_admitted = admit(admission, request, asked, now_ns);
    if (is_admitted && asked->needs != ADMISSION_MEMORY &&
        !fg_breaker_allows(&admission->breaker, now_ns)) {
        if (fg_limits_count(admission->settings->limits) > 0)
            fg_limits_take_back(admission->settings->limits, admission->thread);
        answer_open(admission, request, now_ns);
        is_admitted = false;
    }
    if (!is_admitted && asked->needs == ADMISSION_PURCHASE)
        fg_concurrency_leave(&admission->concurrency, 0, false, now_ns);
    return is_admitted;
}

void admission_leave(struct admission *admission, uint64_t entered_ns, bool counts, uint64_t now_ns)
{
    fg_concurrency_leave(&admission->concurrency, now_ns - entered_ns, counts, now_ns);
}

bool admission_allows_call(struct admission *admission, uint64_t now_ns)
{
    return fg_breaker_allows(&admission->breaker, now_ns);
}

void admission_tell(struct admission *admission, enum fg_call_end end, uint64_t calls,
                    uint64_t sent_ns, uint64_t took_ns, uint64_t now_ns)
{
    fg_breaker_tell(&admission->breaker, end == FG_CALL_END_GOOD ? FG_CALL_GOOD : FG_CALL_ERROR,
                    calls, sent_ns, took_ns, now_ns);
}
