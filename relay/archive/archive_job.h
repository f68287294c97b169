/* archive_job.h - one archiving of a sale, as archive.c leads it and archive_check.c judges it. Its thread's alone. */
#ifndef FLASHGATE_RELAY_ARCHIVE_JOB_H
#define FLASHGATE_RELAY_ARCHIVE_JOB_H

#include <stdatomic.h>

#include "archive_file.h"
#include "archive_progress.h"
#include "consumer.h"
#include "relay_options.h"

enum {
    RELAY_LAGGARDS_BYTES = 512
};

struct relay_archive_job {
    const struct relay_options *options;
    struct relay_archive_progress *progress;
    const atomic_bool *is_cancelled;
    struct relay_consumer *consumer;
    struct fg_catalogue *catalogue;
    const struct fg_catalogue_sale *sale;
    struct fg_ledger_entry *lasts; /* of the SKUs, as the ledger ends */
    char name[RELAY_ARCHIVE_NAME_BYTES];
    char *path, *fresh; /* the file's, and what it is called until it is whole */
    struct fg_error *error;
    uint64_t problems; /* of a comparison or reading under way; the first is in *error */
};

struct fg_redis *relay_archive_redis(struct relay_archive_job *job);
struct relay_bucket relay_archive_bucket(const struct relay_archive_job *job,
                                         const struct fg_catalogue_sku *sku);
enum fg_result relay_archive_check_cancelled(struct relay_archive_job *job) FG_MUST_CHECK;
bool relay_archive_is_cancelled(void *job);

/* FG_REFUSED: not now, and why. */
enum fg_result relay_archive_check(struct relay_archive_job *job) FG_MUST_CHECK;
/* Who has not acknowledged everything up to `last`, and how much of it: "sink S misses N, …". The groups of others'
 * sinks count as well: they would find no ledger any more. */
enum fg_result relay_archive_find_laggards(struct relay_archive_job *job,
                                           const struct relay_bucket *bucket,
                                           struct fg_ledger_entry last,
                                           struct fg_buffer *out) FG_MUST_CHECK;

#endif
