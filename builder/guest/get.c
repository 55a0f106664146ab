/* Files and folders out of the guest. */
#include <ingot/error.h>

#include "guest/download.h"
#include "guest/linux.h"

/* Pipes and devices would be read for ever. tar's own messages must not get into the tar. */
static char *get_script(const char *from)
{
    g_autofree char *quoted = g_shell_quote(from);
    return g_strdup_printf("ingot_from=%s\n"
                           "if [ -d \"$ingot_from\" ]; then\n"
                           "    echo folder\n"
                           "    exec tar -c -S -f - -C \"$ingot_from\" . 2>\"$ingot_place/log\"\n"
                           "fi\n"
                           "exec 2>\"$ingot_place/log\"\n"
                           "[ -e \"$ingot_from\" ] || { echo 'is not there' >&2; exit 1; }\n"
                           "[ -f \"$ingot_from\" ] || { echo 'is neither a file nor a folder' >&2; exit 1; }\n"
                           "ingot_mode=$(stat -L -c %%a -- \"$ingot_from\") || exit 1\n"
                           "echo \"file $ingot_mode\"\n"
                           "exec cat -- \"$ingot_from\"\n",
                           quoted);
}

/* What the guest says of a failure. */
static gboolean get_failed(Guest *guest, const char *from, int status, GError **error)
{
    g_autofree char *words = NULL;
    if (!guest_script(guest, "tail -c 2000 \"$ingot_place/log\"", &words, error)) {
        return FALSE;
    }
    g_autofree char *valid = g_utf8_make_valid(words, -1);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s (exit status %d)", from, valid, status);
    return FALSE;
}

gboolean linux_get(Guest *guest, const char *from, const char *to, GuestLineFunc line, gpointer user, GError **error)
{
    g_autoptr(Download) download = download_new(from, to);
    g_autofree char *script = get_script(from);
    int status = 0;
    if (!linux_stream(guest, script, download_sink, download, &status, error)) {
        return FALSE;
    }
    return status == 0 ? download_finish(download, line, user, error) : get_failed(guest, from, status, error);
}
