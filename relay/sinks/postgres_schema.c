/* postgres_schema.c - see postgres_schema.h.
 *
 * The tables are those of the SQLite sink, but for the column `user`, which PostgreSQL takes for the role that asks:
 * here it is user_id. Texts that are compared or sorted are COLLATE "C": bytes, in every database the same. */
#include "postgres_schema.h"

#include <inttypes.h>

enum {
    SCHEMA_VERSION = 1
};

/* The lock's number is the word "flashgat". */
static const char lock_sql[] = "BEGIN; SELECT pg_advisory_xact_lock(7380390917733867892)";
/* The catalogue itself is asked: to_regclass may answer from before the wait for the lock. */
#define RELATIONS                                                                                \
    " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace" \
    " WHERE n.nspname = 'flashgate'"
static const char is_there_sql[] = "SELECT 1" RELATIONS " AND c.relname = 'version'";
static const char version_sql[] = "SELECT max(version) FROM flashgate.version";
static const char things_sql[] = "SELECT count(*)" RELATIONS;
/* CREATE SCHEMA IF NOT EXISTS asks for the right to create even where nothing is to be. */
static const char create_sql[] =
    "DO $$BEGIN IF to_regnamespace('flashgate') IS NULL THEN CREATE SCHEMA flashgate; END IF; "
    "END$$;"
    "CREATE TABLE flashgate.version (version bigint NOT NULL);"
    "INSERT INTO flashgate.version VALUES (1);"
    "CREATE TABLE flashgate.events ("
    " event_id text COLLATE \"C\" PRIMARY KEY,"
    " bucket bigint NOT NULL,"
    " epoch text COLLATE \"C\" NOT NULL,"
    " entry text NOT NULL,"
    " event text NOT NULL,"
    " order_id text COLLATE \"C\","
    " sale text NOT NULL,"
    " sku text NOT NULL,"
    " user_id text,"
    " quantity bigint,"
    " key text,"
    " expires_at_ms bigint,"
    " at_ms bigint NOT NULL,"
    " sequence bigint NOT NULL,"
    " asked_by text,"
    " payment text,"
    " reason text,"
    " state text,"
    " record json"
    ");"
    "CREATE INDEX events_by_order ON flashgate.events (order_id, at_ms, sequence)"
    " WHERE order_id IS NOT NULL;"
    "CREATE UNIQUE INDEX events_by_place ON flashgate.events (bucket, epoch, at_ms, sequence);"
    "CREATE TABLE flashgate.progress ("
    " bucket bigint NOT NULL,"
    " epoch text COLLATE \"C\" NOT NULL,"
    " token bigint NOT NULL,"
    " last_event text,"
    " PRIMARY KEY (bucket, epoch)"
    ");"
    "CREATE TABLE flashgate.orders ("
    " order_id text COLLATE \"C\" PRIMARY KEY,"
    " sale text COLLATE \"C\" NOT NULL,"
    " sku text COLLATE \"C\" NOT NULL,"
    " user_id text COLLATE \"C\" NOT NULL,"
    " quantity bigint NOT NULL,"
    " status text COLLATE \"C\" NOT NULL,"
    " made_ms bigint NOT NULL,"
    " changed_ms bigint NOT NULL,"
    " changed_sequence bigint NOT NULL,"
    " expires_ms bigint"
    ");"
    "CREATE INDEX orders_by_time ON flashgate.orders (made_ms, order_id, sku);"
    "CREATE INDEX orders_by_sale ON flashgate.orders (sale, made_ms, order_id, sku, status);"
    "CREATE INDEX orders_by_user ON flashgate.orders (user_id, made_ms, order_id);"
    "CREATE INDEX orders_by_status ON flashgate.orders (status, made_ms, order_id, sale, sku);";

/* 0: there is none yet. */
static enum fg_result read_version(struct postgres_link *link, int64_t *version_r,
                                   struct fg_error *error)
{
    static const char doing[] = "reading the schema's version";
    bool is_missing;
    *version_r = 0;
    enum fg_result result =
        postgres_number(link, is_there_sql, doing, version_r, &is_missing, error);
    if (result != FG_OK || is_missing)
        return result;
    return postgres_number(link, version_sql, doing, version_r, &is_missing, error);
}

static enum fg_result check_version(const struct postgres_link *link, int64_t version,
                                    struct fg_error *error)
{
    if (version <= SCHEMA_VERSION)
        return FG_OK;
    return fg_error_set(error, FG_INVALID,
                        "postgresql %s: written by a newer flashgate-relay (schema %" PRId64
                        ", this one knows up to %d): install that version",
                        link->settings->id, version, SCHEMA_VERSION);
}

static enum fg_result create(struct postgres_link *link, struct fg_error *error)
{
    int64_t things;
    bool is_null;
    enum fg_result result =
        postgres_number(link, things_sql, "looking at the schema", &things, &is_null, error);
    if (result == FG_OK && things > 0)
        result = fg_error_set(error, FG_INVALID,
                              "postgresql %s: the schema flashgate is there, but not one of "
                              "flashgate-relay: name another database",
                              link->settings->id);
    return result == FG_OK ? postgres_run(link, create_sql, "creating the schema", error) : result;
}

/* Behind a lock, so that two relays that start together do not both create it. */
static enum fg_result create_once(struct postgres_link *link, struct fg_error *error)
{
    int64_t version;
    enum fg_result result = postgres_run(link, lock_sql, "locking the schema", error);
    if (result == FG_OK)
        result = read_version(link, &version, error);
    if (result == FG_OK)
        result = version == 0 ? create(link, error) : check_version(link, version, error);
    return result == FG_OK ? postgres_run(link, "COMMIT", "creating the schema", error) : result;
}

enum fg_result postgres_schema_prepare(struct postgres_link *link, struct fg_error *error)
{
    int64_t version;
    enum fg_result result = read_version(link, &version, error);
    if (result != FG_OK)
        return result;
    return version == 0 ? create_once(link, error) : check_version(link, version, error);
}
