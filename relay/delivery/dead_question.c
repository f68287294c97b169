/* dead_question.c - see dead_question.h. */
#include "dead_question.h"

#include <jansson.h>
#include <string.h>

#include "flashgate/base/buffer.h"
#include "flashgate/http/message.h"

static bool read_name(struct fg_text text, char name[FG_NAME_BYTES + 1])
{
    if (!fg_name_is_valid(text))
        return false;
    memcpy(name, text.at, text.length);
    name[text.length] = '\0';
    return true;
}

static bool read_order(struct fg_text text, char order[RELAY_ID_BYTES])
{
    struct fg_order_id id;
    if (text.length >= RELAY_ID_BYTES || !fg_order_id_parse(text, &id))
        return false;
    memcpy(order, text.at, text.length);
    order[text.length] = '\0';
    return true;
}

bool relay_dead_id_read(struct fg_text text, struct relay_dead_id *id_r)
{
    struct fg_text event = text;
    struct fg_text sink = fg_text_cut(&event, ':');
    return read_name(sink, id_r->sink) && read_order(event, id_r->event_id) &&
           fg_order_id_parse(event, &id_r->event);
}

/* --- a list ----------------------------------------------------------------------------------------- */

static bool read_limit(struct fg_text value, struct relay_dead_question *question)
{
    return fg_text_count(value, RELAY_DEAD_LIMIT_MAX, &question->limit) == FG_NUMBER_OK &&
           question->limit > 0;
}

static bool read_parameter(struct fg_text name, struct fg_text value,
                           struct relay_dead_question *question)
{
    if (fg_text_equal(name, FG_TEXT("sink")))
        return question->sink[0] == '\0' && read_name(value, question->sink);
    if (fg_text_equal(name, FG_TEXT("sale")))
        return question->sale[0] == '\0' && read_name(value, question->sale);
    if (fg_text_equal(name, FG_TEXT("sku")))
        return question->sku[0] == '\0' && read_name(value, question->sku);
    if (fg_text_equal(name, FG_TEXT("dropped")))
        return question->wants_dropped = fg_text_equal(value, FG_TEXT("true"));
    if (fg_text_equal(name, FG_TEXT("limit")))
        return read_limit(value, question);
    return fg_text_equal(name, FG_TEXT("after")) && question->id_count == 0 &&
           relay_dead_id_read(value, &question->ids[question->id_count++]);
}

/* No value that is allowed needs %XX but the colon of an id, which need not be escaped either. */
enum fg_result relay_dead_list_read(struct fg_text query, struct relay_dead_question *question_r,
                                    struct fg_error *error)
{
    char memory[RELAY_LETTER_ID_BYTES];
    memset(question_r, 0, sizeof *question_r);
    question_r->verb = RELAY_DEAD_LIST;
    question_r->limit = RELAY_DEAD_LIMIT;
    while (query.length > 0) {
        struct fg_buffer scratch = fg_buffer_over(memory, sizeof memory);
        struct fg_text pair = fg_text_cut(&query, '&'), rest = pair, value;
        struct fg_text name = fg_text_cut(&rest, '=');
        char terminated[16] = "";
        if (name.length < sizeof terminated)
            memcpy(terminated, name.at, name.length);
        if (!fg_http_query_value(pair, terminated, &scratch, &value) ||
            !read_parameter(name, value, question_r))
            return fg_error_set(
                error, FG_INVALID,
                "%.*s: expected sink, sale, sku (names), dropped=true, limit (1 to %d) or after "
                "(a letter's id, SINK:EVENT), each once",
                (int)(pair.length < 80 ? pair.length : 80), pair.at, RELAY_DEAD_LIMIT_MAX);
    }
    return FG_OK;
}

/* --- a change --------------------------------------------------------------------------------------- */

static struct fg_text text_of(const json_t *value)
{
    return json_is_string(value)
               ? (struct fg_text){ json_string_value(value), json_string_length(value) }
               : (struct fg_text){ NULL, 0 };
}

static bool read_ids(const json_t *ids, struct relay_dead_question *question)
{
    size_t count = json_array_size(ids);
    if (!json_is_array(ids) || count == 0 || count > RELAY_DEAD_IDS_MAX)
        return false;
    for (size_t index = 0; index < count; index++)
        if (!relay_dead_id_read(text_of(json_array_get(ids, index)), &question->ids[index]))
            return false;
    question->id_count = count;
    return true;
}

static bool read_reason(struct fg_text text, char reason[RELAY_REASON_BYTES])
{
    if (text.length == 0 || text.length >= RELAY_REASON_BYTES)
        return false;
    memcpy(reason, text.at, text.length);
    reason[text.length] = '\0';
    return true;
}

static bool read_member(const char *name, const json_t *value, struct relay_dead_question *question)
{
    if (strcmp(name, "ids") == 0)
        return read_ids(value, question);
    if (strcmp(name, "order") == 0)
        return read_order(text_of(value), question->order);
    if (strcmp(name, "all") == 0)
        return question->is_all = json_is_true(value);
    if (strcmp(name, "sink") == 0)
        return read_name(text_of(value), question->sink);
    return strcmp(name, "reason") == 0 && question->verb == RELAY_DEAD_DROP &&
           read_reason(text_of(value), question->reason);
}

static bool is_whole(const struct relay_dead_question *question)
{
    int ways = (question->id_count > 0) + (question->order[0] != '\0') + question->is_all;
    return ways == 1 && (question->id_count == 0 || question->sink[0] == '\0') &&
           (question->verb != RELAY_DEAD_DROP || question->reason[0] != '\0');
}

enum fg_result relay_dead_change_read(enum relay_dead_verb verb, struct fg_text json,
                                      struct relay_dead_question *question_r,
                                      struct fg_error *error)
{
    const char *name;
    json_t *value;
    memset(question_r, 0, sizeof *question_r);
    question_r->verb = verb;
    json_t *body =
        json_loadb(json.at == NULL ? "" : json.at, json.length, JSON_REJECT_DUPLICATES, NULL);
    bool is_good = json_is_object(body);
    json_object_foreach(body, name, value)
    {
        is_good = is_good && read_member(name, value, question_r);
    }
    json_decref(body);
    if (is_good && is_whole(question_r))
        return FG_OK;
    return fg_error_set(error, FG_INVALID,
                        "expected one of \"ids\" (1 to %d of SINK:EVENT), \"order\" and "
                        "\"all\":true, with the latter two a \"sink\" if one alone is meant%s",
                        RELAY_DEAD_IDS_MAX,
                        verb == RELAY_DEAD_DROP ? ", and a \"reason\" of 1 to 255 bytes" : "");
}

/* --- what is meant ---------------------------------------------------------------------------------- */

bool relay_dead_concerns(const struct relay_dead_question *question, uint32_t bucket)
{
    struct fg_order_id order;
    for (size_t index = 0; index < question->id_count; index++)
        if (question->ids[index].event.bucket == bucket)
            return true;
    if (fg_order_id_parse(fg_text_of(question->order), &order))
        return order.bucket == bucket;
    return question->is_all;
}

bool relay_dead_names(const struct relay_dead_question *question, const struct relay_letter *letter,
                      size_t *id_r)
{
    *id_r = SIZE_MAX;
    for (size_t index = 0; index < question->id_count; index++) {
        const struct relay_dead_id *id = &question->ids[index];
        if (strcmp(id->sink, letter->sink) == 0 && strcmp(id->event_id, letter->event_id) == 0)
            *id_r = index;
    }
    return question->is_all || *id_r != SIZE_MAX ||
           (question->order[0] != '\0' && strcmp(question->order, letter->order) == 0);
}
