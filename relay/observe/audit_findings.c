/* audit_findings.c - see audit_findings.h. A short list, walked: the books of a healthy shop have none, and those of
 * a sick one are as many as a person can read. */
#include "audit_findings.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const char *const relay_finding_words[] = {
#define RELAY_FINDING_WORD(name, word, freezes, amounts) [RELAY_FINDING_##name] = word,
    RELAY_FINDING_KINDS(RELAY_FINDING_WORD)
#undef RELAY_FINDING_WORD
        [RELAY_FINDING_KIND_COUNT] = NULL,
};

static const bool freezing[RELAY_FINDING_KIND_COUNT] = {
#define RELAY_FINDING_FREEZES(name, word, freezes, amounts) [RELAY_FINDING_##name] = freezes,
    RELAY_FINDING_KINDS(RELAY_FINDING_FREEZES)
#undef RELAY_FINDING_FREEZES
};

static const bool has_amounts[RELAY_FINDING_KIND_COUNT] = {
#define RELAY_FINDING_AMOUNTS(name, word, freezes, amounts) [RELAY_FINDING_##name] = amounts,
    RELAY_FINDING_KINDS(RELAY_FINDING_AMOUNTS)
#undef RELAY_FINDING_AMOUNTS
};

enum {
    LOOKS_ALIKE = 2, /* that agree */
    LOOKS_IN_A_ROW = 3,
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

static bool is_same(const struct relay_finding *one, const struct relay_finding *other)
{
    return memcmp(one->marks, other->marks, sizeof one->marks) == 0;
}

static bool is_agreed(const struct relay_finding *finding)
{
    return finding->looks >= LOOKS_ALIKE || finding->in_a_row >= LOOKS_IN_A_ROW;
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
        if (finding->kind == met->kind && (has_amounts[met->kind] || is_same(finding, met)))
            return finding;
    }
    return NULL;
}

/* A sink that lost thousands of rows must not hide books that sell a unit twice. NULL: no room. */
static struct relay_finding *make_place(struct relay_findings *findings,
                                        const struct relay_finding *met, size_t siblings)
{
    bool is_crowded = siblings >= RELAY_FINDINGS_OF_SUBJECT;
    if (!is_crowded && findings->count < RELAY_FINDINGS_MAX)
        return &findings->list[findings->count++];
    for (size_t i = 0; freezing[met->kind] && i < findings->count; i++)
        if (!freezing[findings->list[i].kind] &&
            (!is_crowded || is_of(&findings->list[i], met->subject)))
            return &findings->list[i];
    return NULL;
}

static void note_look(struct relay_finding *finding, const struct relay_finding *met)
{
    if (finding->is_met)
        return;
    finding->looks = is_same(finding, met) ? finding->looks + 1 : 1;
    finding->in_a_row++;
    finding->is_met = true;
    memcpy(finding->marks, met->marks, sizeof finding->marks);
    memcpy(finding->text, met->text, sizeof finding->text);
}

enum relay_meeting relay_findings_meet(struct relay_findings *findings,
                                       const struct relay_finding *met, int64_t now_ms)
{
    size_t siblings;
    enum relay_meeting meeting = RELAY_MET_NO_ROOM;
    pthread_mutex_lock(&findings->lock);
    struct relay_finding *finding = find(findings, met, &siblings);
    if (finding == NULL && (finding = make_place(findings, met, siblings)) != NULL) {
        *finding = *met;
        finding->since_ms = now_ms;
        finding->looks = finding->in_a_row = 0;
        finding->is_met = false;
    }
    if (finding != NULL) {
        note_look(finding, met);
        meeting = is_agreed(finding)      ? RELAY_MET_AGREED
                  : finding->in_a_row > 1 ? RELAY_MET_AGAIN
                                          : RELAY_MET_NEW;
    }
    pthread_mutex_unlock(&findings->lock);
    return meeting;
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
                         is_agreed(finding) ? "true" : "false");
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
