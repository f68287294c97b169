/* json_slice.h - the members of a JSON object as ranges of its own bytes, so that a value can be passed on exactly as
 * it was written.
 *
 * Every byte is checked against the grammar (RFC 8259), UTF-8 included; names that are there twice are the caller's
 * matter. What is deeper than allowed is refused as soon as it is met. Pure: no memory but the cursor, one pass,
 * no recursion. */
#ifndef FLASHGATE_BASE_JSON_SLICE_H
#define FLASHGATE_BASE_JSON_SLICE_H

#include "flashgate/base/text.h"

enum {
    FG_JSON_DEPTH_MAX = 16 /* levels of objects and arrays that can be asked for */
};

enum fg_json_step {
    FG_JSON_MEMBER,
    FG_JSON_END,       /* the object is closed, and nothing but white space follows */
    FG_JSON_MALFORMED, /* at `at` */
    FG_JSON_TOO_DEEP   /* at `at` */
};

struct fg_json_slicer {
    struct fg_text document;
    size_t at; /* the byte that is looked at next */
    unsigned deepest;
    bool has_member; /* one was given */
    bool is_open;    /* the object's brace was read */
};

struct fg_json_member {
    struct fg_text name;  /* between its quotes, as it is written: escapes are not resolved */
    struct fg_text value; /* from its first to its last byte; its first byte says what it is */
};

/* The object may have so many levels of objects and arrays, itself the first; at most FG_JSON_DEPTH_MAX: asserted. */
struct fg_json_slicer fg_json_slicer_over(struct fg_text document, unsigned deepest);
/* After anything but FG_JSON_MEMBER it is over. */
enum fg_json_step fg_json_slice(struct fg_json_slicer *slicer, struct fg_json_member *member_r);

bool fg_json_is_object(struct fg_text value);
bool fg_json_is_string(struct fg_text value);
/* Neither an object nor an array. */
bool fg_json_is_scalar(struct fg_text value);
/* What is between a string's quotes. */
struct fg_text fg_json_string_inside(struct fg_text value);

#endif
