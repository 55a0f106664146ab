#include "server/storage/states.h"

#include "base/json.h"
#include "server/catalogue/recordrows.h"
#include "server/storage/bases.h"
#include "server/storage/inside.h"
#include "server/storage/records.h"

/* A base's states become an array's. */
static gboolean base_take(const RecordRow *row, gpointer user)
{
    json_array_append_new(user,
                          ingot_json_pack("{s:s, s:s, s:O}", "name", row->name, "digest", row->key, "body", row->body));
    return TRUE;
}

static json_t *states_of_bases(Storage *storage, const IngotDigest *image, GError **error)
{
    g_autoptr(json_t) list = json_array();
    g_autoptr(GArray) bases = storage_bases(storage, image, error);
    g_autoptr(Connection) reader = bases == NULL ? NULL : database_reader(storage->catalogue, error);
    for (guint i = 0; reader != NULL && i < bases->len; i++) {
        g_autofree char *digest = ingot_digest_to_text(&g_array_index(bases, IngotDigest, i));
        if (!record_rows_each(reader, STATE_RECORD, NULL, digest, base_take, list, error)) {
            return NULL;
        }
    }
    return reader == NULL ? NULL : g_steal_pointer(&list);
}

json_t *storage_states(Storage *storage, const char *name, const IngotDigest *image, GError **error)
{
    GError *problem = NULL;
    g_autofree char *digest = ingot_digest_to_text(image);
    g_autoptr(json_t) own = storage_record(storage, STATE_RECORD, name, digest, &problem);
    g_autoptr(json_t) bases = problem == NULL ? states_of_bases(storage, image, &problem) : NULL;
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return own == NULL && json_array_size(bases) == 0 ? NULL : json_pack("{s:O*, s:O}", "own", own, "bases", bases);
}
