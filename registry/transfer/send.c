#include "transfer/send.h"

#include <ingot/error.h>
#include <sys/stat.h>

static gboolean check_size(const char *path, const IngotDescriptor *blob, GError **error)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (guint64)st.st_size == blob->size) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: not there, or not of %" G_GUINT64_FORMAT " bytes", path,
                blob->size);
    return FALSE;
}

gboolean send_is_needed(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *blob,
                        gboolean *send, IngotProgress *progress, GError **error)
{
    gboolean has;
    *send = FALSE;
    if (!ingot_remote_has_blob(remote, name, &blob->digest, &has, error)) {
        return FALSE;
    }
    if (has) {
        ingot_progress_add(progress, blob->size);
        return TRUE;
    }
    *send = TRUE;
    g_autofree char *path = ingot_store_blob_path(store, &blob->digest);
    return check_size(path, blob, error);
}

gboolean send_blob(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *blob,
                   IngotProgress *progress, GError **error)
{
    gboolean send;
    g_autofree char *path = ingot_store_blob_path(store, &blob->digest);
    return send_is_needed(store, remote, name, blob, &send, progress, error) &&
           (!send || ingot_remote_put_blob(remote, name, path, blob, progress, error));
}
