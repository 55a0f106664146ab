#include "server/storage/several.h"

#include <ingot/error.h>

#include "server/storage/growth.h"
#include "server/storage/mentions.h"

GArray *several_of_mentions(const GArray *mentions)
{
    GArray *several = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    for (guint i = 0; i < mentions->len; i++) {
        const Mention *one = &g_array_index(mentions, Mention, i);
        if (one->manifest || one->open) {
            g_array_append_val(several, one->digest);
        }
    }
    return several;
}

GArray *storage_several(Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, digest, &type, error);
    if (bytes == NULL) {
        return NULL;
    }
    if (!growth_is_index(type)) {
        return g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    }
    g_autoptr(json_t) root = manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, error);
    g_autoptr(GArray) mentions = root == NULL ? NULL : mentions_read(root);
    if (root != NULL && mentions == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: an index with a malformed entry", name);
    }
    return mentions != NULL && storage_resolve_mentions(storage, mentions, error) ? several_of_mentions(mentions)
                                                                                  : NULL;
}
