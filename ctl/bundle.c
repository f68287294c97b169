/* bundle.c - see bundle.h. */
#include "bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char zip_suffix[] = ".zip";
static const char fresh_suffix[] = ".new";

struct fg_bundle {
    char *path;
    char *fresh;         /* the zip until it is whole; NULL: a folder */
    struct archive *zip; /* NULL: a folder */
    int descriptor;      /* its; -1: none */
    FILE *file;          /* in the folder; NULL: none is open */
};

static enum fg_result say(const struct fg_bundle *bundle, struct fg_error *error)
{
    const char *why = bundle->zip != NULL ? archive_error_string(bundle->zip) : strerror(errno);
    return fg_error_set(error, FG_UNREACHABLE, "%s: %s", bundle->path,
                        why != NULL ? why : "it cannot be written");
}

static char *join(const char *first, const char *middle, const char *last)
{
    size_t bytes = strlen(first) + strlen(middle) + strlen(last) + 1;
    char *joined = malloc(bytes);
    if (joined == NULL)
        abort();
    (void)snprintf(joined, bytes, "%s%s%s", first, middle, last);
    return joined;
}

/* It names buyers: not for everybody on this machine. */
static int create(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
}

static enum fg_result open_zip(struct fg_bundle *bundle, struct fg_error *error)
{
    bundle->fresh = join(bundle->path, "", fresh_suffix);
    bundle->zip = archive_write_new();
    if (bundle->zip == NULL)
        abort();
    bundle->descriptor = create(bundle->fresh);
    if (bundle->descriptor < 0)
        return fg_error_set(error, FG_UNREACHABLE, "%s: %s", bundle->fresh, strerror(errno));
    if (archive_write_set_format_zip(bundle->zip) != ARCHIVE_OK ||
        archive_write_open_fd(bundle->zip, bundle->descriptor) != ARCHIVE_OK)
        return say(bundle, error);
    return FG_OK;
}

enum fg_result fg_bundle_open(const char *path, struct fg_bundle **bundle_r, struct fg_error *error)
{
    struct fg_bundle *bundle = calloc(1, sizeof *bundle);
    size_t length = strlen(path), suffix = sizeof zip_suffix - 1;
    if (bundle == NULL)
        abort();
    *bundle_r = bundle;
    bundle->descriptor = -1;
    bundle->path = join(path, "", "");
    if (length > suffix && strcmp(path + length - suffix, zip_suffix) == 0)
        return open_zip(bundle, error);
    if (mkdir(path, 0750) != 0 && errno != EEXIST)
        return say(bundle, error);
    return FG_OK;
}

static enum fg_result end_file(struct fg_bundle *bundle, struct fg_error *error)
{
    FILE *file = bundle->file;
    bundle->file = NULL;
    if (file != NULL && fclose(file) != 0)
        return say(bundle, error);
    return FG_OK;
}

static enum fg_result begin_entry(struct fg_bundle *bundle, const char *name,
                                  struct fg_error *error)
{
    struct archive_entry *entry = archive_entry_new();
    if (entry == NULL)
        abort();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, time(NULL), 0);
    int code = archive_write_header(bundle->zip, entry); /* its size comes behind it */
    archive_entry_free(entry);
    return code == ARCHIVE_OK ? FG_OK : say(bundle, error);
}

enum fg_result fg_bundle_begin(struct fg_bundle *bundle, const char *name, struct fg_error *error)
{
    enum fg_result result = end_file(bundle, error);
    assert(strchr(name, '/') == NULL);
    if (result != FG_OK)
        return result;
    if (bundle->zip != NULL)
        return begin_entry(bundle, name, error);
    char *path = join(bundle->path, "/", name);
    int descriptor = create(path);
    bundle->file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    free(path);
    return bundle->file != NULL ? FG_OK : say(bundle, error);
}

enum fg_result fg_bundle_write(struct fg_bundle *bundle, const char *bytes, size_t length,
                               struct fg_error *error)
{
    bool is_written = bundle->zip != NULL
                          ? archive_write_data(bundle->zip, bytes, length) == (la_ssize_t)length
                          : fwrite(bytes, 1, length, bundle->file) == length;
    return is_written ? FG_OK : say(bundle, error);
}

enum fg_result fg_bundle_finish(struct fg_bundle *bundle, struct fg_error *error)
{
    enum fg_result result = end_file(bundle, error);
    if (result != FG_OK || bundle->zip == NULL)
        return result;
    if (archive_write_close(bundle->zip) != ARCHIVE_OK)
        return say(bundle, error);
    archive_write_free(bundle->zip);
    bundle->zip = NULL;
    return rename(bundle->fresh, bundle->path) == 0 ? FG_OK : say(bundle, error);
}

void fg_bundle_close(struct fg_bundle **bundle_at)
{
    struct fg_bundle *bundle = *bundle_at;
    *bundle_at = NULL;
    if (bundle == NULL)
        return;
    if (bundle->file != NULL)
        (void)fclose(bundle->file);
    if (bundle->zip != NULL) {
        archive_write_free(bundle->zip);
        (void)unlink(bundle->fresh);
    }
    if (bundle->descriptor >= 0)
        close(bundle->descriptor);
    free(bundle->fresh);
    free(bundle->path);
    free(bundle);
}
