/* limit_explain.c - what every rule would say to a request, for a person who asks why. */
#include "limits-private.h"

#include <string.h>

static const char *const override_words[] = { "rate", "unlimited", "deny" };

static void fill_tokens(const struct limit_trial *trial, struct fg_limit_explanation *explanation)
{
    explanation->burst = trial->clock->burst;
    explanation->left =
        limit_is_shut(trial) ? 0 : fg_token_left(trial->clock, limit_look(trial), trial->units);
    explanation->wait_ns = limit_wait_ns(trial);
    explanation->missing_header = trial->missing_header;
}

static void judge(const struct limit_trial *trial, struct fg_limit_explanation *explanation)
{
    bool is_unlimited = trial->override != NULL && trial->override->kind == OVERRIDE_UNLIMITED;
    bool is_refused = trial->missing_header != NULL ||
                      (!is_unlimited && (limit_is_shut(trial) || explanation->left == 0));
    explanation->is_enforced = trial->is_enforced;
    explanation->override_kind =
        trial->override == NULL ? NULL : override_words[trial->override->kind];
    explanation->result = !is_refused          ? FG_LIMIT_PASS
                          : trial->is_enforced ? FG_LIMIT_REJECT
                                               : FG_LIMIT_SHADOW_REJECT;
    if (is_unlimited)
        explanation->wait_ns = 0;
}

static void explain_rule(const struct fg_limits *limits, const struct limit_rule *rule,
                         const struct fg_limit_request *request, uint64_t now_ns,
                         struct fg_limit_explanation *explanation)
{
    char memory[KEY_BYTES_MAX];
    struct fg_buffer key = fg_buffer_over(memory, sizeof memory);
    struct limit_trial trial = { .rule = rule };
    *explanation = (struct fg_limit_explanation){ .limit = rule->definition,
                                                  .rate = rule->rate,
                                                  .result = FG_LIMIT_SKIPPED };
    explanation->why_not = limit_mismatch(limits, rule, request);
    if (explanation->why_not != NULL)
        return;
    limit_key_show(rule, request, explanation->key, sizeof explanation->key);
    if (limit_key_make(rule, request, &key, &trial.missing_header) == LIMIT_KEY_SKIPPED) {
        explanation->why_not = "a header field of its key is missing";
        return;
    }
    explanation->applies = true;
    limit_key_settle(limits, &trial, fg_buffer_text(&key), now_ns);
    if (trial.override != NULL && trial.override->kind == OVERRIDE_RATE)
        explanation->rate = trial.override->rate;
    fill_tokens(&trial, explanation);
    judge(&trial, explanation);
}

void fg_limits_explain(const struct fg_limits *limits, const struct fg_limit_request *request,
                       uint64_t now_ns,
                       void (*each)(const struct fg_limit_explanation *explanation, void *argument),
                       void *argument)
{
    for (size_t i = 0; i < limits->rule_count; i++) {
        struct fg_limit_explanation explanation;
        explain_rule(limits, &limits->rules[i], request, now_ns, &explanation);
        each(&explanation, argument);
    }
}
