/* Names: which repository has which blobs, manifests and tags. */
#include <ingot/error.h>
#include <string.h>

#include "server/storage/inside.h"
#include "server/storage/mentions.h"

#define MANIFEST_MAX (4u << 20) /* bytes */
#define LINKS_MAX 4096          /* that are remembered */

/* --- ids --- */

gint64 names_repository(Connection *connection, const char *name, gboolean make, GError **error)
{
    gint64 id;
    if (!database_number(connection, &id, 0, error,
                         "SELECT id FROM repositories WHERE name=? AND sum=row_sum(id, name)", "t", name)) {
        return -1;
    }
    if (id > 0 || !make) {
        return id;
    }
    return database_number(connection, &id, 0, error, "SELECT 1 + coalesce(max(id), 0) FROM repositories", "") &&
                   database_run(connection, error,
                                "INSERT INTO repositories (id, name, sum) VALUES (?1, ?2, row_sum(?1, ?2))", "it", id,
                                name)
               ? id
               : -1;
}

gint64 names_blob(Connection *connection, const IngotDigest *digest, GError **error)
{
    gint64 id;
    return database_number(connection, &id, 0, error, "SELECT id FROM blobs WHERE digest=?", "d", digest) ? id : -1;
}

/* Both ids of what a repository has; 0 where it does not. */
static gboolean find_link(Connection *connection, const char *name, const IngotDigest *digest, gint64 *repository,
                          gint64 *blob, GError **error)
{
    g_autoptr(sqlite3_stmt) row =
        database_query(connection,
                       "SELECT links.repository, links.blob FROM repositories JOIN blobs JOIN links ON "
                       "links.repository=repositories.id"
                       " AND links.blob=blobs.id WHERE repositories.name=? AND blobs.digest=?"
                       " AND links.sum=row_sum(links.repository, links.blob)",
                       "td", name, digest);
    GError *problem = NULL;
    gboolean found = database_step(row, &problem);
    *repository = found ? sqlite3_column_int64(row, 0) : 0;
    *blob = found ? sqlite3_column_int64(row, 1) : 0;
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

/* --- blobs of repositories --- */

static gboolean has(Connection *connection, const char *name, const IngotDigest *digest)
{
    gint64 repository, blob;
    return find_link(connection, name, digest, &repository, &blob, NULL) && blob > 0;
}

static gboolean is_remembered(Storage *storage, const char *key, guint epoch)
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

static void remember(Storage *storage, char *key, guint epoch)
{
    g_mutex_lock(&storage->links_lock);
    if (storage->links_epoch == epoch) {
        g_hash_table_add(storage->links, key);
    } else {
        g_free(key);
    }
    g_mutex_unlock(&storage->links_lock);
}

/* Small ranges of few blobs are the main load: what was found stays known until anything changes. */
gboolean storage_has(Storage *storage, const char *name, const IngotDigest *digest)
{
    guint epoch = (guint)g_atomic_int_get(&storage->epoch);
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    g_autofree char *key = g_strconcat(name, "@", text, NULL);
    if (is_remembered(storage, key, epoch)) {
        return TRUE;
    }
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    gboolean found = reader != NULL && has(reader, name, digest);
    if (found) {
        remember(storage, g_steal_pointer(&key), epoch);
    }
    return found;
}

/* Whether one more blob is within the repository's quota. */
static gboolean within_quota(Change *change, gint64 repository, gint64 blob, GError **error)
{
    guint64 limit = change->storage->limits.repository;
    gint64 used;
    if (limit == 0) {
        return TRUE;
    }
    if (!database_number(change->writer, &used, 0, error,
                         "SELECT sum(size) FROM blobs WHERE id=? OR id IN (SELECT blob FROM links WHERE repository=?)",
                         "ii", blob, repository)) {
        return FALSE;
    }
    if ((guint64)used > limit) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "the repository's quota is used up");
        return FALSE;
    }
    return TRUE;
}

gboolean names_link(Change *change, const char *name, gint64 blob, const IngotDigest *digest, GError **error)
{
    gint64 repository = names_repository(change->writer, name, TRUE, error);
    if (repository < 0 || !within_quota(change, repository, blob, error) ||
        !database_run(change->writer, error,
                      "INSERT INTO links (repository, blob, made, sum) VALUES (?1, ?2, ?3, row_sum(?1, ?2)) ON CONFLICT"
                      " DO UPDATE SET made=excluded.made, sum=excluded.sum",
                      "iii", repository, blob, storage_now())) {
        return FALSE;
    }
    g_autofree char *text = ingot_digest_to_text(digest);
    change_log(change, "link", name, "digest", text, NULL);
    return TRUE;
}

gboolean storage_mount(Storage *storage, const char *from, const char *name, const IngotDigest *digest, GError **error)
{
    Change change;
    gint64 repository, blob;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    gboolean ok = find_link(change.writer, from, digest, &repository, &blob, error) && blob > 0 &&
                  names_link(&change, name, blob, digest, error);
    return change_end(&change, ok, error);
}

static gboolean unlink_blob(Change *change, const char *name, gint64 repository, gint64 blob, const IngotDigest *digest,
                            GError **error)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    change_log(change, "unlink", name, "digest", text, NULL);
    return database_run(change->writer, error, "DELETE FROM links WHERE repository=? AND blob=?", "ii", repository,
                        blob);
}

/* The log of events has a line for each tag that goes: whoever reads it need not search for them. */
static gboolean log_untags(Change *change, const char *name, gint64 repository, gint64 blob, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(change->writer, "SELECT name FROM tags WHERE repository=? AND blob=?", "ii", repository, blob);
    while (database_step(rows, &problem)) {
        change_log(change, "untag", name, "tag", (const char *)sqlite3_column_text(rows, 0), NULL);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

gboolean names_remove(Change *change, const char *name, gint64 repository, gint64 blob, const IngotDigest *digest,
                      GError **error)
{
    static const char history[] = "INSERT INTO history (repository, name, digest, until)"
                                  " SELECT repository, name, ?, ? FROM tags WHERE repository=? AND blob=?";
    return log_untags(change, name, repository, blob, error) &&
           database_run(change->writer, error, history, "diii", digest, storage_now(), repository, blob) &&
           database_run(change->writer, error, "DELETE FROM tags WHERE repository=? AND blob=?", "ii", repository,
                        blob) &&
           database_run(change->writer, error, "DELETE FROM mentions WHERE repository=? AND manifest=?", "ii",
                        repository, blob) &&
           database_run(change->writer, error, "DELETE FROM manifests WHERE repository=? AND blob=?", "ii", repository,
                        blob) &&
           unlink_blob(change, name, repository, blob, digest, error);
}

static gboolean is_manifest(Connection *connection, gint64 repository, gint64 blob)
{
    gint64 count;
    return database_number(connection, &count, 0, NULL, "SELECT count(*) FROM manifests WHERE repository=? AND blob=?",
                           "ii", repository, blob) &&
           count > 0;
}

static gboolean remove_link(Storage *storage, const char *name, const IngotDigest *digest, gboolean manifest,
                            GError **error)
{
    Change change;
    gint64 repository, blob;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    gboolean ok = find_link(change.writer, name, digest, &repository, &blob, error);
    if (ok && (blob == 0 || (manifest && !is_manifest(change.writer, repository, blob)))) {
        ok = blob_unknown(error, manifest ? "the manifest" : "the blob");
    }
    ok = ok && names_remove(&change, name, repository, blob, digest, error);
    return change_end(&change, ok, error);
}

gboolean storage_remove_blob(Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    return remove_link(storage, name, digest, FALSE, error);
}

gboolean storage_remove_manifest(Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    return remove_link(storage, name, digest, TRUE, error);
}

/* --- manifests and tags --- */

static gboolean add_mentions(Change *change, const char *name, gint64 manifest, const GArray *mentions,
                             gboolean partial, GError **error)
{
    for (guint i = 0; i < mentions->len; i++) {
        const IngotDigest *digest = &g_array_index(mentions, Mention, i).digest;
        gint64 repository, blob;
        if (!find_link(change->writer, name, digest, &repository, &blob, error)) {
            return FALSE;
        }
        if (blob == 0 && partial) {
            continue;
        }
        if (blob == 0) {
            g_autofree char *text = ingot_digest_to_text(digest);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "the manifest names %s, which is not here", text);
            return FALSE;
        }
        if (!database_run(change->writer, error,
                          "INSERT OR IGNORE INTO mentions (repository, manifest, blob) VALUES (?, ?, ?)", "iii",
                          repository, manifest, blob)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean keep_history(Change *change, gint64 repository, const char *tag, GError **error)
{
    return database_run(change->writer, error,
                        "INSERT INTO history (repository, name, digest, until) SELECT repository, name, digest, ? FROM"
                        " tags JOIN blobs ON blobs.id=blob WHERE repository=? AND name=?",
                        "iit", storage_now(), repository, tag);
}

gboolean names_tag(Change *change, const char *name, const char *tag, gint64 repository, gint64 blob,
                   const IngotDigest *digest, GError **error)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    change_log(change, "tag", name, "tag", tag, "digest", text, NULL);
    return keep_history(change, repository, tag, error) &&
           database_run(change->writer, error,
                        "INSERT OR REPLACE INTO tags (repository, name, blob, made, sum) VALUES (?1, ?2, ?3, ?4,"
                        " row_sum(?1, ?2, ?3))",
                        "itii", repository, tag, blob, storage_now());
}

gboolean names_manifest(Change *change, const char *name, gint64 blob, const IngotDigest *digest,
                        const StorageManifest *manifest, GError **error)
{
    gint64 repository = names_repository(change->writer, name, TRUE, error);
    if (repository < 0 ||
        !database_run(
            change->writer, error,
            "INSERT OR IGNORE INTO manifests (repository, blob, type, subject, made, sum) VALUES (?1, ?2, ?3, ?4,"
            " ?5, row_sum(?1, ?2, ?3, ?4))",
            "iitdi", repository, blob, manifest->type, manifest->subject, storage_now()) ||
        !add_mentions(change, name, blob, manifest->mentions, manifest->partial, error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_digest_to_text(digest);
    g_autofree char *subject = manifest->subject == NULL ? NULL : ingot_digest_to_text(manifest->subject);
    change_log(change, "manifest", name, "digest", text, "type", manifest->type, "subject", subject, NULL);
    return manifest->tag == NULL || names_tag(change, name, manifest->tag, repository, blob, digest, error);
}

static gboolean put_blob(Change *change, const StorageManifest *manifest, const IngotDigest *digest, gint64 *blob,
                         GError **error)
{
    g_autoptr(Table) table = table_new();
    gboolean brings;
    table->blob = *digest;
    table->size = manifest->size;
    for (gsize at = 0; at < manifest->size; at += PIECE_MAX) {
        IngotDigest piece;
        gsize length = MIN(PIECE_MAX, manifest->size - at);
        ingot_digest_of((const guint8 *)manifest->data + at, length, &piece);
        table_add(table, &piece, (guint32)length, TRUE);
    }
    *blob = names_blob(change->writer, digest, error);
    return *blob >= 0 && publish_brings(change, table, *blob, &brings, error) &&
           (!brings || publish_small(change, table, manifest->data, blob, error));
}

gboolean storage_put_manifest(Storage *storage, const char *name, const StorageManifest *manifest, IngotDigest *digest,
                              GError **error)
{
    Change change;
    gint64 blob;
    ingot_digest_of(manifest->data, manifest->size, digest);
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    gboolean ok = put_blob(&change, manifest, digest, &blob, error) && names_link(&change, name, blob, digest, error) &&
                  names_manifest(&change, name, blob, digest, manifest, error);
    return change_end(&change, ok, error);
}

gboolean storage_find_tag(Storage *storage, const char *name, const char *tag, IngotDigest *digest, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL) {
        return FALSE;
    }
    g_autoptr(sqlite3_stmt) row = database_query(
        reader,
        "SELECT digest FROM repositories JOIN tags ON tags.repository=repositories.id JOIN blobs ON blobs.id=tags.blob"
        " WHERE repositories.name=? AND tags.name=? AND tags.sum=row_sum(tags.repository, tags.name, tags.blob)",
        "tt", name, tag);
    GError *problem = NULL;
    if (database_step(row, &problem)) {
        return database_digest(row, 0, digest) || blob_unknown(error, "the tag");
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    return blob_unknown(error, "the tag");
}

/* The media type of a manifest; NULL where it is none. */
static char *type_of(Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(sqlite3_stmt) row = database_query(
        reader,
        "SELECT type FROM repositories JOIN blobs JOIN manifests ON manifests.repository=repositories.id AND"
        " manifests.blob=blobs.id WHERE repositories.name=? AND blobs.digest=? AND"
        " manifests.sum=row_sum(manifests.repository, manifests.blob, type, subject)",
        "td", name, digest);
    GError *problem = NULL;
    if (database_step(row, &problem)) {
        return database_text(row, 0);
    }
    if (problem == NULL) {
        blob_unknown(error, "the manifest");
    } else {
        g_propagate_error(error, problem);
    }
    return NULL;
}

gboolean storage_has_manifest(Storage *storage, const char *name, const IngotDigest *digest)
{
    g_autofree char *type = type_of(storage, name, digest, NULL);
    return type != NULL;
}

static GBytes *read_all(StorageBlob *blob, GError **error)
{
    gsize size = (gsize)storage_blob_size(blob);
    if (size > MANIFEST_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "a manifest is too long");
        return NULL;
    }
    g_autofree guint8 *data = g_malloc(size + 1);
    return storage_blob_read_all(blob, 0, data, size, error) ? g_bytes_new_take(g_steal_pointer(&data), size) : NULL;
}

GBytes *storage_manifest(Storage *storage, const char *name, const IngotDigest *digest, char **media_type,
                         GError **error)
{
    g_autofree char *type = type_of(storage, name, digest, error);
    g_autoptr(StorageBlob) blob = type == NULL ? NULL : blob_load(storage, digest, error);
    GBytes *bytes = blob == NULL ? NULL : read_all(blob, error);
    if (bytes != NULL) {
        *media_type = g_steal_pointer(&type);
    }
    return bytes;
}

gboolean names_untag(Change *change, const char *name, gint64 repository, const char *tag, GError **error)
{
    if (!keep_history(change, repository, tag, error) ||
        !database_run(change->writer, error, "DELETE FROM tags WHERE repository=? AND name=?", "it", repository, tag)) {
        return FALSE;
    }
    if (database_changes(change->writer) == 0) {
        return blob_unknown(error, "the tag");
    }
    change_log(change, "untag", name, "tag", tag, NULL);
    return TRUE;
}

gboolean storage_remove_tag(Storage *storage, const char *name, const char *tag, GError **error)
{
    Change change;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    gint64 repository = names_repository(change.writer, name, FALSE, error);
    gboolean ok = repository > 0 ? names_untag(&change, name, repository, tag, error)
                                 : repository == 0 && blob_unknown(error, "the tag");
    return change_end(&change, ok, error);
}
