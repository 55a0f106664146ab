/* What repositories have, remembered. Small ranges of few blobs are the main load: what was found stays known until the
 * catalogue changes. */
#include "server/catalogue/blobmap.h"
#include "server/catalogue/links.h"
#include "server/storage/inside.h"

#define LINKS_MAX 4096 /* that are remembered */

static gboolean is_remembered(Storage *storage, const char *key, guint64 epoch)
{
    g_mutex_lock(&storage->links_lock);
    if (storage->links_epoch != epoch || g_hash_table_size(storage->links) > LINKS_MAX) {
        g_hash_table_remove_all(storage->links);
        storage->links_epoch = epoch;
    }
    gboolean known = g_hash_table_contains(storage->links, key);
    g_mutex_unlock(&storage->links_lock);
    return known;
}

static void remember(Storage *storage, char *key, guint64 epoch)
{
    g_mutex_lock(&storage->links_lock);
    if (storage->links_epoch == epoch) {
        g_hash_table_add(storage->links, key);
    } else {
        g_free(key);
    }
    g_mutex_unlock(&storage->links_lock);
}

static char *link_key(const char *name, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    return g_strconcat(name, "@", text, NULL);
}

gboolean storage_has_known(Storage *storage, const char *name, const IngotDigest *digest)
{
    g_autofree char *key = link_key(name, digest);
    return is_remembered(storage, key, database_sequence(storage->catalogue));
}

gboolean storage_has(Storage *storage, const char *name, const IngotDigest *digest)
{
    guint64 epoch = database_sequence(storage->catalogue); /* before it is looked up */
    g_autofree char *key = link_key(name, digest);
    if (is_remembered(storage, key, epoch)) {
        return TRUE;
    }
    gint64 repository, blob;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    gboolean found = reader != NULL && links_find(reader, name, digest, &repository, &blob, NULL) && blob > 0;
    if (found) {
        remember(storage, g_steal_pointer(&key), epoch);
    }
    return found;
}

gboolean storage_is_whole(Storage *storage, const char *name, const IngotDigest *digest)
{
    gboolean damaged = TRUE;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    return reader != NULL && storage_has(storage, name, digest) && blobmap_is_damaged(reader, digest, &damaged, NULL) &&
           !damaged;
}
