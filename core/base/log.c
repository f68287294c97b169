/* log.c - a line is built in memory of fixed size on the caller's stack and leaves by one write(2).
 *
 * Invariants: a value cannot end the line or begin a key (it is quoted and escaped whenever it is
 * not plain visible ASCII); a field that does not fit is left out whole and the line says
 * truncated. The settings are atomics because a reload may change them while threads log. Owns
 * nothing. */
#include "flashgate/base/log.h"

#include <assert.h>
#include <stdbool.h>
#include <unistd.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/clock.h"

enum {
    LINE_BYTES = 4096,
    VALUE_BYTES = 1024,  /* of a value before escaping; the rest is cut */
    ENDING_BYTES = 64,   /* kept free for suppressed, truncated and the end */
    LINES_A_SECOND = 10, /* of one call site */
    SAID_BITS = 8,       /* of a site's window: the count below the second */
};

static_assert(LINES_A_SECOND < 1 << SAID_BITS, "the count must not run into the second");

static _Atomic(const char *) log_program = "flashgate";
static _Atomic int log_minimum = FG_LOG_INFO;
static _Atomic int log_format = FG_LOG_LOGFMT;

void fg_log_configure(const char *program, enum fg_log_level minimum, enum fg_log_format format)
{
    atomic_store_explicit(&log_program, program, memory_order_relaxed);
    atomic_store_explicit(&log_minimum, (int)minimum, memory_order_relaxed);
    atomic_store_explicit(&log_format, (int)format, memory_order_relaxed);
}

/* Second and count share a word, so that threads at one site together keep to the limit. */
static bool may_speak(struct fg_log_site *site, uint64_t second)
{
    uint64_t window = atomic_load_explicit(&site->window, memory_order_relaxed);
    uint64_t wanted = 0;
    do {
        uint64_t said = window >> SAID_BITS == second ? window & ((1 << SAID_BITS) - 1) : 0;
        if (said >= LINES_A_SECOND) {
            atomic_fetch_add_explicit(&site->suppressed, 1, memory_order_relaxed);
            return false;
        }
        wanted = second << SAID_BITS | (said + 1);
    } while (!atomic_compare_exchange_weak_explicit(&site->window, &window, wanted,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static bool needs_no_quotes(struct fg_text text)
{
    if (!fg_text_is_visible_ascii(text, 1, VALUE_BYTES)) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '"' || text.at[i] == '=' || text.at[i] == '\\') {
            return false;
        }
    }
    return true;
}

static void add_key(struct fg_buffer *line, enum fg_log_format format, const char *key)
{
    if (format == FG_LOG_JSON) {
        fg_buffer_add_byte(line, line->length == 0 ? '{' : ',');
        fg_buffer_add_json_string(line, fg_text_of(key));
        fg_buffer_add_byte(line, ':');
        return;
    }
    if (line->length > 0) {
        fg_buffer_add_byte(line, ' ');
    }
    fg_buffer_add_string(line, key);
    fg_buffer_add_byte(line, '=');
}

static void add_text(struct fg_buffer *line, enum fg_log_format format, const char *key,
                     struct fg_text text)
{
    add_key(line, format, key);
    text.length = text.length < VALUE_BYTES ? text.length : VALUE_BYTES;
    if (format == FG_LOG_LOGFMT && needs_no_quotes(text)) {
        fg_buffer_add_text(line, text);
    } else {
        fg_buffer_add_json_string(line, text);
    }
}

static void add_number(struct fg_buffer *line, enum fg_log_format format, const char *key,
                       int64_t number)
{
    add_key(line, format, key);
    if (number < 0) {
        fg_buffer_add_byte(line, '-');
    }
    fg_buffer_add_decimal(line, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

static void add_head(struct fg_buffer *line, enum fg_log_format format, enum fg_log_level level,
                     const char *event)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    char memory[32];
    struct fg_buffer time = fg_buffer_over(memory, sizeof memory);
    fg_buffer_add_time(&time, fg_clock_wall_ms());
    add_text(line, format, "time", fg_buffer_text(&time));
    add_text(line, format, "level", fg_text_of(levels[level]));
    const char *program = atomic_load_explicit(&log_program, memory_order_relaxed);
    add_text(line, format, "program", fg_text_of(program));
    add_text(line, format, "event", fg_text_of(event));
}

/* Appends the field, or takes back what was written of it when it does not fit. */
static bool add_field(struct fg_buffer *line, enum fg_log_format format,
                      const struct fg_log_field *field)
{
    size_t before = line->length;
    if (field->kind == FG_LOG_NUMBER) {
        add_number(line, format, field->key, field->number);
    } else {
        add_text(line, format, field->key, field->text);
    }
    if (line->overflowed) {
        line->length = before;
        line->overflowed = false;
        return false;
    }
    return true;
}

void fg_log_write(struct fg_log_site *site, enum fg_log_level level, const char *event,
                  const struct fg_log_field *fields, size_t count)
{
    if ((int)level < atomic_load_explicit(&log_minimum, memory_order_relaxed) ||
        !may_speak(site, fg_clock_steady_ns() / FG_SECOND_IN_NS)) {
        return;
    }
    enum fg_log_format format =
        (enum fg_log_format)atomic_load_explicit(&log_format, memory_order_relaxed);
    char memory[LINE_BYTES];
    struct fg_buffer line = fg_buffer_over(memory, sizeof memory - ENDING_BYTES);
    add_head(&line, format, level, event);
    bool whole = true;
    for (size_t i = 0; i < count; i++) {
        whole &= add_field(&line, format, &fields[i]);
    }
    line.capacity = sizeof memory;
    uint32_t suppressed = atomic_exchange_explicit(&site->suppressed, 0, memory_order_relaxed);
    if (suppressed > 0) {
        add_number(&line, format, "suppressed", suppressed);
    }
    if (!whole) {
        add_number(&line, format, "truncated", 1);
    }
    fg_buffer_add_string(&line, format == FG_LOG_JSON ? "}\n" : "\n");
    assert(!line.overflowed);
    /* A log that cannot be written has nobody to be told. */
    ssize_t written = write(STDERR_FILENO, line.at, line.length);
    (void)written;
}
