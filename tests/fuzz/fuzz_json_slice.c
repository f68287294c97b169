/* fuzz_json_slice.c - any bytes as a JSON object: its members lie in it in order, each value alone is a value again, and
 * whatever jansson takes for an object of that depth is one here too, with the same members. */
#include "fuzz.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "flashgate/base/json_slice.h"

enum {
    DEEPEST = 5
};

static unsigned depth_of(const json_t *value)
{
    unsigned deepest = 0;
    size_t index;
    const char *name;
    json_t *within;
    void *walked = (void *)(uintptr_t)value; /* the macros want a json_t they may not change */
    if (json_is_object(value)) {
        json_object_foreach((json_t *)walked, name, within)
        {
            unsigned depth = depth_of(within);
            deepest = depth > deepest ? depth : deepest;
        }
    }
    if (json_is_array(value)) {
        json_array_foreach((json_t *)walked, index, within)
        {
            unsigned depth = depth_of(within);
            deepest = depth > deepest ? depth : deepest;
        }
    }
    return deepest + (json_is_object(value) || json_is_array(value));
}

static void check_members(struct fg_text document, size_t *members)
{
    struct fg_json_slicer slicer = fg_json_slicer_over(document, DEEPEST);
    struct fg_json_member member;
    const char *from = document.at;
    for (*members = 0; fg_json_slice(&slicer, &member) == FG_JSON_MEMBER; (*members)++) {
        MUST(member.name.at > from && member.value.at > member.name.at + member.name.length);
        MUST(member.value.length > 0);
        from = member.value.at + member.value.length;
        MUST(from <= document.at + document.length);
        json_t *value = json_loadb(member.value.at, member.value.length,
                                   JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
        MUST(value == NULL || (json_is_object(value) == fg_json_is_object(member.value) &&
                               json_is_string(value) == fg_json_is_string(member.value)));
        json_decref(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct fg_text document = { (const char *)bytes, length };
    struct fg_json_slicer slicer = fg_json_slicer_over(document, DEEPEST);
    struct fg_json_member member;
    enum fg_json_step step;
    size_t members;
    while ((step = fg_json_slice(&slicer, &member)) == FG_JSON_MEMBER)
        continue;
    MUST(slicer.at <= length);
    MUST(step != FG_JSON_END || slicer.at == length);
    check_members(document, &members);

    if (length > 0 &&
        memchr(bytes, 0, length) != NULL) { /* jansson 2.14 overlooks one behind a number */
        MUST(step != FG_JSON_END);
        return 0;
    }
    json_error_t error;
    json_t *root = json_loadb(document.at, length, JSON_REJECT_DUPLICATES, &error);
    if (root != NULL && json_is_object(root)) {
        MUST(step == (depth_of(root) <= DEEPEST ? FG_JSON_END : FG_JSON_TOO_DEEP));
        MUST(step != FG_JSON_END || members == json_object_size(root));
    } else if (root == NULL && step == FG_JSON_END) {
        MUST(json_error_code(&error) ==
                 json_error_numeric_overflow || /* no machine number holds it */
             json_error_code(&error) == json_error_duplicate_key);
    } else {
        MUST(step != FG_JSON_END);
    }
    json_decref(root);
    return 0;
}
