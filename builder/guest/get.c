/* Files and folders out of the guest. */
#include <ingot/error.h>

#include "guest/download.h"
#include "guest/linux.h"

#define GET_CHANGED 101 /* status: all came, but some of it changed while it was read */

/* Pipes and devices would be read for ever. tar's own messages must not get into the tar. GNU tar ends with 1 where a
 * file changed or went away meanwhile; others do so for any failure. */
static char *get_script(const char *from)
{
    g_autofree char *quoted = g_shell_quote(from);
    return g_strdup_printf("ingot_from=%s\n"
                           "if [ -d \"$ingot_from\" ]; then\n"
                           "    echo folder\n"
                           "    tar -c -S -f - -C \"$ingot_from\" . 2>\"$ingot_place/log\"\n"
                           "    ingot_status=$?\n"
                           "    [ $ingot_status != 1 ] || ! tar --version 2>/dev/null | grep -q GNU || exit %d\n"
                           "    exit $ingot_status\n"
                           "fi\n"
                           "exec 2>\"$ingot_place/log\"\n"
                           "[ -e \"$ingot_from\" ] || { echo 'is not there' >&2; exit 1; }\n"
                           "[ -f \"$ingot_from\" ] || { echo 'is neither a file nor a folder' >&2; exit 1; }\n"
                           "ingot_mode=$(stat -L -c %%a -- \"$ingot_from\") || exit 1\n"
                           "echo \"file $ingot_mode\"\n"
                           "exec cat -- \"$ingot_from\"\n",
                           quoted, GET_CHANGED);
}

/* What tar or cat has said, as UTF-8; NULL: an error. Free it. */
static char *get_words(Guest *guest, GError **error)
{
    g_autofree char *words = NULL;
    return guest_script(guest, "tail -c 2000 \"$ingot_place/log\"", &words, error) ? g_utf8_make_valid(words, -1)
                                                                                   : NULL;
}

static gboolean get_tell_changes(Guest *guest, GuestLineFunc line, gpointer user, GError **error)
{
    g_autofree char *words = get_words(guest, error);
    g_auto(GStrv) lines = words == NULL ? NULL : g_strsplit(words, "\n", -1);
    for (guint i = 0; lines != NULL && lines[i] != NULL; i++) {
        if (*lines[i] != '\0') {
            line(lines[i], user);
        }
    }
    return words != NULL;
}

/* What the guest says of a failure. */
static gboolean get_failed(Guest *guest, const char *from, int status, GError **error)
{
    g_autofree char *words = get_words(guest, error);
    if (words != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s (exit status %d)", from, words, status);
    }
    return FALSE;
}

gboolean linux_get(Guest *guest, const char *from, const char *to, GPtrArray *written, GuestLineFunc line,
                   gpointer user, GError **error)
{
    g_autoptr(Download) download = download_new(from, to);
    g_autofree char *script = get_script(from);
    int status = 0;
    if (!linux_stream(guest, script, download_sink, download, &status, error)) {
        return FALSE;
    }
    if (status == GET_CHANGED && !get_tell_changes(guest, line, user, error)) {
        return FALSE;
    }
    return status == 0 || status == GET_CHANGED ? download_finish(download, written, line, user, error)
                                                : get_failed(guest, from, status, error);
}
