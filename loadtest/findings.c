#include "findings.h"

#include <stdarg.h>
#include <stdio.h>

void fg_findings_add(struct fg_findings *findings, enum fg_finding kind, const char *what, ...)
{
    findings->counts[kind]++;
    size_t known = 0;
    while (known < FG_FINDING_EXAMPLES && findings->examples[kind][known].length > 0)
        known++;
    if (known == FG_FINDING_EXAMPLES)
        return;
    char line[512];
    va_list arguments;
    va_start(arguments, what);
    (void)vsnprintf(line, sizeof line, what, arguments);
    va_end(arguments);
    for (size_t i = 0; i < known; i++) /* the same words say nothing new */
        if (fg_text_equal(findings->examples[kind][i], fg_text_of(line)))
            return;
    findings->examples[kind][known] = fg_store_text(&findings->store, fg_text_of(line));
}

bool fg_findings_are_good(const struct fg_findings *findings)
{
    for (int kind = 0; kind < FG_FINDING_KINDS; kind++)
        if (findings->counts[kind] > 0)
            return false;
    return true;
}

const char *fg_finding_text(enum fg_finding kind)
{
    static const char *const texts[FG_FINDING_KINDS] = {
#define FG_FINDING_TEXT(name, text) text,
        FG_FINDINGS(FG_FINDING_TEXT)
#undef FG_FINDING_TEXT
    };
    return texts[kind];
}

void fg_findings_free(struct fg_findings *findings)
{
    fg_store_free(&findings->store);
    *findings = (struct fg_findings){ 0 };
}
