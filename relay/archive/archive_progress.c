/* archive_progress.c - see archive_progress.h. */
#include "archive_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flashgate/base/log.h"

static const char *const phase_words[] = {
#define RELAY_ARCHIVE_WORDS(name, words) words,
    RELAY_ARCHIVE_PHASES(RELAY_ARCHIVE_WORDS)
#undef RELAY_ARCHIVE_WORDS
};

void relay_archive_progress_init(struct relay_archive_progress *progress)
{
    memset(progress, 0, sizeof *progress);
    pthread_mutex_init(&progress->lock, NULL);
}

void relay_archive_progress_close(struct relay_archive_progress *progress)
{
    pthread_mutex_destroy(&progress->lock);
}

void relay_archive_progress_begin(struct relay_archive_progress *progress, const char *sale)
{
    pthread_mutex_lock(&progress->lock);
    progress->phase = RELAY_ARCHIVE_CHECKING;
    progress->is_running = true;
    progress->file[0] = '\0';
    progress->entries = progress->orders = 0;
    snprintf(progress->sale, sizeof progress->sale, "%s", sale);
    pthread_mutex_unlock(&progress->lock);
}

void relay_archive_progress_enter(struct relay_archive_progress *progress,
                                  enum relay_archive_phase phase, const char *file)
{
    pthread_mutex_lock(&progress->lock);
    progress->phase = phase;
    snprintf(progress->file, sizeof progress->file, "%s", file);
    pthread_mutex_unlock(&progress->lock);
    fg_log(FG_LOG_INFO, "archiving", FG_STRING_FIELD("sale", progress->sale),
           FG_STRING_FIELD("phase", phase_words[phase]));
}

void relay_archive_progress_count(struct relay_archive_progress *progress, uint64_t entries,
                                  uint64_t orders)
{
    pthread_mutex_lock(&progress->lock);
    progress->entries = entries;
    progress->orders = orders;
    pthread_mutex_unlock(&progress->lock);
}

void relay_archive_progress_end(struct relay_archive_progress *progress, enum fg_result result,
                                const struct fg_error *error)
{
    pthread_mutex_lock(&progress->lock);
    progress->is_running = false;
    progress->result = result;
    if (result == FG_OK)
        progress->phase = RELAY_ARCHIVE_DONE;
    else
        progress->error = *error;
    pthread_mutex_unlock(&progress->lock);
    if (result == FG_OK)
        fg_log(FG_LOG_INFO, "archived", FG_STRING_FIELD("sale", progress->sale),
               FG_STRING_FIELD("file", progress->file));
    else
        fg_log(FG_LOG_ERROR, "not_archived", FG_STRING_FIELD("sale", progress->sale),
               FG_STRING_FIELD("reason", error->text));
}

void relay_archive_progress_add_json(struct relay_archive_progress *progress, struct fg_buffer *out)
{
    pthread_mutex_lock(&progress->lock);
    bool has_failed =
        !progress->is_running && progress->phase != RELAY_ARCHIVE_NONE && progress->result != FG_OK;
    fg_buffer_add_format(out,
                         "{\"sale\":\"%s\",\"running\":%s,\"archived\":%s,\"phase\":\"%s\","
                         "\"file\":\"%s\",\"entries\":%" PRIu64 ",\"orders\":%" PRIu64
                         ",\"refused\":%s,\"problem\":",
                         progress->sale, progress->is_running ? "true" : "false",
                         progress->phase == RELAY_ARCHIVE_DONE ? "true" : "false",
                         phase_words[progress->phase], progress->file, progress->entries,
                         progress->orders,
                         has_failed && progress->result == FG_REFUSED ? "true" : "false");
    if (has_failed)
        fg_buffer_add_json_string(out, fg_text_of(progress->error.text));
    else
        fg_buffer_add_string(out, "null");
    fg_buffer_add_string(out, "}\n");
    pthread_mutex_unlock(&progress->lock);
}
