/* Records: state of names that is neither a blob, a manifest nor a tag (pipelines, approvals, moves of channels): JSON
 * by kind, name and key. Each change is an event; a rebuild, a checkpoint and a backup have them all. Thread safe. */
#pragma once

#include <jansson.h>

#include "server/storage/storage.h"

#define RECORD_APPROVAL "approval" /* key: CHANNEL DIGEST USER */
#define APPROVAL_USER "created"    /* when that user was added (seconds), which tells it from others of its name */

typedef struct {
    char *name, *key;
    json_t *body;
    gint64 at;         /* seconds */
    char *by, *reason; /* NULL: not known */
} StorageRecord;

/* In the place of the one with the same kind, name and key. body NULL: removes it. */
gboolean storage_put_record(Storage *storage, const StorageActor *actor, const char *kind, const char *name,
                            const char *key, const json_t *body, GError **error);
/* What becomes of a record's body (NULL: there is none); NULL: nothing does. */
typedef json_t *(*StorageRecordFunc)(const json_t *body, gpointer user);
/* Puts what the function makes of the record that is there, both in one change: of two at once, in whichever processes,
 * the second sees what the first has put. */
gboolean storage_change_record(Storage *storage, const StorageActor *actor, const char *kind, const char *name,
                               const char *key, StorageRecordFunc func, gpointer user, GError **error);
/* NULL without an error: there is none. */
json_t *storage_record(Storage *storage, const char *kind, const char *name, const char *key, GError **error);
/* Array of StorageRecord *, which it owns, the highest keys of each name first; name NULL: of any. */
GPtrArray *storage_records(Storage *storage, const char *kind, const char *name, GError **error);
/* What those of a name take, in bytes, which reads none of them into memory. */
gboolean storage_records_size(Storage *storage, const char *kind, const char *name, guint64 *bytes, GError **error);
/* The names that have one of the kind, in their order. Free it; NULL: an error. */
char **storage_record_names(Storage *storage, const char *kind, GError **error);
