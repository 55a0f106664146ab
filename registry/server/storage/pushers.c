#include "server/storage/pushers.h"

#include "server/catalogue/recordrows.h"
#include "server/storage/inside.h"

#define PUSHER "pusher" /* the kind of record; its key is the image's digest, its body {"by": [USER, ...]} */

static gboolean pushers_take(const RecordRow *row, gpointer user)
{
    GStrvBuilder *names = user;
    const json_t *by = json_object_get(row->body, "by");
    if (json_is_string(by)) { /* as older versions have written it */
        g_strv_builder_add(names, json_string_value(by));
    }
    for (size_t i = 0; i < json_array_size(by); i++) {
        const char *one = json_string_value(json_array_get(by, i));
        if (one != NULL) {
            g_strv_builder_add(names, one);
        }
    }
    return FALSE;
}

static char **pushers_find(Connection *connection, const char *name, const char *digest, GError **error)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    return record_rows_each(connection, PUSHER, name, digest, pushers_take, names, error) ? g_strv_builder_end(names)
                                                                                          : NULL;
}

char **storage_pushers(Storage *storage, const char *name, const IngotDigest *image, GError **error)
{
    g_autofree char *digest = ingot_digest_to_text(image);
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader == NULL ? NULL : pushers_find(reader, name, digest, error);
}

gboolean pushers_note(Change *change, const char *name, const IngotDigest *image, GError **error)
{
    const char *user = change->actor == NULL ? NULL : change->actor->name;
    if (change->redoes || user == NULL) { /* the record has an event of its own */
        return TRUE;
    }
    g_autofree char *digest = ingot_digest_to_text(image);
    g_auto(GStrv) names = pushers_find(change->writer, name, digest, error);
    if (names == NULL || g_strv_contains((const char *const *)names, user)) {
        return names != NULL;
    }
    json_t *by = json_array();
    for (guint i = 0; names[i] != NULL; i++) {
        json_array_append_new(by, json_string(names[i]));
    }
    json_array_append_new(by, json_string(user));
    g_autoptr(json_t) body = ingot_json_pack("{s:o}", "by", by);
    return record_put(change, PUSHER, name, digest, body, error);
}
