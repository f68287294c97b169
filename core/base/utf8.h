/* utf8.h - one strict reading of UTF-8, for those that must decide byte by byte. Private to base.
 */
#ifndef FLASHGATE_CORE_BASE_UTF8_H
#define FLASHGATE_CORE_BASE_UTF8_H

#include <stddef.h>

#include "flashgate/base/text.h"

/* The length (1..4) of the well-formed character `text` begins with, or 0: overlong forms,
 * surrogates, values above U+10FFFF and cut-off sequences are not well-formed (RFC 3629, section
 * 4). */
size_t fg_utf8_character(struct fg_text text);

#endif
