/* order_request.c - see order_request.h. */
#include "order_request.h"

#include <jansson.h>
#include <string.h>

#include "flashgate/base/json_slice.h"

#include "json_memory.h"

enum {
    MEMBERS_MAX = 2 + FG_SECTION_COUNT,
    /* As many bytes as a name may be written in: each as \u0031, and the quotes. */
    SCALAR_BYTES = 6 * FG_NAME_BYTES + 2,
    NAME_BYTES = 6 * (sizeof "quantity" - 1)
};

static enum fg_problem refuse(struct fg_buffer *detail, const char *why)
{
    fg_buffer_add_string(detail, why);
    return FG_PROBLEM_BAD_REQUEST;
}

static enum fg_problem refuse_section(struct fg_buffer *detail, unsigned section, const char *why)
{
    fg_buffer_add_format(detail, "\"%s\" %s", fg_section_names[section], why);
    return FG_PROBLEM_BAD_REQUEST;
}

/* --- cutting the body into members, within bounds --------------------------------------------------- */

static const char unknown_member[] =
    "the body has an unknown member, expected \"sku\", \"quantity\", and for what is passed on "
    "\"channel\", \"marketing\", \"shipping\" and \"extension\"";

/* `sku` and `quantity` are read later; here they, and whatever escapes make of other names, are only kept small. */
static enum fg_problem check_plain_member(const struct fg_json_member *member,
                                          struct fg_buffer *detail)
{
    bool is_escaped = memchr(member->name.at, '\\', member->name.length) != NULL;
    bool is_sku = fg_text_equal(member->name, FG_TEXT("sku"));
    if (!is_sku && !fg_text_equal(member->name, FG_TEXT("quantity")) && !is_escaped)
        return refuse(detail, unknown_member);
    if (member->name.length > NAME_BYTES)
        return refuse(detail, unknown_member);
    if (fg_json_is_scalar(member->value) && member->value.length <= SCALAR_BYTES)
        return FG_NO_PROBLEM;
    if (fg_json_is_scalar(member->value) && is_sku)
        return refuse(detail, "\"sku\" is not a name, expected 1-64 of A-Z a-z 0-9 . _ -");
    return refuse(detail, is_sku ? "\"sku\" is not a string, expected {\"sku\":\"8801\","
                                   "\"quantity\":1}"
                                 : "\"quantity\" is not a number, expected {\"sku\":\"8801\","
                                   "\"quantity\":1}");
}

static enum fg_problem take_member(const struct fg_json_member *member,
                                   struct order_request *request, struct fg_buffer *detail)
{
    enum fg_section section = fg_section_find(member->name);
    if (section == FG_SECTION_COUNT)
        return check_plain_member(member, detail);
    if (request->sections[section].length > 0)
        return refuse_section(detail, section, "is there twice");
    if (!fg_json_is_object(member->value))
        return refuse_section(detail, section, "is not a JSON object");
    request->sections[section] = member->value;
    request->section_bytes += member->value.length;
    return FG_NO_PROBLEM;
}

static enum fg_problem refuse_form(const struct fg_json_slicer *slicer, enum fg_json_step step,
                                   const struct fg_json_member *member, struct fg_buffer *detail)
{
    enum fg_section section =
        step == FG_JSON_TOO_DEEP ? fg_section_find(member->name) : FG_SECTION_COUNT;
    if (section != FG_SECTION_COUNT)
        fg_buffer_add_format(detail, "\"%s\" is deeper than %d levels of objects and arrays",
                             fg_section_names[section], FG_SECTION_DEPTH);
    else if (step == FG_JSON_TOO_DEEP)
        fg_buffer_add_string(detail, unknown_member);
    else
        fg_buffer_add_format(
            detail,
            "the body is not valid JSON at byte %zu of %zu, expected an object such as "
            "{\"sku\":\"8801\",\"quantity\":1}",
            slicer->at + 1, slicer->document.length);
    return FG_PROBLEM_BAD_REQUEST;
}

static enum fg_problem check_size(const struct order_request *request, struct fg_buffer *detail)
{
    unsigned largest = 0;
    if (request->section_bytes <= FG_SECTIONS_BYTES)
        return FG_NO_PROBLEM;
    for (unsigned section = 1; section < FG_SECTION_COUNT; section++)
        if (request->sections[section].length > request->sections[largest].length)
            largest = section;
    fg_buffer_add_format(
        detail,
        "\"channel\", \"marketing\", \"shipping\" and \"extension\" take %zu bytes, "
        "at most %d are carried; the largest is \"%s\" with %zu",
        request->section_bytes, FG_SECTIONS_BYTES, fg_section_names[largest],
        request->sections[largest].length);
    return FG_PROBLEM_PAYLOAD_TOO_LARGE;
}

/* The values of the two members that every order has. */
struct plain {
    struct fg_text sku, quantity;
    unsigned members; /* in all */
};

static void note_plain(struct plain *plain, const struct fg_json_member *member)
{
    plain->members++;
    if (fg_text_equal(member->name, FG_TEXT("sku")))
        plain->sku = member->value;
    else if (fg_text_equal(member->name, FG_TEXT("quantity")))
        plain->quantity = member->value;
}

static enum fg_problem cut(struct fg_text body, struct order_request *request, struct plain *plain,
                           struct fg_buffer *detail)
{
    struct fg_json_slicer slicer = fg_json_slicer_over(body, FG_SECTION_DEPTH + 1);
    struct fg_json_member member;
    enum fg_json_step step;
    enum fg_problem problem = FG_NO_PROBLEM;
    unsigned members = 0;
    while (problem == FG_NO_PROBLEM && (step = fg_json_slice(&slicer, &member)) != FG_JSON_END) {
        if (step != FG_JSON_MEMBER)
            return refuse_form(&slicer, step, &member, detail);
        if (members++ == MEMBERS_MAX)
            return refuse(detail, "the body has more members than an order has, some unknown or "
                                  "duplicate");
        problem = take_member(&member, request, detail);
        note_plain(plain, &member);
    }
    return problem != FG_NO_PROBLEM ? problem : check_size(request, detail);
}

/* Key and value. */
static enum fg_problem check_extension(struct fg_text extension, struct fg_buffer *detail)
{
    struct fg_json_slicer slicer = fg_json_slicer_over(extension, FG_SECTION_DEPTH);
    struct fg_json_member member;
    unsigned members = 0;
    if (extension.length == 0)
        return FG_NO_PROBLEM;
    while (fg_json_slice(&slicer, &member) == FG_JSON_MEMBER) {
        if (!fg_json_is_scalar(member.value))
            return refuse(detail, "\"extension\" has a member that is an object or array, expected "
                                  "strings, numbers, true, false and null");
        if (members++ == ORDER_EXTENSION_MEMBERS) {
            fg_buffer_add_format(detail, "\"extension\" has more than %d members",
                                 ORDER_EXTENSION_MEMBERS);
            return FG_PROBLEM_BAD_REQUEST;
        }
    }
    return FG_NO_PROBLEM;
}

/* --- reading its values ----------------------------------------------------------------------------- */

static bool set_sku(struct order_request *request, struct fg_text sku)
{
    if (!fg_name_is_valid(sku))
        return false;
    memcpy(request->sku, sku.at, sku.length);
    request->sku[sku.length] = '\0';
    return true;
}

/* What nearly everybody sends, two members and nothing to resolve, needs no reader of JSON: cutting it has checked
 * every byte. False: not so plain, or not good; the reader says why. */
static bool read_plain(const struct plain *plain, struct order_request *request)
{
    uint64_t quantity;
    if (plain->members != 2 || !fg_json_is_string(plain->sku) ||
        fg_text_decimal(plain->quantity, FG_QUANTITY_MAX, &quantity) != FG_NUMBER_OK ||
        quantity < 1)
        return false;
    request->quantity = (uint32_t)quantity;
    return set_sku(request, fg_json_string_inside(plain->sku));
}

static enum fg_problem read_sku(const json_t *value, struct order_request *request,
                                struct fg_buffer *detail)
{
    if (!json_is_string(value))
        return refuse(detail, "\"sku\" is missing or not a string, expected {\"sku\":\"8801\","
                              "\"quantity\":1}");
    struct fg_text sku = { json_string_value(value), json_string_length(value) };
    if (!set_sku(request, sku))
        return refuse(detail, "\"sku\" is not a name, expected 1-64 of A-Z a-z 0-9 . _ -");
    return FG_NO_PROBLEM;
}

static enum fg_problem read_quantity(const json_t *value, struct order_request *request,
                                     struct fg_buffer *detail)
{
    if (!json_is_number(value))
        return refuse(detail, "\"quantity\" is missing or not a number, expected {\"sku\":\"8801\","
                              "\"quantity\":1}");
    json_int_t quantity = json_is_integer(value) ? json_integer_value(value) : 0;
    if (quantity < 1 || quantity > FG_QUANTITY_MAX) {
        fg_buffer_add_string(detail, "\"quantity\" is not a whole number from 1 on");
        return FG_PROBLEM_BAD_QUANTITY;
    }
    request->quantity = (uint32_t)quantity;
    return FG_NO_PROBLEM;
}

/* A section whose name is written with escapes was not found when the body was cut: it is as unknown as any other. */
static enum fg_problem read_members(const json_t *root, struct order_request *request,
                                    struct fg_buffer *detail)
{
    const char *name;
    json_t *value;
    void *members = (void *)(uintptr_t)root; /* the macro wants a json_t it may not change */
    json_object_foreach((json_t *)members, name, value)
    {
        enum fg_section section = fg_section_find(fg_text_of(name));
        bool is_section = section != FG_SECTION_COUNT && request->sections[section].length > 0;
        if (strcmp(name, "sku") != 0 && strcmp(name, "quantity") != 0 && !is_section)
            return refuse(detail, unknown_member);
    }
    enum fg_problem problem = read_sku(json_object_get(root, "sku"), request, detail);
    if (problem != FG_NO_PROBLEM)
        return problem;
    return read_quantity(json_object_get(root, "quantity"), request, detail);
}

/* Of what the grammar allows: a name that is there twice, a number that no machine number holds. */
static enum fg_problem refuse_content(struct fg_text body, const struct order_request *request,
                                      const json_error_t *error, struct fg_buffer *detail)
{
    const char *at = body.at + error->position;
    fg_buffer_add_string(detail, "the body is not valid JSON: ");
    fg_buffer_add_string(detail, error->text);
    for (int section = 0; section < FG_SECTION_COUNT; section++) {
        struct fg_text text = request->sections[section];
        if (text.length > 0 && at > text.at && at <= text.at + text.length)
            fg_buffer_add_format(detail, ", in \"%s\"", fg_section_names[section]);
    }
    return FG_PROBLEM_BAD_REQUEST;
}

static enum fg_problem read(struct fg_text body, struct order_request *request,
                            struct fg_buffer *detail)
{
    json_error_t error;
    enum fg_problem problem;
    json_memory_begin();
    json_t *root = json_loadb(body.at, body.length, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        problem = refuse_content(body, request, &error, detail);
    } else {
        problem = read_members(root, request, detail);
        json_decref(root);
    }
    json_memory_end();
    return problem;
}

enum fg_problem order_request_parse(struct fg_text body, struct order_request *request,
                                    struct fg_buffer *detail)
{
    struct plain plain = { 0 };
    memset(request, 0, sizeof *request);
    enum fg_problem problem = cut(body, request, &plain, detail);
    if (problem == FG_NO_PROBLEM && read_plain(&plain, request))
        return FG_NO_PROBLEM;
    if (problem == FG_NO_PROBLEM)
        problem = check_extension(request->sections[FG_SECTION_EXTENSION], detail);
    return problem != FG_NO_PROBLEM ? problem : read(body, request, detail);
}
