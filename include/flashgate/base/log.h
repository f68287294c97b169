/* log.h - one line an event on stderr, logfmt or JSON.
 *
 * fg_log(FG_LOG_WARN, "redis_lost", FG_STRING_FIELD("address", …), FG_NUMBER_FIELD("port", …)):
 * values are quoted and escaped here, so no value can forge a line. time, level, program and event
 * come first. A call site says at most
 * 10 lines a second; the next line that gets through carries suppressed=N. A line is one write(2),
 * so lines of threads never mix. Any thread. May block on stderr, so never a line per request. */
#ifndef FLASHGATE_BASE_LOG_H
#define FLASHGATE_BASE_LOG_H

#include <stdatomic.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/text.h"

enum fg_log_level {
    FG_LOG_DEBUG,
    FG_LOG_INFO,
    FG_LOG_WARN,
    FG_LOG_ERROR
};
enum fg_log_format {
    FG_LOG_LOGFMT,
    FG_LOG_JSON
};

struct fg_log_field {
    const char *key;
    enum {
        FG_LOG_TEXT,
        FG_LOG_NUMBER
    } kind;
    struct fg_text text;
    int64_t number;
};

struct fg_log_site {         /* the repeat limit of one call site */
    _Atomic uint64_t window; /* the second, and how many lines were said in it */
    _Atomic uint32_t suppressed;
};

/* Any thread, also while others log: a line is written as the settings were when it began. `program` must
 * live on. */
void fg_log_configure(const char *program, enum fg_log_level minimum, enum fg_log_format format);

void fg_log_write(struct fg_log_site *site, enum fg_log_level level, const char *event,
                  const struct fg_log_field *fields, size_t count);

/* fg_log(FG_LOG_INFO, "listening", FG_TEXT_FIELD("address", text), FG_NUMBER_FIELD("workers", 2));
 */
#define FG_TEXT_FIELD(key_, text_)                          \
    {                                                       \
        .key = (key_), .kind = FG_LOG_TEXT, .text = (text_) \
    }
#define FG_STRING_FIELD(key_, string_)                                  \
    {                                                                   \
        .key = (key_), .kind = FG_LOG_TEXT, .text = fg_text_of(string_) \
    }
#define FG_NUMBER_FIELD(key_, number_)                                     \
    {                                                                      \
        .key = (key_), .kind = FG_LOG_NUMBER, .number = (int64_t)(number_) \
    }
#define fg_log(level, event, ...)                                                            \
    do {                                                                                     \
        static struct fg_log_site site_;                                                     \
        const struct fg_log_field fields_[] = { __VA_ARGS__ };                               \
        fg_log_write(&site_, (level), (event), fields_, sizeof fields_ / sizeof fields_[0]); \
    } while (0)

#endif
