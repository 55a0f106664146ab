/* Lists of names: tags, repositories, who has a blob, who refers to a manifest. A row whose sum is wrong is in none. */
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

char **storage_referrers(Storage *storage, const char *name, const IngotDigest *subject, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader == NULL ? NULL : manifest_rows_referrers(reader, name, subject, error);
}

void storage_tag_history(Storage *storage, const char *name, const char *tag, GHashTable *digests)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    if (reader != NULL) {
        tags_history(reader, name, tag, digests, NULL);
    }
}
