/* utf8.c - RFC 3629's table of well-formed byte sequences, written as its rows: the first byte
 * gives the length and the range of the second byte, every later byte is 80..BF. Pure; owns
 * nothing. */
#include "utf8.h"

struct lead {
    unsigned char first, last;             /* of the lead byte */
    unsigned char length;                  /* of the sequence */
    unsigned char second_low, second_high; /* of the byte after the lead */
};

static const struct lead leads[] = {
    { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf }, { 0xe1, 0xec, 3, 0x80, 0xbf },
    { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf }, { 0xf0, 0xf0, 4, 0x90, 0xbf },
    { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static const struct lead *lead_of(unsigned char byte)
{
    for (size_t i = 0; i < FG_COUNT_OF(leads); i++) {
        if (byte >= leads[i].first && byte <= leads[i].last) {
            return &leads[i];
        }
    }
    return NULL;
}

size_t fg_utf8_character(struct fg_text text)
{
    if (text.length == 0) {
        return 0;
    }
    const unsigned char *bytes = (const unsigned char *)text.at;
    if (bytes[0] < 0x80) {
        return 1;
    }
    const struct lead *lead = lead_of(bytes[0]);
    if (lead == NULL || text.length < lead->length || bytes[1] < lead->second_low ||
        bytes[1] > lead->second_high) {
        return 0;
    }
    for (size_t i = 2; i < lead->length; i++) {
        if (bytes[i] < 0x80 || bytes[i] > 0xbf) {
            return 0;
        }
    }
    return lead->length;
}
