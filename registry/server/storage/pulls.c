#include "server/storage/pulls.h"

#include "server/catalogue/links.h"
#include "server/catalogue/used.h"
#include "server/storage/inside.h"

#define COUNTED_SECONDS 5 /* within which a grace that has begun anew need not do so again for other processes */
#define PULLS_MAX 65536   /* that are gathered; what comes beyond is pulled once more, or was not of much use */

typedef struct {
    IngotDigest digest;
    gint64 pulled, asked; /* when; 0: not */
    char name[];
} Pull;

static char *pull_key(const char *name, const IngotDigest *manifest)
{
    g_autofree char *text = ingot_digest_to_text(manifest);
    return g_strconcat(name, "@", text, NULL);
}

static void pull_note(Storage *storage, const char *name, const IngotDigest *digest, gboolean asked)
{
    g_autofree char *key = pull_key(name, digest);
    gsize length = strlen(name) + 1;
    g_mutex_lock(&storage->pulls_lock);
    Pull *pull = g_hash_table_lookup(storage->pulls, key);
    if (pull == NULL && g_hash_table_size(storage->pulls) < PULLS_MAX) {
        pull = g_malloc0(sizeof *pull + length);
        pull->digest = *digest;
        memcpy(pull->name, name, length);
        g_hash_table_insert(storage->pulls, g_steal_pointer(&key), pull);
    }
    if (pull != NULL) {
        *(asked ? &pull->asked : &pull->pulled) = storage_now();
    }
    g_mutex_unlock(&storage->pulls_lock);
}

void pulls_note(Storage *storage, const char *name, const IngotDigest *manifest)
{
    pull_note(storage, name, manifest, FALSE);
}

void pulls_ask(Storage *storage, const char *name, const IngotDigest *blob)
{
    pull_note(storage, name, blob, TRUE);
}

gboolean pulls_is_asked(Storage *storage, const char *name, const IngotDigest *blob)
{
    g_autofree char *key = pull_key(name, blob);
    g_mutex_lock(&storage->pulls_lock);
    const Pull *pull = g_hash_table_lookup(storage->pulls, key);
    gboolean asked = pull != NULL && pull->asked > 0;
    g_mutex_unlock(&storage->pulls_lock);
    return asked;
}

static gboolean pulls_write(Change *change, GHashTable *pulls, GError **error)
{
    GHashTableIter iterator;
    gpointer value;
    g_hash_table_iter_init(&iterator, pulls);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        const Pull *pull = value;
        if ((pull->pulled > 0 && !used_note(change->writer, pull->name, &pull->digest, pull->pulled, error)) ||
            (pull->asked > 0 && !links_renew(change->writer, pull->name, &pull->digest, pull->asked, error))) {
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
        const Pull *old = value;
        Pull *newer = g_hash_table_lookup(storage->pulls, key);
        if (newer == NULL) {
            g_hash_table_iter_steal(&iterator);
            g_hash_table_insert(storage->pulls, key, value);
        } else {
            newer->pulled = MAX(newer->pulled, old->pulled);
            newer->asked = MAX(newer->asked, old->asked);
        }
    }
    g_mutex_unlock(&storage->pulls_lock);
}

static gboolean pulls_any(Storage *storage)
{
    g_mutex_lock(&storage->pulls_lock);
    gboolean any = g_hash_table_size(storage->pulls) > 0;
    g_mutex_unlock(&storage->pulls_lock);
    return any;
}

/* Under flush_lock. */
static gboolean pulls_write_all(Storage *storage, GError **error)
{
    Change change;
    if (!pulls_any(storage)) {
        return TRUE;
    }
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    g_mutex_lock(&storage->pulls_lock); /* within the change: another change finds each of them, here or there */
    g_autoptr(GHashTable) pulls = storage->pulls;
    storage->pulls = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_mutex_unlock(&storage->pulls_lock);
    gboolean ok = change_end(&change, pulls_write(&change, pulls, error), error);
    if (!ok) {
        pulls_put_back(storage, pulls);
    }
    return ok;
}

gboolean pulls_flush(Storage *storage, GError **error)
{
    g_mutex_lock(&storage->flush_lock);
    gboolean ok = pulls_write_all(storage, error);
    g_mutex_unlock(&storage->flush_lock);
    return ok;
}

/* --- where other processes collect --- */

/* Where that can't be told, it is not so. */
static gboolean pulls_is_new(Storage *storage, const char *name, const IngotDigest *blob)
{
    gint64 made;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    return reader != NULL && links_made(reader, name, blob, &made, NULL) && made + COUNTED_SECONDS > storage_now();
}

gboolean pulls_may_wait(const Storage *storage)
{
    return storage->shared;
}

void pulls_count_on(Storage *storage, const char *name, const IngotDigest *blob)
{
    pulls_ask(storage, name, blob);
    if (!pulls_may_wait(storage) || pulls_is_new(storage, name, blob)) {
        return;
    }
    g_mutex_lock(&storage->flush_lock);
    if (pulls_is_asked(storage, name, blob)) { /* else it was written with another's, while it waited */
        pulls_write_all(storage, NULL);
    }
    g_mutex_unlock(&storage->flush_lock);
}
