/* Names: which repository has which blobs. */
#include <ingot/error.h>

#include "server/catalogue/cached.h"
#include "server/catalogue/holdings.h"
#include "server/catalogue/links.h"
#include "server/catalogue/manifestrows.h"
#include "server/catalogue/repositories.h"
#include "server/catalogue/tags.h"
#include "server/storage/channels.h"
#include "server/storage/inside.h"

gint64 names_repository(Connection *connection, const char *name, gboolean make, GError **error)
{
    return make ? repositories_make(connection, name, error) : repositories_find(connection, name, error);
}

gint64 names_blob(Connection *connection, const IngotDigest *digest, GError **error)
{
    return links_blob(connection, digest, error);
}

/* Whether one more blob (0: none that is there), and so many bytes, are within the repository's quota. */
static gboolean within_quota(const Storage *storage, Connection *connection, gint64 repository, gint64 blob,
                             guint64 bytes, GError **error)
{
    guint64 limit = storage->limits.repository, used;
    if (limit == 0) {
        return TRUE;
    }
    if (!links_bytes(connection, repository, blob, &used, error)) {
        return FALSE;
    }
    if (used > limit || bytes > limit - used) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "the repository's quota is used up");
        return FALSE;
    }
    return TRUE;
}

gboolean names_link(Change *change, const char *name, gint64 blob, const IngotDigest *digest, GError **error)
{
    gboolean added;
    gint64 repository = repositories_make(change->writer, name, error);
    if (repository < 0 || !links_add(change->writer, repository, blob, change_time(change), &added, error)) {
        return FALSE;
    }
    if (added) { /* what is there already takes no more of the quota, be that as low as it may by now */
        if (!within_quota(change->storage, change->writer, repository, blob, 0, error)) {
            return FALSE;
        }
        g_autofree char *text = ingot_digest_to_text(digest);
        change_log(change, "link", name, "digest", text, NULL);
    }
    return TRUE;
}

gboolean storage_has_quota(Storage *storage, const char *name, guint64 bytes, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    gint64 repository = reader == NULL ? -1 : repositories_find(reader, name, error);
    return repository >= 0 && within_quota(storage, reader, repository, 0, bytes, error);
}

/* Nothing damaged is: whoever has the bytes pushes them. A large blob takes long to look at, so nobody is kept from
 * writing meanwhile. FALSE may have set no error. */
static gboolean may_be_mounted(Storage *storage, const IngotDigest *digest, GError **error)
{
    gboolean damaged;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && blobmap_is_damaged(reader, digest, &damaged, error) && !damaged;
}

gboolean storage_mount(Storage *storage, const StorageActor *actor, const char *from, const char *name,
                       const IngotDigest *digest, GError **error)
{
    Change change;
    gint64 repository, blob;
    if (!may_be_mounted(storage, digest, error) || !change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = actor;
    gboolean ok = links_find(change.writer, from, digest, &repository, &blob, error) && blob > 0 &&
                  names_link(&change, name, blob, digest, error);
    return change_end(&change, ok, error);
}

/* Each tag that names the manifest goes, with a line of its own: readers of the log need not search for them. */
static gboolean untag_all(Change *change, const char *name, gint64 repository, gint64 blob, GError **error)
{
    g_auto(GStrv) tags = tags_naming(change->writer, repository, blob, error);
    for (guint i = 0; tags != NULL && tags[i] != NULL; i++) {
        if (!names_untag(change, name, repository, tags[i], error)) {
            return FALSE;
        }
    }
    return tags != NULL;
}

gboolean names_remove(Change *change, const char *name, gint64 repository, gint64 blob, const IngotDigest *digest,
                      GError **error)
{
    if (!untag_all(change, name, repository, blob, error) ||
        !manifest_rows_drop(change->writer, repository, blob, error) ||
        !links_drop(change->writer, repository, blob, error) ||
        !cached_drop(change->writer, repository, digest, NULL, error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_digest_to_text(digest);
    change_log(change, "unlink", name, "digest", text, NULL);
    return TRUE;
}

/* LIMIT where a channel needs the blob. */
static gboolean no_channel_needs(Change *change, const char *name, gint64 repository, const IngotDigest *digest,
                                 GError **error)
{
    g_auto(GStrv) tags = tags_needing(change->writer, repository, digest, error);
    for (guint i = 0; tags != NULL && tags[i] != NULL; i++) {
        if (storage_is_channel(change->storage, name, tags[i])) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                        storage_is_guarded(change->storage, name, tags[i])
                            ? "the channel '%s' needs it: promote something else there first"
                            : "the channel '%s' needs it: only those who may promote may remove it",
                        tags[i]);
            return FALSE;
        }
    }
    return tags != NULL;
}

/* EXISTS where another manifest names this one: an index that lacked it would fail whoever pulls it whole. */
static gboolean no_index_names(Change *change, const char *name, gint64 repository, const IngotDigest *digest,
                               GError **error)
{
    if (storage_is_sparse(change->storage, name)) {
        return TRUE;
    }
    g_autoptr(GArray) mentioners = holdings_mentioners(change->writer, repository, digest, error);
    if (mentioners == NULL || mentioners->len == 0) {
        return mentioners != NULL;
    }
    g_autofree char *index = ingot_digest_to_text(&g_array_index(mentioners, IngotDigest, 0));
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s@%s names it: remove that index first", name, index);
    return FALSE;
}

static gboolean remove_link(Storage *storage, const StorageActor *actor, const char *name, const IngotDigest *digest,
                            gboolean manifest, gboolean channels, GError **error)
{
    Change change;
    gint64 repository, blob;
    gboolean is_manifest;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = actor;
    gboolean ok = links_find(change.writer, name, digest, &repository, &blob, error) &&
                  manifest_rows_has(change.writer, repository, blob, &is_manifest, error);
    if (ok && (blob == 0 || (manifest && !is_manifest))) {
        ok = blob_unknown(error, manifest ? "the manifest" : "the blob");
    }
    channels = channels && storage_may_remove_channels(storage, name); /* as long as no pipeline was applied */
    ok = ok && (channels || no_channel_needs(&change, name, repository, digest, error)) &&
         (!is_manifest || no_index_names(&change, name, repository, digest, error)) &&
         names_remove(&change, name, repository, blob, digest, error);
    return change_end(&change, ok, error);
}

gboolean storage_remove_blob(Storage *storage, const StorageActor *actor, const char *name, const IngotDigest *digest,
                             GError **error)
{
    return remove_link(storage, actor, name, digest, FALSE, TRUE, error);
}

gboolean storage_remove_manifest(Storage *storage, const StorageActor *actor, const char *name,
                                 const IngotDigest *digest, GError **error)
{
    return remove_link(storage, actor, name, digest, TRUE, TRUE, error);
}

gboolean storage_remove_beside_channels(Storage *storage, const StorageActor *actor, const char *name,
                                        const IngotDigest *digest, gboolean manifest, GError **error)
{
    return remove_link(storage, actor, name, digest, manifest, FALSE, error);
}
