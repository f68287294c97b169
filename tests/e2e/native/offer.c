/* offer.c - shoppers at a rate, whatever the gateway does: an open model for tests and benches of load.
 *
 *   offer PORT CONNECTIONS PREFIX SKUS PATIENT_PERCENT TRIES FILE SECONDS:RATE...
 *
 * Each shopper presses once, for SKU (number mod SKUS) of sale demo, with a key. Who is told 503 or 429 presses
 * again after Retry-After if patient, else after 50 ms; TRIES times in all, and without end while the order
 * may have been made. RATE 0: every connection is always busy, nobody waits for an arrival. Ends when the
 * phases are over and nobody who arrived presses any more. FILE gets a row for each answer:
 *
 *   shopper, due, sent, answered (us since the start), status, code, body of an order
 *
 * and stdout a line `start NS` on the monotonic clock. Due to answered is what a shopper waits: a generator that
 * is late does not make a gateway look quick. One thread, epoll. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ANSWER_BYTES = 8192,
    REQUEST_BYTES = 512,
    SHOPPERS = 4000000,
    PHASES = 16,
    EVENTS = 256
};
static const uint64_t second_ns = 1000000000, impatient_ns = 50000000, unknown_ns = 250000000;

struct shopper {
    uint64_t due_ns; /* of the next press */
    uint32_t next;   /* waits for a connection; 0: the last */
    uint16_t tries;
    bool uncertain;
};

struct line {
    int socket;
    uint32_t shopper; /* 0: free */
    uint64_t sent_ns;
    size_t have;
    char answer[ANSWER_BYTES];
};

struct phase {
    double seconds, rate;
};

static struct shopper *shoppers; /* from 1 */
static uint32_t arrived, open_count, waiting_first, waiting_last;
static uint32_t *later; /* a heap by due_ns */
static uint32_t later_count;
static struct line *lines;
static uint32_t *free_lines, free_count, line_count;
static struct phase phases[PHASES];
static unsigned phase_count, skus, patient_percent, tries;
static uint64_t start_ns;
static const char *prefix;
static struct sockaddr_in address;
static FILE *out;
static int poller;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * second_ns + (uint64_t)now.tv_nsec;
}

/* --- who presses again later ------------------------------------------------------------------------ */

static bool is_before(uint32_t a, uint32_t b)
{
    return shoppers[later[a]].due_ns < shoppers[later[b]].due_ns;
}

static void swap(uint32_t a, uint32_t b)
{
    uint32_t kept = later[a];
    later[a] = later[b];
    later[b] = kept;
}

static void press_later(uint32_t shopper, uint64_t due_ns)
{
    uint32_t at = later_count++;
    shoppers[shopper].due_ns = due_ns;
    later[at] = shopper;
    for (; at > 0 && is_before(at, (at - 1) / 2); at = (at - 1) / 2)
        swap(at, (at - 1) / 2);
}

static uint32_t take_earliest(void)
{
    uint32_t earliest = later[0], at = 0;
    later[0] = later[--later_count];
    for (;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < later_count; child++)
            if (is_before(child, least))
                least = child;
        if (least == at)
            return earliest;
        swap(at, least);
        at = least;
    }
}

/* --- a press ---------------------------------------------------------------------------------------- */

static void connect_line(struct line *line)
{
    int one = 1;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = line };
    line->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (line->socket < 0 ||
        connect(line->socket, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("offer: cannot connect");
        exit(1);
    }
    setsockopt(line->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(line->socket, F_SETFL, O_NONBLOCK);
    epoll_ctl(poller, EPOLL_CTL_ADD, line->socket, &event);
    line->have = 0;
}

static void give_back(struct line *line)
{
    line->shopper = 0;
    free_lines[free_count++] = (uint32_t)(line - lines);
}

static void send_press(struct line *line, uint32_t shopper)
{
    char request[REQUEST_BYTES], body[64];
    int body_length =
        snprintf(body, sizeof body, "{\"sku\":\"sku-%u\",\"quantity\":1}", shopper % skus);
    int length = snprintf(
        request, sizeof request,
        "POST /v1/sales/demo/orders HTTP/1.1\r\nHost: shop\r\nX-User-Id: %s%u\r\n"
        "Content-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: %d\r\n\r\n%s",
        prefix, shopper, body_length, body);
    line->shopper = shopper;
    line->sent_ns = now_ns();
    line->have = 0;
    shoppers[shopper].tries++;
    ssize_t sent = send(line->socket, request, (size_t)length, MSG_NOSIGNAL);
    assert(sent == length || sent < 0); /* the socket was empty; a lost one is seen by its end */
}

static void press(uint32_t shopper)
{
    if (free_count > 0) {
        send_press(&lines[free_lines[--free_count]], shopper);
        return;
    }
    shoppers[shopper].next = 0;
    if (waiting_first == 0)
        waiting_first = shopper;
    else
        shoppers[waiting_last].next = shopper;
    waiting_last = shopper;
}

static void press_next_waiting(void)
{
    while (waiting_first != 0 && free_count > 0) {
        uint32_t shopper = waiting_first;
        waiting_first = shoppers[shopper].next;
        press(shopper);
    }
}

static void arrive(uint64_t due_ns)
{
    assert(arrived + 1 < SHOPPERS);
    arrived++;
    open_count++;
    shoppers[arrived].due_ns = due_ns;
    press(arrived);
}

/* --- an answer -------------------------------------------------------------------------------------- */

static uint64_t since_start_us(uint64_t ns)
{
    return ns < start_ns ? 0 : (ns - start_ns) / 1000;
}

static void write_row(const struct line *line, unsigned status, const char *code, const char *body)
{
    fprintf(out, "%u\t%llu\t%llu\t%llu\t%u\t%s\t%s\n", line->shopper,
            (unsigned long long)since_start_us(shoppers[line->shopper].due_ns),
            (unsigned long long)since_start_us(line->sent_ns),
            (unsigned long long)since_start_us(now_ns()), status, code, body);
}

/* After Retry-After a patient one presses within the quarter of it that follows. */
static void decide(uint32_t number, bool is_final, bool is_unknown, uint64_t retry_after_s)
{
    struct shopper *shopper = &shoppers[number];
    bool is_patient = number * 37 % 100 < patient_percent;
    uint64_t wait_ns = retry_after_s > 0 ? retry_after_s * second_ns : unknown_ns;
    shopper->uncertain = !is_final && (shopper->uncertain || is_unknown);
    if (is_final || (shopper->tries >= tries && !shopper->uncertain)) {
        open_count--;
        return;
    }
    if (is_patient || shopper->uncertain)
        wait_ns += wait_ns / 4 * (number * 61 % 100) / 100;
    else
        wait_ns = impatient_ns;
    press_later(number, now_ns() + wait_ns);
}

static void code_of(const char *body, char *code, size_t bytes)
{
    const char *at = strstr(body, "\"code\":\"");
    code[0] = '\0';
    if (at != NULL)
        snprintf(code, bytes, "%.*s", (int)strcspn(at + 8, "\""), at + 8);
}

static void take_answer(struct line *line, char *body)
{
    char code[40];
    unsigned status = (unsigned)atoi(line->answer + 9);
    const char *retry_after = strcasestr(line->answer, "\r\nRetry-After: ");
    bool is_order = status == 200 || status == 201,
         closes = strcasestr(line->answer, "\r\nConnection: close") != NULL;
    code_of(is_order ? "" : body, code, sizeof code);
    write_row(line, status, code, is_order ? body : "");
    decide(line->shopper, status != 503 && status != 429, strcmp(code, "outcome_unknown") == 0,
           retry_after == NULL ? 0 : (uint64_t)atoi(retry_after + 15));
    if (closes) {
        close(line->socket);
        connect_line(line);
    }
    give_back(line);
}

static void lost(struct line *line)
{
    uint32_t shopper = line->shopper;
    close(line->socket);
    if (shopper != 0) {
        write_row(line, 0, "lost", "");
        decide(shopper, false, true, 0);
    }
    connect_line(line);
    if (shopper != 0)
        give_back(line);
}

static void read_line(struct line *line)
{
    ssize_t got = recv(line->socket, line->answer + line->have, ANSWER_BYTES - 1 - line->have, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        lost(line);
        return;
    }
    line->have += (size_t)got;
    line->answer[line->have] = '\0';
    char *end = strstr(line->answer, "\r\n\r\n");
    const char *length = end == NULL ? NULL : strcasestr(line->answer, "\r\nContent-Length: ");
    if (length == NULL || length > end ||
        line->have < (size_t)(end + 4 - line->answer) + (size_t)atoi(length + 18))
        return;
    take_answer(line, end + 4);
}

/* --- the phases ------------------------------------------------------------------------------------- */

/* Lets everybody arrive who is due by now; when the next is, or 0 after the last phase. */
static uint64_t arrivals(uint64_t now)
{
    static unsigned phase;
    static uint64_t phase_ns, due_ns;
    if (phase_ns == 0)
        phase_ns = due_ns = start_ns;
    while (phase < phase_count) {
        uint64_t end_ns = phase_ns + (uint64_t)(phases[phase].seconds * 1e9);
        if (phases[phase].rate <= 0) {
            while (now < end_ns && free_count > 0)
                arrive(now);
            due_ns = now < end_ns ? now + 1000000 : end_ns;
        } else {
            for (; due_ns <= now && due_ns < end_ns; due_ns += (uint64_t)(1e9 / phases[phase].rate))
                arrive(due_ns);
        }
        if (due_ns < end_ns)
            return due_ns;
        phase_ns = due_ns = end_ns;
        phase++;
    }
    return 0;
}

static void run(void)
{
    struct epoll_event events[EVENTS];
    uint64_t next_ns = start_ns;
    while (next_ns != 0 || open_count > 0) {
        uint64_t now = now_ns(), until_ns = now + 20000000;
        next_ns = arrivals(now);
        while (later_count > 0 && shoppers[later[0]].due_ns <= now)
            press(take_earliest());
        if (next_ns != 0 && next_ns < until_ns)
            until_ns = next_ns;
        if (later_count > 0 && shoppers[later[0]].due_ns < until_ns)
            until_ns = shoppers[later[0]].due_ns;
        uint64_t wait_ns = until_ns > now ? until_ns - now : 0;
        struct timespec wait = { .tv_nsec = (long)wait_ns };
        int count = epoll_pwait2(poller, events, EVENTS, &wait, NULL);
        for (int i = 0; i < count; i++)
            read_line(events[i].data.ptr);
        press_next_waiting();
    }
}

int main(int argc, char **argv)
{
    assert(argc > 8 && argc - 8 <= PHASES);
    address = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)atoi(argv[1])),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    line_count = (uint32_t)atoi(argv[2]);
    prefix = argv[3];
    skus = (unsigned)atoi(argv[4]);
    patient_percent = (unsigned)atoi(argv[5]);
    tries = (unsigned)atoi(argv[6]);
    out = fopen(argv[7], "w");
    for (int i = 8; i < argc; i++, phase_count++)
        if (sscanf(argv[i], "%lf:%lf", &phases[phase_count].seconds, &phases[phase_count].rate) !=
            2)
            return 2;
    shoppers = calloc(SHOPPERS, sizeof *shoppers);
    later = calloc(SHOPPERS, sizeof *later);
    lines = calloc(line_count, sizeof *lines);
    free_lines = calloc(line_count, sizeof *free_lines);
    assert(out != NULL && shoppers != NULL && later != NULL && lines != NULL && free_lines != NULL);
    setvbuf(out, NULL, _IOFBF, 1 << 20);
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < line_count; i++) {
        connect_line(&lines[i]);
        give_back(&lines[i]);
    }
    start_ns = now_ns();
    printf("start %llu\n", (unsigned long long)start_ns);
    fflush(stdout);
    run();
    return fclose(out) == 0 ? 0 : 1;
}
