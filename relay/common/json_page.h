/* json_page.h - a page of unknown length: a function writes it into a bounded buffer, which is made larger
 * until it fits. */
#ifndef FLASHGATE_RELAY_JSON_PAGE_H
#define FLASHGATE_RELAY_JSON_PAGE_H

#include "flashgate/base/attributes.h"
#include "flashgate/base/buffer.h"
#include "flashgate/base/text.h"

/* Writes with `write` into new memory, which the caller frees. NULL: no memory, or more than 64 MiB. */
char *relay_json_page(void (*write)(void *context, struct fg_buffer *out), void *context,
                      struct fg_text *page_r) FG_MUST_CHECK;

#endif
