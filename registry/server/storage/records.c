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

gboolean record_put(Change *change, const char *kind, const char *name, const char *key, const json_t *body,
                    GError **error)
{
    g_autofree char *text = body == NULL ? NULL : ingot_json_canonical(body);
    const RecordRow row = {.kind = kind,
                           .name = name,
                           .key = key,
                           .body = text,
                           .at = change_time(change),
                           .by = change->actor == NULL ? NULL : change->actor->name,
                           .reason = change->actor == NULL ? NULL : change->actor->reason};
    change_log(change, "record", name, "kind", kind, "key", key, NULL);
    json_object_set_new(g_ptr_array_index(change->events, change->events->len - 1), "body",
                        body == NULL ? json_null() : json_deep_copy(body));
    return body == NULL ? record_rows_drop(change->writer, kind, name, key, error)
                        : record_rows_put(change->writer, &row, error);
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
    gboolean ok = record_put(change, kind, name, key, json_is_object(body) ? body : NULL, error);
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

static gboolean record_collect(const RecordRow *row, gpointer user)
{
    StorageRecord *record = g_new0(StorageRecord, 1);
    *record = (StorageRecord){.name = g_strdup(row->name),
                              .key = g_strdup(row->key),
                              .body = ingot_json_parse(row->body, strlen(row->body), "record", NULL),
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

json_t *storage_record(Storage *storage, const char *kind, const char *name, const char *key, GError **error)
{
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(storage_record_free);
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && record_rows_each(reader, kind, name, key, record_collect, records, error) &&
                   records->len > 0
               ? json_incref(((StorageRecord *)g_ptr_array_index(records, 0))->body)
               : NULL;
}
