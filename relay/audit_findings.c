/* audit_findings.c - see audit_findings.h. A short list, walked: the books of a healthy shop have none, and those of
 * a sick one are as many as a person can read. */
#include "audit_findings.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const char *const relay_finding_words[] = {
#define RELAY_FINDING_WORD(name, word, freezes) [RELAY_FINDING_##name] = word,
    RELAY_FINDING_KINDS(RELAY_FINDING_WORD)
#undef RELAY_FINDING_WORD
        [RELAY_FINDING_KIND_COUNT] = NULL,
};

static const bool freezing[RELAY_FINDING_KIND_COUNT] = {
#define RELAY_FINDING_FREEZES(name, word, freezes) [RELAY_FINDING_##name] = freezes,
    RELAY_FINDING_KINDS(RELAY_FINDING_FREEZES)
#undef RELAY_FINDING_FREEZES
};

struct relay_findings {
    pthread_mutex_t lock; /* for what the auditor changes and others read */
    size_t count;
    struct relay_finding list[RELAY_FINDINGS_MAX];
};

bool relay_finding_freezes(enum relay_finding_kind kind)
{
    return freezing[kind];
}

struct relay_findings *relay_findings_new(void)
{
    struct relay_findings *findings = calloc(1, sizeof *findings);
    if (findings != NULL)
        pthread_mutex_init(&findings->lock, NULL);
    return findings;
}

void relay_findings_free(struct relay_findings **findings_at)
{
    struct relay_findings *findings = *findings_at;
    *findings_at = NULL;
    if (findings == NULL)
        return;
    pthread_mutex_destroy(&findings->lock);
    free(findings);
}

static bool is_of(const struct relay_finding *finding, struct relay_subject subject)
{
    return finding->subject.bucket == subject.bucket && finding->subject.sink == subject.sink;
}

void relay_findings_look(struct relay_findings *findings, struct relay_subject subject)
{
    for (size_t i = 0; i < findings->count; i++)
        if (is_of(&findings->list[i], subject))
            findings->list[i].is_met = false;
}

static struct relay_finding *find(struct relay_findings *findings, const struct relay_finding *met,
                                  size_t *siblings_r)
{
    *siblings_r = 0;
    for (size_t i = 0; i < findings->count; i++) {
        struct relay_finding *finding = &findings->list[i];
        if (!is_of(finding, met->subject))
            continue;
        ++*siblings_r;
        if (finding->kind == met->kind &&
            memcmp(finding->marks, met->marks, sizeof met->marks) == 0)
            return finding;
    }
    return NULL;
}

unsigned relay_findings_meet(struct relay_findings *findings, const struct relay_finding *met,
                             int64_t now_ms)
{
    size_t siblings;
    unsigned looks = 0;
    pthread_mutex_lock(&findings->lock);
    struct relay_finding *finding = find(findings, met, &siblings);
    if (finding == NULL && siblings < RELAY_FINDINGS_OF_SUBJECT &&
        findings->count < RELAY_FINDINGS_MAX) {
        finding = &findings->list[findings->count++];
        *finding = *met;
        finding->since_ms = now_ms;
        finding->looks = 0;
        finding->is_met = false;
    }
    if (finding != NULL) {
        finding->looks += !finding->is_met;
        finding->is_met = true;
        looks = finding->looks;
    }
    pthread_mutex_unlock(&findings->lock);
    return looks;
}

static void drop(struct relay_findings *findings, size_t at)
{
    findings->list[at] = findings->list[--findings->count];
}

void relay_findings_looked(struct relay_findings *findings, struct relay_subject subject)
{
    pthread_mutex_lock(&findings->lock);
    for (size_t i = findings->count; i-- > 0;)
        if (is_of(&findings->list[i], subject) && !findings->list[i].is_met)
            drop(findings, i);
    pthread_mutex_unlock(&findings->lock);
}

void relay_findings_forget(struct relay_findings *findings, uint32_t bucket)
{
    pthread_mutex_lock(&findings->lock);
    for (size_t i = findings->count; i-- > 0;)
        if (findings->list[i].subject.bucket == bucket)
            drop(findings, i);
    pthread_mutex_unlock(&findings->lock);
}

size_t relay_findings_of(const struct relay_findings *findings, struct relay_subject subject,
                         const struct relay_finding *found[RELAY_FINDINGS_OF_SUBJECT])
{
    size_t count = 0;
    for (size_t i = 0; i < findings->count && count < RELAY_FINDINGS_OF_SUBJECT; i++)
        if (is_of(&findings->list[i], subject))
            found[count++] = &findings->list[i];
    return count;
}

uint64_t relay_findings_count(const struct relay_findings *findings, enum relay_finding_kind kind)
{
    uint64_t count = 0;
    for (size_t i = 0; i < findings->count; i++)
        count += findings->list[i].kind == kind;
    return count;
}

static void add_finding(const struct relay_finding *finding, struct fg_buffer *out)
{
    fg_buffer_add_format(
        out, "{\"kind\":\"%s\",\"sale\":\"%s\",\"sku\":\"%s\",\"bucket\":%" PRIu32 ",\"sink\":",
        relay_finding_words[finding->kind], finding->sale, finding->sku, finding->subject.bucket);
    if (finding->subject.sink == NULL)
        fg_buffer_add_string(out, "null");
    else
        fg_buffer_add_json_string(out, fg_text_of(finding->subject.sink));
    fg_buffer_add_string(out, ",\"text\":");
    fg_buffer_add_json_string(out, fg_text_of(finding->text));
    fg_buffer_add_format(out, ",\"since_ms\":%" PRId64 ",\"agreed\":%s}", finding->since_ms,
                         finding->looks > 1 ? "true" : "false");
}

void relay_findings_add_json(struct relay_findings *findings, struct fg_buffer *out)
{
    fg_buffer_add_string(out, "\"differences\":[");
    pthread_mutex_lock(&findings->lock);
    for (size_t i = 0; i < findings->count; i++) {
        if (i > 0)
            fg_buffer_add_byte(out, ',');
        add_finding(&findings->list[i], out);
    }
    pthread_mutex_unlock(&findings->lock);
    fg_buffer_add_byte(out, ']');
}
