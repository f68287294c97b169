/* list.h - an intrusive doubly linked ring list. A node is on one list or on none; a node that is
 * on none points at itself, so removing twice is harmless. Header only: every function is a few
 * stores. */
#ifndef FLASHGATE_BASE_LIST_H
#define FLASHGATE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct fg_list {
    struct fg_list *next, *previous;
};

static inline void fg_list_init(struct fg_list *list)
{
    list->next = list->previous = list;
}

static inline bool fg_list_is_empty(const struct fg_list *list)
{
    return list->next == list;
}

static inline void fg_list_remove(struct fg_list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    fg_list_init(node);
}

static inline void fg_list_append(struct fg_list *list, struct fg_list *node)
{
    node->previous = list->previous;
    node->next = list;
    list->previous->next = node;
    list->previous = node;
}

#endif
