/* floor.c - the least that an HTTP answer costs on this machine: one fixed 429 for every empty line that comes in.
 *
 * io_uring with multishot accept, multishot receive into provided buffers and a send an answer; nothing is parsed,
 * kept or limited. It is no server, only the number to hold servers against. One thread; ends with SIGTERM.
 *
 *   floor PORT */
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ENTRIES = 1024,
    COMPLETIONS = 16384,
    BUFFERS = 2048, /* a power of two */
    BUFFER_BYTES = 2048,
    BUFFER_GROUP = 7
};

enum what {
    ACCEPTED,
    RECEIVED,
    SENT
};

static const char answer[] = "HTTP/1.1 429 Too Many Requests\r\n"
                             "Content-Type: application/problem+json\r\n"
                             "Content-Length: 2\r\n"
                             "\r\n"
                             "{}";

static struct io_uring ring;
static struct io_uring_buf_ring *free_buffers;
static char *buffers;

static struct io_uring_sqe *next_entry(enum what what, int socket)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
    if (entry == NULL) { /* full: hand over what is there */
        io_uring_submit(&ring);
        entry = io_uring_get_sqe(&ring);
    }
    memset(entry, 0, sizeof *entry);
    entry->user_data = (uint64_t)what << 32 | (uint32_t)socket;
    return entry;
}

static void receive(int socket)
{
    struct io_uring_sqe *entry = next_entry(RECEIVED, socket);
    uint64_t tag = entry->user_data;
    io_uring_prep_recv_multishot(entry, socket, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = BUFFER_GROUP;
    entry->user_data = tag;
}

static void give_back(unsigned number)
{
    io_uring_buf_ring_add(free_buffers, buffers + (size_t)number * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)number, BUFFERS - 1, 0);
    io_uring_buf_ring_advance(free_buffers, 1);
}

static void answer_each(int socket, const char *at, size_t length)
{
    const char *end = at + length;
    while ((at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
        struct io_uring_sqe *entry = next_entry(SENT, socket);
        uint64_t tag = entry->user_data;
        io_uring_prep_send(entry, socket, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_WAITALL);
        entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
        entry->user_data = tag;
        at += 4;
    }
}

static void take(const struct io_uring_cqe *done)
{
    int socket = (int)(uint32_t)done->user_data, one = 1;
    enum what what = (enum what)(done->user_data >> 32);

    if (what == ACCEPTED && done->res >= 0) {
        setsockopt(done->res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        receive(done->res);
    } else if (what == RECEIVED && done->res > 0) {
        unsigned number = done->flags >> IORING_CQE_BUFFER_SHIFT;
        answer_each(socket, buffers + (size_t)number * BUFFER_BYTES, (size_t)done->res);
        give_back(number);
        if ((done->flags & IORING_CQE_F_MORE) == 0)
            receive(socket);
    } else if (what == RECEIVED && done->res == -ENOBUFS) {
        receive(socket);
    } else if (what == RECEIVED) {
        close(socket);
    }
}

static int listen_on(int port)
{
    struct sockaddr_in here = { .sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) != 0 || listen(listener, 4096) != 0) {
        perror("floor: listen");
        exit(1);
    }
    return listener;
}

static void must(int result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "floor: %s: %s\n", what, strerror(-result));
        exit(1);
    }
}

static void set_up(void)
{
    struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER |
                                               IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                      .cq_entries = COMPLETIONS };
    size_t ring_bytes = BUFFERS * sizeof(struct io_uring_buf);
    must(io_uring_queue_init_params(ENTRIES, &ring, &params), "io_uring");
    free_buffers =
        mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    buffers = malloc((size_t)BUFFERS * BUFFER_BYTES);
    if (free_buffers == MAP_FAILED || buffers == NULL)
        must(-ENOMEM, "buffers");
    struct io_uring_buf_reg registration = { .ring_addr = (uintptr_t)free_buffers,
                                             .ring_entries = BUFFERS,
                                             .bgid = BUFFER_GROUP };
    must(io_uring_register_buf_ring(&ring, &registration, 0), "buffers");
    for (unsigned i = 0; i < BUFFERS; i++)
        give_back(i);
}

int main(int argument_count, char **arguments)
{
    struct io_uring_cqe *done;
    if (argument_count != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }
    int listener = listen_on(atoi(arguments[1]));
    set_up();
    struct io_uring_sqe *entry = next_entry(ACCEPTED, listener);
    io_uring_prep_multishot_accept(entry, listener, NULL, NULL, 0);
    entry->user_data = (uint64_t)ACCEPTED << 32 | (uint32_t)listener;
    for (;;) {
        unsigned head, count = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, done)
        {
            take(done);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}
