/* Lists of names: tags, repositories, who has a blob, who refers to a manifest. A row whose sum is wrong is in
 * none. */
#include "server/catalogue/links.h"
#include "server/catalogue/manifestrows.h"
#include "server/catalogue/repositories.h"
#include "server/catalogue/tags.h"
#include "server/storage/inside.h"

char **storage_tags(Storage *storage, const char *name, GError **error)
{
    gboolean any;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !manifest_rows_any(reader, name, &any, error)) {
        return NULL;
    }
    if (!any) {
        blob_unknown(error, "the repository");
        return NULL;
    }
    return tags_list(reader, name, error);
}

char **storage_repositories(Storage *storage, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader == NULL ? NULL : repositories_list(reader, error);
}

char **storage_holders(Storage *storage, const IngotDigest *digest, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader == NULL ? NULL : links_holders(reader, digest, error);
}

/* --- versions --- */

static void version_clear(gpointer data)
{
    StorageVersion *version = data;
    g_free(version->tag);
    g_free(version->type);
}

static void version_take(const TagRow *row, gpointer user)
{
    const StorageVersion version = {.tag = g_strdup(row->tag),
                                    .digest = row->digest,
                                    .made = row->made,
                                    .size = row->size,
                                    .type = g_strdup(row->type)};
    g_array_append_val(user, version);
}

GArray *storage_versions(Storage *storage, const char *name, const char *after, guint most, GError **error)
{
    gboolean any;
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(StorageVersion));
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    g_array_set_clear_func(list, version_clear);
    if (reader == NULL || !manifest_rows_any(reader, name, &any, error)) {
        return NULL;
    }
    if (!any) {
        blob_unknown(error, "the repository");
        return NULL;
    }
    return tags_page(reader, name, after, most, version_take, list, error) ? g_steal_pointer(&list) : NULL;
}

/* --- referrers --- */

static void referrer_clear(gpointer data)
{
    StorageReferrer *referrer = data;
    g_free(referrer->type);
    g_free(referrer->artifact);
    g_free(referrer->alias);
}

static void referrer_take(const ReferrerRow *row, gpointer user)
{
    const StorageReferrer referrer = {.digest = row->digest,
                                      .type = g_strdup(row->type),
                                      .artifact = g_strdup(row->artifact),
                                      .size = row->size,
                                      .alias = row->alias == NULL ? NULL : oci_digest_to_text(row->alias)};
    g_array_append_val(user, referrer);
}

/* Its kind as its bytes say; free it. NULL: they can't be read, and it is not listed. */
static char *read_artifact(Storage *storage, const char *name, const IngotDigest *digest)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, digest, &type, NULL);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    const char *artifact = root == NULL ? NULL : manifest_artifact(root);
    return root == NULL ? NULL : g_strdup(artifact == NULL ? "" : artifact);
}

/* What an older version has written is sorted by kind when somebody asks for it first. */
static gboolean sort_referrers(Storage *storage, const char *name, const GArray *unsorted, GError **error)
{
    g_autoptr(GPtrArray) kinds = g_ptr_array_new_with_free_func(g_free);
    gboolean any = FALSE;
    for (guint i = 0; i < unsorted->len; i++) {
        g_ptr_array_add(kinds, read_artifact(storage, name, &g_array_index(unsorted, IngotDigest, i)));
        any = any || g_ptr_array_index(kinds, i) != NULL;
    }
    Change change;
    if (!any) {
        return TRUE;
    }
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < unsorted->len; i++) {
        const char *kind = g_ptr_array_index(kinds, i);
        ok = kind == NULL ||
             manifest_rows_sort(change.writer, name, &g_array_index(unsorted, IngotDigest, i), kind, error);
    }
    return change_end(&change, ok, error);
}

static GArray *find_unsorted(Storage *storage, const char *name, const IngotDigest *subject, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader == NULL ? NULL : manifest_rows_unsorted(reader, name, subject, error);
}

/* Sorts them first. */
static Connection *referrers_reader(Storage *storage, const char *name, const IngotDigest *subject, GError **error)
{
    g_autoptr(GArray) unsorted = find_unsorted(storage, name, subject, error);
    gboolean sorted = unsorted != NULL && (unsorted->len == 0 || sort_referrers(storage, name, unsorted, error));
    return sorted ? database_reader(storage->catalogue, error) : NULL;
}

GArray *storage_referrers(Storage *storage, const char *name, const IngotDigest *subject, const char *artifact,
                          const IngotDigest *after, guint most, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(StorageReferrer));
    g_autoptr(Connection) reader = referrers_reader(storage, name, subject, error);
    g_array_set_clear_func(list, referrer_clear);
    return reader != NULL &&
                   manifest_rows_referrers(reader, name, subject, artifact, after, most, referrer_take, list, error)
               ? g_steal_pointer(&list)
               : NULL;
}

gboolean storage_check_referrers(Storage *storage, const char *name, const IngotDigest *subject, GError **error)
{
    g_autoptr(Connection) reader = referrers_reader(storage, name, subject, error);
    return reader != NULL && manifest_rows_check_referrers(reader, name, subject, error);
}

void storage_tag_history(Storage *storage, const char *name, const char *tag, GHashTable *digests)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    if (reader != NULL) {
        tags_history(reader, name, tag, digests, NULL);
    }
}
