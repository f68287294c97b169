/* json_page.c - see json_page.h. */
#include "json_page.h"

#include <stdlib.h>

enum {
    FIRST_BYTES = 64 << 10,
    MOST_BYTES = 64 << 20
};

char *relay_json_page(void (*write)(void *context, struct fg_buffer *out), void *context,
                      struct fg_text *page_r)
{
    for (size_t bytes = FIRST_BYTES; bytes <= MOST_BYTES; bytes *= 2) {
        char *memory = malloc(bytes);
        if (memory == NULL)
            return NULL;
        struct fg_buffer out = fg_buffer_over(memory, bytes);
        write(context, &out);
        if (!out.overflowed) {
            *page_r = fg_buffer_text(&out);
            return memory;
        }
        free(memory);
    }
    return NULL;
}
