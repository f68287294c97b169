/* test_ring.c - real sockets on a real ring: no byte is lost, none comes twice, and every object ends with
 * exactly one terminal call. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "flashgate/base/log.h"
#include "flashgate/ring/ring.h"

enum {
    BUFFERS = 8,
    BUFFERS_APART = 2,
    BUFFER_BYTES = 64,
    SOCKETS = 64,
    STORY_BYTES = 64 << 10,
    PATIENCE_S = 20,
};

/* --- a ring with what it told ---------------------------------------------------------------------- */

struct fixture {
    struct fg_ring *ring;
    unsigned woken, flushed;
    struct rlimit descriptors;
};
static struct fixture fixture;

static void on_flush(void *owner)
{
    ((struct fixture *)owner)->flushed++;
}

static void on_woken(void *owner)
{
    ((struct fixture *)owner)->woken++;
}

static int open_ring_of(unsigned entries)
{
    struct fg_ring_settings settings = { .entries = entries,
                                         .buffers = BUFFERS,
                                         .buffers_apart = BUFFERS_APART,
                                         .buffer_bytes = BUFFER_BYTES,
                                         .sockets = SOCKETS,
                                         .flush = on_flush,
                                         .woken = on_woken,
                                         .owner = &fixture };
    struct fg_error error;
    fixture = (struct fixture){ 0 };
    (void)getrlimit(RLIMIT_NOFILE, &fixture.descriptors);
    if (fg_ring_open(&settings, &fixture.ring, &error) == FG_OK)
        return 0;
    print_error("%s\n", error.text);
    return -1;
}

static int open_ring(void **state)
{
    (void)state;
    return open_ring_of(64);
}

/* Two submissions at a time, and room for sixteen completions. */
static int open_narrow_ring(void **state)
{
    (void)state;
    return open_ring_of(2);
}

static uint64_t buffers_in_use(void)
{
    return fg_counter_read(&fg_ring_counts(fixture.ring)->buffers_in_use);
}

static uint64_t sockets_in_use(void)
{
    return fg_counter_read(&fg_ring_counts(fixture.ring)->sockets_in_use);
}

static int close_ring(void **state)
{
    (void)state;
    (void)setrlimit(RLIMIT_NOFILE, &fixture.descriptors);
    bool leaked = sockets_in_use() != 0 || buffers_in_use() != 0;
    if (sockets_in_use() == 0)
        fg_ring_close(&fixture.ring);
    return leaked ? -1 : 0;
}

static void turn(void)
{
    fg_ring_turn(fixture.ring, 5 * FG_MS_IN_NS);
}

static bool is_late(uint64_t deadline_ns)
{
    return fg_clock_steady_ns() > deadline_ns;
}

/* Turns until `condition` holds. */
#define TURN_UNTIL(condition)                                                                     \
    for (uint64_t give_up_ns = fg_clock_steady_ns() + PATIENCE_S * FG_SECOND_IN_NS; !(condition); \
         turn())                                                                                  \
        if (is_late(give_up_ns))                                                                  \
    fail_msg("not within %d s: %s", PATIENCE_S, #condition)

static void turn_some(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fg_ring_turn(fixture.ring, FG_MS_IN_NS);
}

/* --- a party: one end of a connection, on the ring ------------------------------------------------- */

struct party {
    struct fg_stream stream;
    char *heard; /* STORY_BYTES, all that was taken, in order */
    size_t heard_bytes;
    size_t most_taken; /* a call takes at most so much; SIZE_MAX: all */
    bool takes_random;
    bool closes_on_receive;      /* inside the call, after it took all */
    bool closes_on_taking_again; /* the same, but not in the first call */
    bool echoes, closes_at_end;
    char echo[BUFFER_BYTES];
    size_t echo_bytes;
    unsigned connected, received, ended, sent, closed;
    int connect_failure, end_failure, send_failure;
    size_t heard_at_end;
    uint64_t seed;
};

static struct party *party_of(struct fg_stream *stream)
{
    return FG_CONTAINER_OF(stream, struct party, stream);
}

static void on_connected(struct fg_stream *stream, int failure)
{
    struct party *party = party_of(stream);
    party->connected++;
    party->connect_failure = failure;
}

static size_t how_much(struct party *party, size_t length)
{
    size_t most =
        party->takes_random ? unit_random(&party->seed) % (2 * BUFFER_BYTES) : party->most_taken;
    return length < most ? length : most;
}

static size_t on_received(struct fg_stream *stream, const char *bytes, size_t length)
{
    struct party *party = party_of(stream);
    assert_int_equal(party->closed, 0);
    assert_true(fg_stream_is_open(stream));
    assert_true(length > 0);
    party->received++;
    if (party->echoes) { /* one answer at a time; what comes meanwhile waits */
        if (fg_stream_is_sending(stream))
            return 0;
        memcpy(party->echo, bytes, length);
        party->echo_bytes = length;
        fg_stream_send(stream, party->echo, length);
        return length;
    }
    size_t taken = how_much(party, length);
    assert_true(party->heard_bytes + taken <= STORY_BYTES);
    memcpy(party->heard + party->heard_bytes, bytes, taken);
    party->heard_bytes += taken;
    if (party->closes_on_receive || (party->closes_on_taking_again && party->received > 1))
        fg_stream_close(stream);
    return taken;
}

static void on_ended(struct fg_stream *stream, int failure)
{
    struct party *party = party_of(stream);
    assert_int_equal(party->closed, 0);
    party->ended++;
    party->end_failure = failure;
    party->heard_at_end = party->heard_bytes;
    if (party->closes_at_end)
        fg_stream_close(stream);
}

static void on_sent(struct fg_stream *stream, int failure)
{
    struct party *party = party_of(stream);
    assert_int_equal(party->closed, 0);
    assert_false(fg_stream_is_sending(stream));
    party->sent++;
    party->send_failure = failure;
    if (party->echoes && failure == 0)
        fg_stream_resume(stream);
}

static void on_closed(struct fg_stream *stream)
{
    party_of(stream)->closed++;
    memset(stream, 0xee, sizeof *stream); /* the memory is ours again */
}

static const struct fg_stream_calls calls = { .connected = on_connected,
                                              .received = on_received,
                                              .ended = on_ended,
                                              .sent = on_sent,
                                              .closed = on_closed };

static void init_party(struct party *party)
{
    *party = (struct party){ .most_taken = SIZE_MAX, .heard = malloc(STORY_BYTES), .seed = 17 };
    assert_non_null(party->heard);
}

/* A party on the ring and the other end as a plain descriptor, which is returned. */
static int meet(struct party *party)
{
    int ends[2];
    init_party(party);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fg_stream_attach(fixture.ring, &party->stream, ends[0], &calls), FG_OK);
    assert_true(fg_stream_is_open(&party->stream));
    return ends[1];
}

static void part(struct party *party)
{
    if (party->closed == 0) {
        fg_stream_close(&party->stream);
        fg_stream_close(&party->stream); /* harmless when repeated */
    }
    TURN_UNTIL(party->closed > 0);
    turn_some(3);
    assert_int_equal(party->closed, 1);
    free(party->heard);
}

static void say(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0)
            fail_msg("write: %s", strerror(errno));
        bytes += written;
        length -= (size_t)written;
    }
}

/* Bytes whose order can be told. */
static char *story(size_t length)
{
    char *bytes = malloc(length);
    uint64_t seed = 9;
    assert_non_null(bytes);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)unit_random(&seed);
    return bytes;
}

/* --- streams ---------------------------------------------------------------------------------------- */

static void what_is_sent_comes_back(void **state)
{
    struct party party;
    char answer[8] = "";
    (void)state;
    int fd = meet(&party);
    party.echoes = true;
    say(fd, "hello", 5);
    TURN_UNTIL(party.sent == 1);
    assert_int_equal(party.send_failure, 0);
    assert_int_equal(read(fd, answer, sizeof answer), 5);
    assert_string_equal(answer, "hello");
    assert_int_equal(party.ended, 0);
    close(fd);
    TURN_UNTIL(party.ended == 1);
    assert_int_equal(party.end_failure, 0);
    part(&party);
    assert_int_equal(party.ended, 1);
}

struct talker {
    int fd;
    char *story;
    size_t length;
};

static void *talk(void *argument)
{
    struct talker *talker = argument;
    uint64_t seed = 3;
    for (size_t at = 0; at < talker->length;) {
        size_t piece = 1 + unit_random(&seed) % 700;
        if (piece > talker->length - at)
            piece = talker->length - at;
        say(talker->fd, talker->story + at, piece);
        at += piece;
    }
    (void)shutdown(talker->fd, SHUT_WR);
    return NULL;
}

static void partly_taken_bytes_keep_their_order(void **state)
{
    struct party party;
    pthread_t thread;
    uint64_t seed = 4;
    (void)state;
    int fd = meet(&party);
    party.takes_random = true;
    struct talker talker = { fd, story(STORY_BYTES), STORY_BYTES };
    assert_int_equal(pthread_create(&thread, NULL, talk, &talker), 0);
    while (party.ended == 0) {
        turn();
        if (unit_random(&seed) % 4 != 0) /* now and then it lets them wait */
            fg_stream_resume(&party.stream);
        assert_true(buffers_in_use() <= BUFFERS);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(party.heard_bytes, STORY_BYTES);
    assert_int_equal(party.heard_at_end, STORY_BYTES);
    assert_memory_equal(party.heard, talker.story, STORY_BYTES);
    assert_int_equal(buffers_in_use(), 0);
    free(talker.story);
    close(fd);
    part(&party);
    assert_int_equal(party.ended, 1);
}

static void a_paused_stream_is_not_called(void **state)
{
    struct party party;
    (void)state;
    int fd = meet(&party);
    party.most_taken = 3;
    say(fd, "hello", 5);
    TURN_UNTIL(party.received == 1);
    say(fd, "world", 5);
    turn_some(5);
    assert_int_equal(party.received, 1);
    assert_int_equal(party.heard_bytes, 3);
    fg_stream_resume(&party.stream);
    assert_int_equal(party.received, 1); /* never inside the call */
    party.most_taken = SIZE_MAX;
    TURN_UNTIL(party.heard_bytes == 10);
    assert_memory_equal(party.heard, "helloworld", 10);
    close(fd);
    part(&party);
}

static void the_end_is_told_after_the_kept_bytes(void **state)
{
    struct party party;
    (void)state;
    int fd = meet(&party);
    party.most_taken = 0;
    say(fd, "last words", 10);
    close(fd);
    TURN_UNTIL(party.received == 1);
    turn_some(5);
    assert_int_equal(party.ended, 0);
    party.most_taken = 4;
    fg_stream_resume(&party.stream);
    TURN_UNTIL(party.heard_bytes == 4);
    turn_some(3);
    assert_int_equal(party.ended, 0);
    party.most_taken = SIZE_MAX;
    fg_stream_resume(&party.stream);
    TURN_UNTIL(party.ended == 1);
    assert_int_equal(party.heard_at_end, 10);
    assert_int_equal(party.end_failure, 0);
    part(&party);
}

static void closing_with_kept_bytes_gives_the_buffers_back(void **state)
{
    struct party party;
    char noise[BUFFER_BYTES * BUFFERS] = "";
    (void)state;
    int fd = meet(&party);
    party.most_taken = 1;
    say(fd, noise, sizeof noise);
    TURN_UNTIL(party.received == 1);
    turn_some(5);
    assert_true(buffers_in_use() > 0);
    close(fd);
    part(&party);
    assert_int_equal(buffers_in_use(), 0);
}

/* One peer that is never heard out must leave buffers to the others. */
static void a_greedy_peer_takes_few_buffers(void **state)
{
    struct party greedy, other;
    char noise[BUFFER_BYTES * BUFFERS * 4] = "";
    (void)state;
    int greedy_fd = meet(&greedy), fd = meet(&other);
    greedy.most_taken = 0;
    for (int i = 0; i < 8; i++) {
        say(greedy_fd, noise, 2 * BUFFER_BYTES);
        turn_some(2);
    }
    assert_true(buffers_in_use() < BUFFERS);
    say(fd, "hello", 5);
    TURN_UNTIL(other.heard_bytes == 5);
    close(fd);
    close(greedy_fd);
    part(&greedy);
    part(&other);
}

static void closing_inside_received_is_the_end(void **state)
{
    struct party party;
    (void)state;
    int fd = meet(&party);
    party.closes_on_receive = true;
    say(fd, "hello", 5);
    TURN_UNTIL(party.closed == 1);
    assert_int_equal(party.received, 1);
    assert_int_equal(party.ended, 0);
    close(fd);
    part(&party);
}

/* The same while kept bytes are delivered: the buffer that is being read goes back once, not twice. */
static void closing_inside_a_kept_delivery_is_the_end(void **state)
{
    (void)state;
    for (int takes_all = 0; takes_all < 2; takes_all++) {
        struct party party;
        char noise[BUFFER_BYTES * 3] = "";
        int fd = meet(&party);
        party.most_taken = 1;
        party.closes_on_taking_again = true;
        say(fd, noise, sizeof noise);
        TURN_UNTIL(party.received == 1);
        turn_some(5);
        party.most_taken = takes_all ? SIZE_MAX : 1;
        fg_stream_resume(&party.stream);
        TURN_UNTIL(party.closed == 1);
        assert_int_equal(party.received, 2);
        assert_int_equal(buffers_in_use(), 0);
        close(fd);
        part(&party);
    }
}

static void closing_while_sending_and_receiving_ends_once(void **state)
{
    static char flood[1 << 20];
    struct party party;
    (void)state;
    int fd = meet(&party);
    fg_stream_send(&party.stream, flood, sizeof flood); /* nobody reads it */
    assert_true(fg_stream_is_sending(&party.stream));
    say(fd, "hello", 5);
    TURN_UNTIL(party.heard_bytes == 5);
    assert_int_equal(party.sent, 0);
    fg_stream_close(&party.stream);
    assert_false(fg_stream_is_open(&party.stream));
    say(fd, "too late", 8);
    part(&party);
    assert_int_equal(party.heard_bytes, 5);
    assert_int_equal(party.sent, 1);
    assert_int_equal(party.ended, 0);
    close(fd);
}

static void closing_at_once_ends_once(void **state)
{
    struct party party;
    (void)state;
    int fd = meet(&party);
    fg_stream_close(&party.stream); /* before the kernel has seen anything */
    part(&party);
    assert_int_equal(party.received + party.ended + party.sent, 0);
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0);
    close(fd);
}

static void a_large_send_goes_out_whole(void **state)
{
    struct party party;
    char *flood = story(STORY_BYTES * 8);
    size_t read_bytes = 0;
    (void)state;
    int fd = meet(&party);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    fg_stream_send(&party.stream, flood, (size_t)STORY_BYTES * 8);
    while (read_bytes < (size_t)STORY_BYTES * 8) {
        char bytes[3000];
        fg_ring_turn(fixture.ring, FG_MS_IN_NS);
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0)
            continue;
        assert_true(n > 0);
        assert_memory_equal(bytes, flood + read_bytes, (size_t)n);
        read_bytes += (size_t)n;
    }
    TURN_UNTIL(party.sent == 1);
    assert_int_equal(party.send_failure, 0);
    close(fd);
    part(&party);
    free(flood);
}

static void sending_to_nobody_fails_without_a_signal(void **state)
{
    struct party party;
    (void)state;
    int fd = meet(&party);
    close(fd);
    TURN_UNTIL(party.ended == 1);
    fg_stream_send(&party.stream, "hello", 5);
    TURN_UNTIL(party.sent == 1);
    assert_int_equal(party.send_failure, EPIPE);
    part(&party);
}

static void half_closed_it_still_hears(void **state)
{
    struct party party;
    char byte;
    (void)state;
    int fd = meet(&party);
    fg_stream_end(&party.stream);
    assert_int_equal(read(fd, &byte, 1), 0);
    say(fd, "hello", 5);
    TURN_UNTIL(party.heard_bytes == 5);
    close(fd);
    part(&party);
}

/* Five times as many peers as buffers, all at once, each with more than a buffer. */
static void more_peers_than_buffers_are_all_served(void **state)
{
    enum {
        PEERS = BUFFERS * 5,
        WORDS = BUFFER_BYTES * 3
    };
    static struct party parties[PEERS];
    int fds[PEERS];
    char *words = story(WORDS);
    (void)state;
    for (int i = 0; i < PEERS; i++) {
        fds[i] = meet(&parties[i]);
        parties[i].takes_random = true;
        parties[i].seed = (uint64_t)i;
    }
    turn_some(1);
    for (int i = 0; i < PEERS; i++)
        say(fds[i], words, WORDS);
    for (int round = 0; round < 10000; round++) {
        int served = 0;
        for (int i = 0; i < PEERS; i++) {
            served += parties[i].heard_bytes == WORDS;
            fg_stream_resume(&parties[i].stream);
        }
        if (served == PEERS)
            break;
        fg_ring_turn(fixture.ring, FG_MS_IN_NS);
    }
    for (int i = 0; i < PEERS; i++) {
        assert_int_equal(parties[i].heard_bytes, WORDS);
        assert_memory_equal(parties[i].heard, words, WORDS);
    }
    assert_true(fg_counter_read(&fg_ring_counts(fixture.ring)->buffer_shortages) > 0);
    assert_int_equal(buffers_in_use(), 0);
    for (int i = 0; i < PEERS; i++) {
        close(fds[i]);
        part(&parties[i]);
    }
    free(words);
}

/* Everybody sends in one turn: three times as many completions as the queue has room for. None is lost. */
static void a_completion_queue_that_runs_over_loses_nothing(void **state)
{
    enum {
        PEERS = 48
    };
    static struct party parties[PEERS];
    int fds[PEERS];
    char heard[2] = "";
    (void)state;
    for (int i = 0; i < PEERS; i++)
        fds[i] = meet(&parties[i]);
    turn_some(3);
    for (int i = 0; i < PEERS; i++)
        fg_stream_send(&parties[i].stream, "a", 1);
    for (int i = 0; i < PEERS; i++) {
        TURN_UNTIL(parties[i].sent == 1);
        assert_int_equal(parties[i].send_failure, 0);
        assert_int_equal(read(fds[i], heard, 1), 1);
    }
    assert_true(fg_counter_read(&fg_ring_counts(fixture.ring)->cq_overflows) > 0);
    assert_int_equal(fg_counter_read(&fg_ring_counts(fixture.ring)->cq_lost), 0);

    for (int i = 0; i < PEERS; i++) /* and it goes on */
        say(fds[i], "b", 1);
    for (int i = 0; i < PEERS; i++) {
        TURN_UNTIL(parties[i].heard_bytes == 1);
        assert_int_equal(parties[i].sent, 1);
        close(fds[i]);
        part(&parties[i]);
    }
}

/* Opens, talks, pauses, closes in any order and at any time: at the end nothing is left over. */
static void random_lives_leave_nothing_behind(void **state)
{
    enum {
        PEERS = 24,
        STEPS = 20000
    };
    static struct party parties[PEERS];
    int fds[PEERS];
    bool lives[PEERS] = { false };
    char noise[BUFFER_BYTES * 2] = "";
    uint64_t seed = 21;
    (void)state;
    for (int step = 0; step < STEPS; step++) {
        size_t i = unit_random(&seed) % PEERS;
        struct party *party = &parties[i];
        if (!lives[i]) {
            fds[i] = meet(party);
            assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
            party->takes_random = true;
            party->seed = seed;
            party->closes_on_taking_again = unit_random(&seed) % 4 == 0;
            party->closes_at_end = true;
            lives[i] = true;
        } else if (party->closed > 0) {
            assert_int_equal(party->closed, 1);
            free(party->heard);
            if (fds[i] >= 0)
                close(fds[i]);
            lives[i] = false;
        } else {
            switch (unit_random(&seed) % 8) {
            case 0:
                fg_stream_close(&party->stream);
                break;
            case 1:
                if (fds[i] >= 0)
                    close(fds[i]);
                fds[i] = -1;
                break;
            case 2:
                if (fg_stream_is_open(&party->stream) && !fg_stream_is_sending(&party->stream))
                    fg_stream_send(&party->stream, noise, sizeof noise);
                break;
            case 3:
            case 4:
                party->heard_bytes = 0;
                fg_stream_resume(&party->stream);
                break;
            default:
                party->heard_bytes = 0;
                if (fds[i] >= 0 && write(fds[i], noise, 1 + unit_random(&seed) % sizeof noise) < 0)
                    assert_int_equal(errno, EAGAIN);
            }
        }
        if (unit_random(&seed) % 3 == 0)
            fg_ring_turn(fixture.ring, 0);
        assert_true(buffers_in_use() <= BUFFERS);
    }
    for (size_t i = 0; i < PEERS; i++) {
        if (!lives[i])
            continue;
        part(&parties[i]);
        if (fds[i] >= 0)
            close(fds[i]);
    }
    assert_int_equal(sockets_in_use(), 0);
    assert_int_equal(buffers_in_use(), 0);
}

/* --- connecting and listening ------------------------------------------------------------------------ */

struct door {
    struct fg_listener listener;
    int fds[16];
    unsigned accepted, closed;
};

static void on_accepted(struct fg_listener *listener, int fd)
{
    struct door *door = listener->owner;
    assert_int_equal(door->closed, 0);
    assert_true(door->accepted < FG_COUNT_OF(door->fds));
    door->fds[door->accepted++] = fd;
}

static void on_door_closed(struct fg_listener *listener)
{
    ((struct door *)listener->owner)->closed++;
}

/* Listens on a port of the kernel's choice, which goes into *address. */
static void open_door(struct door *door, struct fg_address *address)
{
    struct fg_error error;
    assert_true(fg_address_parse("127.0.0.1:0", address));
    int fd = fg_listen(address, true, 16, &error);
    assert_true(fd >= 0);
    assert_int_equal(getsockname(fd, &address->socket.any, &address->length), 0);
    *door = (struct door){ .listener = {
                               .accepted = on_accepted, .closed = on_door_closed, .owner = door } };
    assert_int_equal(fg_listener_start(fixture.ring, &door->listener, fd, &error), FG_OK);
}

static int knock(const struct fg_address *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address->socket.any, address->length), 0);
    return fd;
}

static void close_door(struct door *door)
{
    if (door->closed == 0)
        fg_listener_stop(&door->listener);
    TURN_UNTIL(door->closed > 0);
    turn_some(3);
    assert_int_equal(door->closed, 1);
    for (unsigned i = 0; i < door->accepted; i++)
        close(door->fds[i]);
}

static void connections_are_made_over_loopback(void **state)
{
    struct fg_address address;
    struct fg_error error;
    struct door door;
    struct party party;
    (void)state;
    open_door(&door, &address);
    init_party(&party);
    assert_int_equal(fg_stream_connect(fixture.ring, &party.stream, &address, &calls, &error),
                     FG_OK);
    memset(&address, 0xee, sizeof address); /* may be forgotten at return */
    assert_false(fg_stream_is_open(&party.stream));
    TURN_UNTIL(party.connected == 1 && door.accepted == 1);
    assert_int_equal(party.connect_failure, 0);
    assert_true(fg_stream_is_open(&party.stream));
    say(door.fds[0], "welcome", 7);
    TURN_UNTIL(party.heard_bytes == 7);
    part(&party);
    close_door(&door);
}

/* Peers that are not heard out keep every buffer; who was called by us is heard all the same. */
static void a_connected_stream_never_waits_for_the_others(void **state)
{
    struct fg_address address;
    struct fg_error error;
    struct door door;
    struct party peers[BUFFERS], party;
    int fds[BUFFERS];
    (void)state;
    for (unsigned i = 0; i < BUFFERS; i++) {
        fds[i] = meet(&peers[i]);
        peers[i].most_taken = 0;
        say(fds[i], "?", 1);
    }
    TURN_UNTIL(buffers_in_use() == BUFFERS);
    open_door(&door, &address);
    init_party(&party);
    assert_int_equal(fg_stream_connect(fixture.ring, &party.stream, &address, &calls, &error),
                     FG_OK);
    TURN_UNTIL(party.connected == 1 && door.accepted == 1);
    say(door.fds[0], "welcome", 7);
    TURN_UNTIL(party.heard_bytes == 7);
    part(&party);
    close_door(&door);
    for (unsigned i = 0; i < BUFFERS; i++) {
        close(fds[i]);
        part(&peers[i]);
    }
}

static void a_refused_connect_says_why(void **state)
{
    struct fg_address address;
    struct fg_error error;
    struct door door;
    struct party party;
    (void)state;
    open_door(&door, &address); /* a port that nobody else has… */
    close_door(&door);          /* …and nobody listens on */
    init_party(&party);
    assert_int_equal(fg_stream_connect(fixture.ring, &party.stream, &address, &calls, &error),
                     FG_OK);
    TURN_UNTIL(party.connected == 1);
    assert_int_equal(party.connect_failure, ECONNREFUSED);
    assert_int_equal(party.closed, 0); /* closing is the owner's */
    part(&party);
    assert_int_equal(party.connected, 1);
}

static void a_connect_may_be_given_up(void **state)
{
    struct fg_address address;
    struct fg_error error;
    struct party party;
    (void)state;
    init_party(&party);
    assert_true(fg_address_parse("192.0.2.1:9", &address)); /* TEST-NET-1: no answer, or no route */
    assert_int_equal(fg_stream_connect(fixture.ring, &party.stream, &address, &calls, &error),
                     FG_OK);
    fg_stream_close(&party.stream);
    part(&party);
    assert_int_equal(party.connected, 0);
}

static void a_stopped_listener_takes_who_is_queued(void **state)
{
    struct fg_address address;
    struct door door;
    int clients[3];
    char answer[3] = "";
    (void)state;
    open_door(&door, &address);
    turn_some(1);
    for (size_t i = 0; i < FG_COUNT_OF(clients); i++)
        clients[i] = knock(&address);
    fg_listener_stop(&door.listener);
    fg_listener_stop(&door.listener);
    TURN_UNTIL(door.closed == 1);
    assert_int_equal(door.accepted, FG_COUNT_OF(clients));
    for (size_t i = 0; i < FG_COUNT_OF(clients); i++) {
        say(door.fds[i], "ok", 2);
        assert_int_equal(read(clients[i], answer, 2), 2);
        assert_string_equal(answer, "ok");
        close(clients[i]);
    }
    close_door(&door);
}

/* The accept was never given to the kernel: stopping must take the queue by itself. */
static void a_listener_stopped_at_once_takes_who_is_queued(void **state)
{
    struct fg_address address;
    struct door door;
    (void)state;
    open_door(&door, &address);
    int client = knock(&address);
    fg_listener_stop(&door.listener);
    TURN_UNTIL(door.closed == 1);
    assert_int_equal(door.accepted, 1);
    close(client);
    close_door(&door);
}

/* Leaves two descriptors, until allow_descriptors. The kernel looks at the limit when an accept is armed. */
static void leave_two_descriptors(void)
{
    int one = open("/dev/null", O_RDONLY | O_CLOEXEC), two = dup(one);
    assert_true(one >= 0 && two > one);
    close(one);
    close(two);
    struct rlimit tight = { (rlim_t)two + 1, fixture.descriptors.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
}

static void allow_descriptors(void)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &fixture.descriptors), 0);
}

static void a_listener_outlives_a_lack_of_descriptors(void **state)
{
    struct fg_address address;
    struct door door;
    (void)state;
    leave_two_descriptors();
    open_door(&door, &address);
    int client = knock(&address); /* takes the last one */
    turn_some(10);
    unsigned accepted = door.accepted;
    allow_descriptors();
    assert_int_equal(accepted, 0);
    TURN_UNTIL(door.accepted == 1);
    close(client);
    close_door(&door);
}

/* Stalled listeners that are stopped must not be woken in the listeners that come after them. */
static void a_stalled_listener_can_be_stopped(void **state)
{
    (void)state;
    struct door doors[3];
    int clients[FG_COUNT_OF(doors)];
    struct fg_address address;
    for (size_t i = 0; i < FG_COUNT_OF(doors); i++) {
        leave_two_descriptors();
        open_door(&doors[i], &address);
        clients[i] = knock(&address);
        for (int round = 0; round < 100 && !doors[i].listener.is_waiting; round++)
            fg_ring_turn(fixture.ring, 0);
        allow_descriptors();
        assert_true(doors[i].listener.is_waiting);
        if (i + 1 < FG_COUNT_OF(doors)) { /* the last one takes the slot of those before */
            fg_listener_stop(&doors[i].listener);
            while (doors[i].closed == 0)
                fg_ring_turn(fixture.ring, 0);
            assert_int_equal(doors[i].accepted, 1);
        }
    }
    TURN_UNTIL(doors[2].accepted == 1);
    turn_some(30);
    for (size_t i = 0; i < FG_COUNT_OF(doors); i++) {
        close(clients[i]);
        close_door(&doors[i]);
    }
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* nobody listens any more */
    assert_int_equal(connect(late, &address.socket.any, address.length), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(late);
    turn_some(3);
}

/* --- wake, watch, timers, limits --------------------------------------------------------------------- */

static void *wake_thrice(void *ring)
{
    usleep(20000);
    for (int i = 0; i < 3; i++)
        fg_ring_wake(ring);
    return NULL;
}

static void another_thread_wakes_it(void **state)
{
    pthread_t thread;
    (void)state;
    turn_some(1);
    for (unsigned round = 1; round <= 3; round++) {
        fixture.woken = 0;
        uint64_t started_ns = fg_clock_steady_ns();
        assert_int_equal(pthread_create(&thread, NULL, wake_thrice, fixture.ring), 0);
        while (fixture.woken == 0)
            fg_ring_turn(fixture.ring, PATIENCE_S * FG_SECOND_IN_NS);
        assert_true(fg_clock_steady_ns() - started_ns < PATIENCE_S * FG_SECOND_IN_NS / 2);
        assert_int_equal(pthread_join(thread, NULL), 0);
        turn_some(3);
        assert_true(fixture.woken <= 3);
    }
}

static void wakes_before_the_wait_are_one(void **state)
{
    (void)state;
    turn_some(1);
    for (int i = 0; i < 5; i++)
        fg_ring_wake(fixture.ring);
    TURN_UNTIL(fixture.woken > 0);
    turn_some(3);
    assert_int_equal(fixture.woken, 1);
}

struct watcher {
    struct fg_watch watch;
    unsigned readable, closed;
    bool reads;
};

static void on_readable(struct fg_watch *watch)
{
    struct watcher *watcher = FG_CONTAINER_OF(watch, struct watcher, watch);
    uint64_t value;
    watcher->readable++;
    if (watcher->reads)
        assert_int_equal(read(watch->fd, &value, sizeof value), sizeof value);
}

static void on_watch_closed(struct fg_watch *watch)
{
    FG_CONTAINER_OF(watch, struct watcher, watch)->closed++;
}

static void a_watch_tells_as_long_as_there_is_something(void **state)
{
    struct fg_error error;
    uint64_t one = 1;
    struct watcher watcher = { .watch = { .readable = on_readable, .closed = on_watch_closed } };
    (void)state;
    int fd = eventfd(0, EFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fg_watch_start(fixture.ring, &watcher.watch, fd, &error), FG_OK);
    turn_some(2);
    assert_int_equal(watcher.readable, 0);
    assert_int_equal(write(fd, &one, sizeof one), sizeof one);
    TURN_UNTIL(watcher.readable == 3); /* nobody read it: again and again */
    watcher.reads = true;
    TURN_UNTIL(watcher.readable == 4);
    turn_some(3);
    assert_int_equal(watcher.readable, 4);
    assert_int_equal(write(fd, &one, sizeof one), sizeof one);
    TURN_UNTIL(watcher.readable == 5);
    fg_watch_stop(&watcher.watch);
    fg_watch_stop(&watcher.watch);
    assert_int_equal(write(fd, &one, sizeof one), sizeof one);
    TURN_UNTIL(watcher.closed == 1);
    turn_some(3);
    assert_int_equal(watcher.closed, 1);
    assert_int_equal(watcher.readable, 5);
    assert_true(fcntl(fd, F_GETFD) >= 0); /* stays the owner's */
    close(fd);
}

struct alarm {
    struct fg_timer timer;
    uint64_t fired_ns;
};

static void on_alarm(struct fg_timer *timer, uint64_t now_ns)
{
    FG_CONTAINER_OF(timer, struct alarm, timer)->fired_ns = now_ns;
}

static void a_timer_ends_the_wait(void **state)
{
    struct alarm alarm = { 0 };
    (void)state;
    turn_some(1);
    fg_timer_init(&alarm.timer, on_alarm);
    uint64_t due_ns = fg_ring_now_ns(fixture.ring) + 30 * FG_MS_IN_NS;
    fg_timer_set(fg_ring_timers(fixture.ring), &alarm.timer, due_ns);
    while (alarm.fired_ns == 0)
        fg_ring_turn(fixture.ring, PATIENCE_S * FG_SECOND_IN_NS);
    assert_true(alarm.fired_ns >= due_ns);
    assert_true(alarm.fired_ns - due_ns < PATIENCE_S * FG_SECOND_IN_NS / 2);
}

static void every_turn_flushes_once(void **state)
{
    (void)state;
    turn_some(7);
    assert_int_equal(fixture.flushed, 7);
}

static void exhausted_sockets_are_refused(void **state)
{
    static struct party parties[SOCKETS];
    struct fg_address address;
    struct fg_error error;
    struct party surplus;
    int fds[SOCKETS], ends[2];
    (void)state;
    for (int i = 0; i < SOCKETS; i++)
        fds[i] = meet(&parties[i]);
    init_party(&surplus);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fg_stream_attach(fixture.ring, &surplus.stream, ends[0], &calls),
                     FG_EXHAUSTED);
    assert_true(fcntl(ends[0], F_GETFD) >= 0); /* the caller still owns it */
    assert_true(fg_address_parse("127.0.0.1:9", &address));
    assert_int_equal(fg_stream_connect(fixture.ring, &surplus.stream, &address, &calls, &error),
                     FG_EXHAUSTED);
    struct watcher watcher = { .watch = { .readable = on_readable } };
    assert_int_equal(fg_watch_start(fixture.ring, &watcher.watch, ends[0], &error), FG_EXHAUSTED);
    struct fg_listener listener = { .accepted = on_accepted, .closed = on_door_closed };
    assert_true(fg_address_parse("127.0.0.1:0", &address));
    int fd = fg_listen(&address, false, 1, &error);
    assert_true(fd >= 0);
    assert_int_equal(fg_listener_start(fixture.ring, &listener, fd, &error), FG_EXHAUSTED);
    assert_true(fcntl(fd, F_GETFD) < 0); /* taken over, and closed */

    part(&parties[5]);
    close(fds[5]);
    assert_int_equal(fg_stream_attach(fixture.ring, &surplus.stream, ends[0], &calls), FG_OK);
    say(ends[1], "hello", 5);
    TURN_UNTIL(surplus.heard_bytes == 5);
    part(&surplus);
    close(ends[1]);
    for (int i = 0; i < SOCKETS; i++) {
        if (i == 5)
            continue;
        close(fds[i]);
        part(&parties[i]);
    }
}

/* --- addresses ---------------------------------------------------------------------------------------- */

static void addresses_are_read_and_written(void **state)
{
    static const char *const good[] = { "127.0.0.1:8080",      "[::1]:8080",
                                        "0.0.0.0:0",           "[::]:65535",
                                        "unix:run/admin.sock", "unix:/run/a:b.sock" };
    static const char *const bad[] = { "",
                                       "8080",
                                       ":8080",
                                       "127.0.0.1",
                                       "127.0.0.1:",
                                       "127.0.0.1:65536",
                                       "127.0.0.1:080",
                                       "127.0.0.1:-1",
                                       "127.0.0.1: 1",
                                       "127.1:80",
                                       "127.0.0.1.5:80",
                                       "::1:8080",
                                       "[]:80",
                                       "[::1]",
                                       "[::1:80",
                                       "unix:",
                                       "shop:80" };
    struct fg_address address;
    char text[FG_ADDRESS_TEXT_BYTES], path[200];
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(good); i++) {
        assert_true(fg_address_parse(good[i], &address));
        fg_address_text(&address, text);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        if (fg_address_parse(bad[i], &address))
            fail_msg("\"%s\" was taken for an address", bad[i]);
    size_t most = sizeof address.socket.local.sun_path - 1;
    memset(path, 'a', sizeof path);
    memcpy(path, "unix:", 5);
    path[5 + most] = '\0';
    assert_true(fg_address_parse(path, &address));
    fg_address_text(&address, text);
    assert_string_equal(text, path);
    path[5 + most] = 'a';
    path[5 + most + 1] = '\0';
    assert_false(fg_address_parse(path, &address));
}

static void a_unix_socket_belongs_to_one(void **state)
{
    char folder[] = "/tmp/fg-test-ring-XXXXXX", text[64];
    struct fg_address address;
    struct fg_error error;
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(text, sizeof text, "unix:%s/a.sock", folder);
    assert_true(fg_address_parse(text, &address));
    int first = fg_listen(&address, false, 4, &error);
    assert_true(first >= 0);
    assert_int_equal(fg_listen(&address, false, 4, &error), -1);
    assert_int_equal(error.result, FG_UNREACHABLE);
    assert_non_null(strstr(error.text, "another program"));
    close(first); /* the file stays, and is stale */
    int second = fg_listen(&address, false, 4, &error);
    assert_true(second >= 0);
    close(second);
    assert_int_equal(unlink(text + strlen("unix:")), 0);
    assert_int_equal(rmdir(folder), 0);
}

#define ON_A_RING(test) cmocka_unit_test_setup_teardown(test, open_ring, close_ring)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_RING(what_is_sent_comes_back),
        ON_A_RING(partly_taken_bytes_keep_their_order),
        ON_A_RING(a_paused_stream_is_not_called),
        ON_A_RING(the_end_is_told_after_the_kept_bytes),
        ON_A_RING(closing_with_kept_bytes_gives_the_buffers_back),
        ON_A_RING(a_greedy_peer_takes_few_buffers),
        ON_A_RING(closing_inside_received_is_the_end),
        ON_A_RING(closing_inside_a_kept_delivery_is_the_end),
        ON_A_RING(closing_while_sending_and_receiving_ends_once),
        ON_A_RING(closing_at_once_ends_once),
        ON_A_RING(a_large_send_goes_out_whole),
        ON_A_RING(sending_to_nobody_fails_without_a_signal),
        ON_A_RING(half_closed_it_still_hears),
        ON_A_RING(more_peers_than_buffers_are_all_served),
        cmocka_unit_test_setup_teardown(a_completion_queue_that_runs_over_loses_nothing,
                                        open_narrow_ring, close_ring),
        ON_A_RING(random_lives_leave_nothing_behind),
        ON_A_RING(connections_are_made_over_loopback),
        ON_A_RING(a_connected_stream_never_waits_for_the_others),
        ON_A_RING(a_refused_connect_says_why),
        ON_A_RING(a_connect_may_be_given_up),
        ON_A_RING(a_stopped_listener_takes_who_is_queued),
        ON_A_RING(a_listener_stopped_at_once_takes_who_is_queued),
        ON_A_RING(a_listener_outlives_a_lack_of_descriptors),
        ON_A_RING(a_stalled_listener_can_be_stopped),
        ON_A_RING(another_thread_wakes_it),
        ON_A_RING(wakes_before_the_wait_are_one),
        ON_A_RING(a_watch_tells_as_long_as_there_is_something),
        ON_A_RING(a_timer_ends_the_wait),
        ON_A_RING(every_turn_flushes_once),
        ON_A_RING(exhausted_sockets_are_refused),
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(a_unix_socket_belongs_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
