#include "transfer/fetch.h"

#include <ingot/error.h>

#define ANSWER_LEAST 65536u /* bytes: an error may be longer than the blob */

gboolean fetch_refuse_size(const char *name, const IngotDescriptor *blob, const char *why, GError **error)
{
    g_autofree char *digest = ingot_digest_to_text(&blob->digest);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                "%s: the manifest gives the blob %s %" G_GUINT64_FORMAT " bytes, %s", name, digest, blob->size, why);
    return FALSE;
}

/* Of the size that its descriptor gives: with another one the image could not be pushed again. */
static gboolean check_size(const char *name, const IngotDescriptor *blob, GBytes *bytes, GError **error)
{
    return g_bytes_get_size(bytes) == blob->size || fetch_refuse_size(name, blob, "but it has another size", error);
}

/* NULL: it is not there, or damaged. */
static GBytes *take_held(IngotStore *store, const IngotDigest *digest, gsize limit)
{
    return ingot_store_hold(store, digest) ? ingot_store_read(store, digest, limit, NULL) : NULL;
}

static gboolean put(IngotStore *store, GBytes *bytes, guint64 *received, GError **error)
{
    IngotDescriptor out;
    *received += g_bytes_get_size(bytes);
    return ingot_store_put(store, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &out, error);
}

GBytes *fetch_blob(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *blob, gsize limit,
                   guint64 *received, GError **error)
{
    if (blob->size > limit) {
        fetch_refuse_size(name, blob, "which is more than such a blob has", error);
        return NULL;
    }
    g_autoptr(GBytes) bytes = take_held(store, &blob->digest, limit);
    if (bytes != NULL) {
        return check_size(name, blob, bytes, error) ? g_steal_pointer(&bytes) : NULL;
    }
    bytes = ingot_remote_get_blob(remote, name, &blob->digest, MAX(blob->size, ANSWER_LEAST), error);
    return bytes != NULL && check_size(name, blob, bytes, error) && put(store, bytes, received, error)
               ? g_steal_pointer(&bytes)
               : NULL;
}

GBytes *fetch_manifest(IngotStore *store, IngotRemote *remote, const char *name, const char *digest,
                       IngotDescriptor *out, guint64 *received, GError **error)
{
    g_autoptr(GBytes) bytes =
        ingot_digest_parse(digest, &out->digest, NULL) ? take_held(store, &out->digest, INGOT_MANIFEST_MAX) : NULL;
    if (bytes != NULL) {
        out->size = g_bytes_get_size(bytes);
        return g_steal_pointer(&bytes);
    }
    bytes = ingot_remote_get_manifest(remote, name, digest, out, NULL, error);
    return bytes != NULL && put(store, bytes, received, error) ? g_steal_pointer(&bytes) : NULL;
}
