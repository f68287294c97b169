/* http_receiver.h - a real receiver of POSTs on a real socket, a thread a connection, that answers by script. */
#ifndef FLASHGATE_TESTS_UNIT_HTTP_RECEIVER_H
#define FLASHGATE_TESTS_UNIT_HTTP_RECEIVER_H

#include "unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS = 32,
    POSTS = 256,
    MESSAGE_BYTES = 16384
};

struct post {
    char head[2048], body[8192], key[64], user[32];
    unsigned with_it;            /* how many were in flight when it came, itself included */
    bool is_answered, overtakes; /* overtakes: one of the same user was not answered yet */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t came;
    pthread_t threads[CONNECTIONS], acceptor;
    int listener, sockets[CONNECTIONS], connections;
    struct post posts[POSTS]; /* the newest */
    int count;
    unsigned in_flight;
    /* The whole answer to a post; NULL: none, ever. Called under the lock. */
    const char *(*answer)(const struct post *post);
    int wait_for; /* posts that must have come before any is answered */
} receiver;

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static const char *always_ok(const struct post *post)
{
    (void)post;
    return ok;
}

static void header_of(const char *head, const char *name, char *value, size_t bytes)
{
    const char *line = strcasestr(head, name);
    value[0] = '\0';
    if (line == NULL)
        return;
    line += strlen(name) + 2;
    snprintf(value, bytes, "%.*s", (int)strcspn(line, "\r"), line);
}

static void read_user(struct post *post)
{
    const char *at = strstr(post->body, "\"user\":\"");
    if (at != NULL)
        snprintf(post->user, sizeof post->user, "%.*s", (int)strcspn(at + 8, "\""), at + 8);
}

/* One request from the socket; false when the peer has gone. */
static bool read_post(int fd, struct post *post)
{
    char message[MESSAGE_BYTES + 1], length[16];
    size_t have = 0;
    char *end;
    memset(post, 0, sizeof *post);
    for (;;) {
        message[have] = '\0';
        end = strstr(message, "\r\n\r\n");
        if (end != NULL) {
            size_t head = (size_t)(end - message) + 4;
            snprintf(post->head, sizeof post->head, "%.*s", (int)head, message);
            header_of(post->head, "\r\nContent-Length", length, sizeof length);
            if (have - head >= strtoul(length, NULL, 10)) {
                snprintf(post->body, sizeof post->body, "%s", message + head);
                header_of(post->head, "\r\nIdempotency-Key", post->key, sizeof post->key);
                read_user(post);
                return true;
            }
        }
        ssize_t got = recv(fd, message + have, MESSAGE_BYTES - have, 0);
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
}

/* Under the lock. */
static int take_post(struct post *post)
{
    post->with_it = ++receiver.in_flight;
    for (int i = 0; i < receiver.count && i < POSTS; i++)
        post->overtakes |=
            strcmp(receiver.posts[i].user, post->user) == 0 && !receiver.posts[i].is_answered;
    int index = receiver.count++ % POSTS;
    receiver.posts[index] = *post;
    pthread_cond_broadcast(&receiver.came);
    while (receiver.count < receiver.wait_for)
        pthread_cond_wait(&receiver.came, &receiver.lock);
    return index;
}

static void *serve(void *argument)
{
    int fd = (int)(intptr_t)argument;
    struct post post;
    while (read_post(fd, &post)) {
        pthread_mutex_lock(&receiver.lock);
        int index = take_post(&post);
        const char *told = receiver.answer(&post);
        char *answer = told == NULL ? NULL : strdup(told); /* the text may be another's next */
        receiver.in_flight--;
        receiver.posts[index].is_answered = true;
        pthread_mutex_unlock(&receiver.lock);
        if (answer != NULL)
            send(fd, answer, strlen(answer), MSG_NOSIGNAL);
        free(answer);
    }
    return NULL;
}

static void *accept_all(void *argument)
{
    int fd;
    (void)argument;
    while ((fd = accept(receiver.listener, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&receiver.lock);
        int index = receiver.connections++;
        assert_true(index < CONNECTIONS);
        receiver.sockets[index] = fd;
        pthread_create(&receiver.threads[index], NULL, serve, (void *)(intptr_t)fd);
        pthread_mutex_unlock(&receiver.lock);
    }
    return NULL;
}

static char url[64];

static void start_receiver(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    memset(&receiver, 0, sizeof receiver);
    pthread_mutex_init(&receiver.lock, NULL);
    pthread_cond_init(&receiver.came, NULL);
    receiver.answer = always_ok;
    receiver.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(receiver.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(receiver.listener, CONNECTIONS), 0);
    assert_int_equal(getsockname(receiver.listener, (struct sockaddr *)&address, &length), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/orders", ntohs(address.sin_port));
    pthread_create(&receiver.acceptor, NULL, accept_all, NULL);
}

/* From the next post on. */
static inline void answer_with(const char *(*answer)(const struct post *post))
{
    pthread_mutex_lock(&receiver.lock);
    receiver.answer = answer;
    pthread_mutex_unlock(&receiver.lock);
}

static void stop_receiver(void)
{
    shutdown(receiver.listener, SHUT_RDWR);
    pthread_join(receiver.acceptor, NULL);
    close(receiver.listener);
    pthread_mutex_lock(&receiver.lock);
    receiver.wait_for = 0;
    pthread_cond_broadcast(&receiver.came);
    pthread_mutex_unlock(&receiver.lock);
    for (int i = 0; i < receiver.connections; i++) {
        shutdown(receiver.sockets[i], SHUT_RDWR);
        pthread_join(receiver.threads[i], NULL);
        close(receiver.sockets[i]);
    }
}

#endif
