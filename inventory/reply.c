/* reply.c - see reply.h. */
#include "reply.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct fg_reply_node *new_node(const redisReadTask *task, enum fg_reply_type type)
{
    struct reply_reader *reader = task->privdata;
    if (reader->count == REPLY_NODES)
        return NULL;
    struct fg_reply_node *node = &reader->nodes[reader->count++];
    *node = (struct fg_reply_node){ .type = type };
    return node;
}

static void *create_string(const redisReadTask *task, char *bytes, size_t length)
{
    struct reply_reader *reader = task->privdata;
    if (length > REPLY_TEXT_BYTES - reader->text_length)
        return NULL;
    struct fg_reply_node *node =
        new_node(task, task->type == REDIS_REPLY_ERROR ? FG_REPLY_ERROR : FG_REPLY_STRING);
    if (node == NULL)
        return NULL;
    node->text_at = reader->text_length;
    node->length = (uint32_t)length;
    memcpy(reader->text + reader->text_length, bytes, length);
    reader->text_length += (uint32_t)length;
    return node;
}

#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *task, size_t elements)
#else
static void *create_array(const redisReadTask *task, int elements)
#endif
{
    struct fg_reply_node *node = new_node(task, FG_REPLY_ARRAY);
    if (node != NULL)
        node->length = (uint32_t)elements;
    return node;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    struct fg_reply_node *node = new_node(task, FG_REPLY_INTEGER);
    if (node != NULL)
        node->integer = value;
    return node;
}

static void *create_nil(const redisReadTask *task)
{
    return new_node(task, FG_REPLY_NIL);
}

static void free_nothing(void *object)
{
    (void)object;
}

static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = free_nothing,
};

static void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Lets hiredis's buffer grow at once to what any batch's reply takes: it would grow in the middle of a sale, when for
 * the first time so many replies come together. */
static bool grow_buffer(struct reply_reader *reader)
{
    struct fg_reply reply;
    char *line = malloc(REPLY_USUAL_BYTES);
    if (line == NULL)
        return false;
    memset(line, 'x', REPLY_USUAL_BYTES);
    line[0] = '+';
    memcpy(line + REPLY_USUAL_BYTES - 2, "\r\n", 2);
    bool is_good = reply_reader_feed(reader, line, REPLY_USUAL_BYTES) &&
                   reply_reader_next(reader, &reply) == REPLY_WHOLE;
    free(line);
    return is_good;
}

bool reply_reader_open(struct reply_reader *reader)
{
    *reader = (struct reply_reader){ 0 };
    reader->nodes = reserve(REPLY_NODES * sizeof *reader->nodes);
    reader->text = reserve(REPLY_TEXT_BYTES);
    if (reader->nodes == NULL || reader->text == NULL || !reply_reader_reset(reader)) {
        reply_reader_close(reader);
        return false;
    }
    return true;
}

void reply_reader_close(struct reply_reader *reader)
{
    if (reader->reader != NULL)
        redisReaderFree(reader->reader);
    if (reader->nodes != NULL)
        munmap(reader->nodes, REPLY_NODES * sizeof *reader->nodes);
    if (reader->text != NULL)
        munmap(reader->text, REPLY_TEXT_BYTES);
    *reader = (struct reply_reader){ 0 };
}

bool reply_reader_reset(struct reply_reader *reader)
{
    if (reader->reader != NULL)
        redisReaderFree(reader->reader);
    reader->reader = redisReaderCreateWithFunctions(&functions);
    if (reader->reader == NULL)
        return false;
    reader->reader->maxbuf = 0; /* keep the buffer: no allocation a reply */
    reader->reader->privdata = reader;
    reader->count = reader->text_length = 0;
    return grow_buffer(reader);
}

bool reply_reader_feed(struct reply_reader *reader, const char *bytes, size_t length)
{
    return redisReaderFeed(reader->reader, bytes, length) == REDIS_OK;
}

enum reply_next reply_reader_next(struct reply_reader *reader, struct fg_reply *reply)
{
    void *root = NULL;
    if (redisReaderGetReply(reader->reader, &root) != REDIS_OK)
        return REPLY_BROKEN;
    if (root == NULL)
        return REPLY_PARTIAL;
    *reply = (struct fg_reply){ reader->nodes, reader->count, reader->text };
    reader->count = reader->text_length = 0;
    return REPLY_WHOLE;
}

struct fg_text fg_reply_text(const struct fg_reply *reply, uint32_t node)
{
    if (node >= reply->count ||
        (reply->nodes[node].type != FG_REPLY_STRING && reply->nodes[node].type != FG_REPLY_ERROR))
        return (struct fg_text){ 0 };
    return (struct fg_text){ reply->text + reply->nodes[node].text_at, reply->nodes[node].length };
}

bool fg_reply_is(const struct fg_reply *reply, uint32_t node, enum fg_reply_type type)
{
    return node < reply->count && reply->nodes[node].type == type;
}
