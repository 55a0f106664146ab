#include "cli/deployed.h"

#include <ingot/error.h>

#include "base/file.h"

#define DONE_MAX 4096u /* bytes */

/* $STATE_DIRECTORY is systemd's. */
char *deployed_folder(const IngotReference *channel)
{
    const char *state = g_getenv("STATE_DIRECTORY");
    g_autofree char *own = g_build_filename(g_get_user_state_dir(), "ingot", "follow", NULL);
    return g_build_filename(state == NULL || *state == '\0' ? own : state, channel->host, channel->name, channel->tag,
                            NULL);
}

char *deployed_marker(const char *folder)
{
    return g_build_filename(folder, "done", NULL);
}

gboolean deployed_last(const char *folder, IngotDigest *digest, GError **error)
{
    gsize size = 0;
    g_autofree char *marker = deployed_marker(folder);
    g_autoptr(GBytes) bytes = ingot_file_read_regular(marker, DONE_MAX, NULL);
    const char *data = bytes == NULL ? NULL : g_bytes_get_data(bytes, &size);
    g_autofree char *text = g_strndup(data == NULL ? "" : data, size);
    if (!ingot_digest_parse(g_strstrip(text), digest, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: no follower has deployed an image from there",
                    folder);
        return FALSE;
    }
    return TRUE;
}
