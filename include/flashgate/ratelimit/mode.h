/* mode.h - how a rule or a breaker counts: for real, only in the metrics, or not at all. */
#ifndef FLASHGATE_RATELIMIT_MODE_H
#define FLASHGATE_RATELIMIT_MODE_H

enum fg_mode {
    FG_MODE_ENFORCE,
    FG_MODE_SHADOW, /* decides and counts as if, refuses nobody */
    FG_MODE_OFF
};
extern const char *const fg_mode_words[]; /* enforce shadow off, ended by NULL */

#endif
