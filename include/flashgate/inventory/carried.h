/* carried.h - the sections of an order record that the shopper's request brings along and flashgate passes on as
 * they are: {"channel":…,"marketing":…,"shipping":…,"extension":…}, those that were sent, in this order.
 *
 * Pure: views into the text that was given. */
#ifndef FLASHGATE_INVENTORY_CARRIED_H
#define FLASHGATE_INVENTORY_CARRIED_H

#include "flashgate/base/attributes.h"
#include "flashgate/base/buffer.h"
#include "flashgate/base/text.h"
#include "flashgate/inventory/names.h"

/* X(name in C, name in the record) */
#define FG_SECTIONS(X)        \
    X(CHANNEL, "channel")     \
    X(MARKETING, "marketing") \
    X(SHIPPING, "shipping")   \
    X(EXTENSION, "extension")

enum fg_section {
#define FG_SECTION_ENUM(name, word) FG_SECTION_##name,
    FG_SECTIONS(FG_SECTION_ENUM)
#undef FG_SECTION_ENUM
    FG_SECTION_COUNT
};

enum {
    FG_SECTIONS_BYTES = 2048, /* all of them together, as they are sent */
    FG_SECTION_DEPTH = 8,     /* levels of objects and arrays in one, itself the first */
};

extern const char *const fg_section_names[]; /* in the enum's order, ended by NULL */
/* FG_SECTION_COUNT: there is none of this name. */
enum fg_section fg_section_find(struct fg_text name);

/* The sections in `carried`; those that are not there become empty. False: it is no object of known sections, each at
 * most once and each an object. */
bool fg_carried_read(struct fg_text carried,
                     struct fg_text sections_r[FG_SECTION_COUNT]) FG_MUST_CHECK;

#endif
