#include "server/storage/records.h"

#include <string.h>

#include "server/catalogue/recordrows.h"
#include "server/storage/inside.h"

static void storage_record_free(gpointer data)
{
    StorageRecord *record = data;
    g_free(record->name);
    g_free(record->key);
    json_decref(record->body);
    g_free(record->by);
    g_free(record->reason);
    g_free(record);
}

static RecordRow record_row(const Change *change, const char *kind, const char *name, const char *key,
                            const json_t *body)
{
    return (RecordRow){.kind = kind,
                       .name = name,
                       .key = key,
                       .body = body,
                       .at = change_time(change),
                       .by = change->actor == NULL ? NULL : change->actor->name,
                       .reason = change->actor == NULL ? NULL : change->actor->reason};
}

static void record_log(Change *change, const RecordRow *row)
{
    change_log(change, "record", row->name, "kind", row->kind, "key", row->key, NULL);
    json_object_set_new(g_ptr_array_index(change->events, change->events->len - 1), "body",
                        row->body == NULL ? json_null() : json_deep_copy(row->body));
}

gboolean record_put(Change *change, const char *kind, const char *name, const char *key, const json_t *body,
                    GError **error)
{
    const RecordRow row = record_row(change, kind, name, key, body);
    record_log(change, &row);
    return body == NULL ? record_rows_drop(change->writer, kind, name, key, error)
                        : record_rows_put(change->writer, &row, error);
}

gboolean record_add(Change *change, const char *kind, const char *name, const char *key, const json_t *body,
                    GError **error)
{
    const RecordRow row = record_row(change, kind, name, key, body);
    record_log(change, &row);
    return record_rows_add(change->writer, &row, error);
}

gboolean record_redo(Change *change, const json_t *event, GError **error)
{
    const char *kind = json_string_value(json_object_get(event, "kind"));
    const char *key = json_string_value(json_object_get(event, "key"));
    const char *name = json_string_value(json_object_get(event, "name"));
    const json_t *body = json_object_get(event, "body");
    const StorageActor actor = {.name = json_string_value(json_object_get(event, "by")),
                                .reason = json_string_value(json_object_get(event, "why"))};
    const StorageActor *before = change->actor;
    if (kind == NULL || key == NULL) {
        return TRUE;
    }
    change->actor = &actor;
    gboolean ok = strcmp(kind, RECORD_MOVE) == 0 && json_is_object(body)
                      ? moves_redo(change, name, key, body, error)
                      : record_put(change, kind, name, key, json_is_object(body) ? body : NULL, error);
    change->actor = before;
    return ok;
}

gboolean storage_put_record(Storage *storage, const StorageActor *actor, const char *kind, const char *name,
                            const char *key, const json_t *body, GError **error)
{
    Change change;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = actor;
    return change_end(&change, record_put(&change, kind, name, key, body, error), error);
}

static gboolean record_take_body(const RecordRow *row, gpointer user)
{
    json_t **body = user;
    *body = json_deep_copy(row->body);
    return FALSE;
}

gboolean storage_change_record(Storage *storage, const StorageActor *actor, const char *kind, const char *name,
                               const char *key, StorageRecordFunc func, gpointer user, GError **error)
{
    Change change;
    g_autoptr(json_t) before = NULL;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = actor;
    gboolean ok = record_rows_each(change.writer, kind, name, key, record_take_body, &before, error);
    g_autoptr(json_t) next = ok ? func(before, user) : NULL;
    return change_end(&change, ok && (next == NULL || record_put(&change, kind, name, key, next, error)), error);
}

static gboolean record_collect(const RecordRow *row, gpointer user)
{
    StorageRecord *record = g_new0(StorageRecord, 1);
    *record = (StorageRecord){.name = g_strdup(row->name),
                              .key = g_strdup(row->key),
                              .body = json_deep_copy(row->body),
                              .at = row->at,
                              .by = g_strdup(row->by),
                              .reason = g_strdup(row->reason)};
    g_ptr_array_add(user, record);
    return TRUE;
}

GPtrArray *storage_records(Storage *storage, const char *kind, const char *name, GError **error)
{
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(storage_record_free);
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && record_rows_each(reader, kind, name, NULL, record_collect, records, error)
               ? g_steal_pointer(&records)
               : NULL;
}

gboolean storage_records_size(Storage *storage, const char *kind, const char *name, guint64 *bytes, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && record_rows_size(reader, kind, name, bytes, error);
}

char **storage_record_names(Storage *storage, const char *kind, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader == NULL ? NULL : record_rows_names(reader, kind, error);
}

json_t *storage_record(Storage *storage, const char *kind, const char *name, const char *key, GError **error)
{
    json_t *body = NULL;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && record_rows_each(reader, kind, name, key, record_take_body, &body, error) ? body : NULL;
}
