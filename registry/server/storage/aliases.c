/* Aliases: from what clients call a blob to what it is called here. What was found stays in memory until the catalogue
 * changes. */
#include "server/catalogue/aliasrows.h"
#include "server/storage/inside.h"
#include "server/storage/mentions.h"

#define ALIASES_MAX 4096 /* that are kept in memory */

gboolean names_alias(Change *change, const char *name, const OciDigest *alias, const IngotDigest *digest,
                     GError **error)
{
    gboolean added;
    if (!alias->is_sha512) {
        return TRUE;
    }
    if (!alias_rows_add(change->writer, alias, digest, &added, error)) {
        return FALSE;
    }
    if (added) {
        g_autofree char *text = ingot_digest_to_text(digest), *other = oci_digest_to_text(alias);
        change_log(change, "alias", name, "digest", text, "alias", other, NULL);
    }
    return TRUE;
}

gboolean storage_resolve_known(Storage *storage, const OciDigest *named, IngotDigest *digest)
{
    *digest = named->key;
    if (!named->is_sha512) {
        return TRUE;
    }
    guint64 epoch = database_sequence(storage->catalogue);
    g_mutex_lock(&storage->aliases_lock);
    if (storage->aliases_epoch != epoch || g_hash_table_size(storage->aliases) > ALIASES_MAX) {
        g_hash_table_remove_all(storage->aliases);
        storage->aliases_epoch = epoch;
    }
    const IngotDigest *known = g_hash_table_lookup(storage->aliases, &named->key);
    if (known != NULL) {
        *digest = *known;
    }
    g_mutex_unlock(&storage->aliases_lock);
    return known != NULL;
}

static void keep_alias(Storage *storage, const OciDigest *alias, const IngotDigest *digest, guint64 epoch)
{
    g_mutex_lock(&storage->aliases_lock);
    if (storage->aliases_epoch == epoch) {
        g_hash_table_replace(storage->aliases, g_memdup2(&alias->key, sizeof alias->key),
                             g_memdup2(digest, sizeof *digest));
    }
    g_mutex_unlock(&storage->aliases_lock);
}

gboolean storage_resolve(Storage *storage, const OciDigest *named, IngotDigest *digest, GError **error)
{
    guint64 epoch = database_sequence(storage->catalogue); /* before it is looked up */
    if (storage_resolve_known(storage, named, digest)) {
        return TRUE;
    }
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !alias_rows_resolve(reader, named, digest, error)) {
        return FALSE;
    }
    if (!ingot_digest_equal(digest, &named->key)) {
        keep_alias(storage, named, digest, epoch);
    }
    return TRUE;
}

gboolean storage_digest(Storage *storage, const char *text, IngotDigest *digest, GError **error)
{
    OciDigest named;
    return oci_digest_parse(text, &named, error) && storage_resolve(storage, &named, digest, error);
}

gboolean storage_digest_known(Storage *storage, const char *text, IngotDigest *digest)
{
    OciDigest named;
    return oci_digest_parse(text, &named, NULL) && storage_resolve_known(storage, &named, digest);
}

gboolean storage_resolve_mentions(Storage *storage, GArray *mentions, GError **error)
{
    for (guint i = 0; i < mentions->len; i++) {
        Mention *mention = &g_array_index(mentions, Mention, i);
        if (mention->named.is_sha512 && !storage_resolve(storage, &mention->named, &mention->digest, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean is_known(Storage *storage, const IngotDigest *digest, gboolean *known, GError **error)
{
    OciDigest alias;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && alias_rows_find(reader, digest, &alias, known, error);
}

gboolean storage_find_alias(Storage *storage, const StorageActor *actor, const char *name, const IngotDigest *manifest,
                            GError **error)
{
    gboolean known;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, manifest, &type, NULL);
    if (bytes == NULL) {
        return TRUE;
    }
    if (!is_known(storage, manifest, &known, error)) {
        return FALSE;
    }
    if (known) {
        return TRUE;
    }
    const OciDigest alias = oci_digest_of_sha512(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    Change change;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = actor;
    return change_end(&change, names_alias(&change, name, &alias, manifest, error), error);
}
