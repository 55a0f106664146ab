#include "server/storage/pulls.h"

#include "server/catalogue/used.h"
#include "server/storage/inside.h"

#define PULLS_MAX 65536 /* that are gathered; what comes beyond is pulled once more, or was not of much use */

typedef struct {
    IngotDigest manifest;
    gint64 at;
    char name[];
} Pull;

static char *pull_key(const char *name, const IngotDigest *manifest)
{
    g_autofree char *text = ingot_digest_to_text(manifest);
    return g_strconcat(name, "@", text, NULL);
}

void pulls_note(Storage *storage, const char *name, const IngotDigest *manifest)
{
    g_autofree char *key = pull_key(name, manifest);
    gsize length = strlen(name) + 1;
    g_mutex_lock(&storage->pulls_lock);
    Pull *pull = g_hash_table_lookup(storage->pulls, key);
    if (pull == NULL && g_hash_table_size(storage->pulls) < PULLS_MAX) {
        pull = g_malloc0(sizeof *pull + length);
        pull->manifest = *manifest;
        memcpy(pull->name, name, length);
        g_hash_table_insert(storage->pulls, g_steal_pointer(&key), pull);
    }
    if (pull != NULL) {
        pull->at = storage_now();
    }
    g_mutex_unlock(&storage->pulls_lock);
}

static gboolean pulls_write(Change *change, GHashTable *pulls, GError **error)
{
    GHashTableIter iterator;
    gpointer value;
    g_hash_table_iter_init(&iterator, pulls);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        const Pull *pull = value;
        if (!used_note(change->writer, pull->name, &pull->manifest, pull->at, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Those that have come meanwhile are newer. */
static void pulls_put_back(Storage *storage, GHashTable *pulls)
{
    GHashTableIter iterator;
    gpointer key, value;
    g_mutex_lock(&storage->pulls_lock);
    g_hash_table_iter_init(&iterator, pulls);
    while (g_hash_table_iter_next(&iterator, &key, &value)) {
        if (!g_hash_table_contains(storage->pulls, key)) {
            g_hash_table_iter_steal(&iterator);
            g_hash_table_insert(storage->pulls, key, value);
        }
    }
    g_mutex_unlock(&storage->pulls_lock);
}

gboolean pulls_flush(Storage *storage, GError **error)
{
    g_mutex_lock(&storage->pulls_lock);
    g_autoptr(GHashTable) pulls = storage->pulls;
    storage->pulls = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_mutex_unlock(&storage->pulls_lock);
    Change change;
    if (g_hash_table_size(pulls) == 0) {
        return TRUE;
    }
    gboolean ok =
        change_begin(storage, &change, error) && change_end(&change, pulls_write(&change, pulls, error), error);
    if (!ok) {
        pulls_put_back(storage, pulls);
    }
    return ok;
}
