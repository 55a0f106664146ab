/* Whether the machine's boot is done. */
#include <string.h>

#include "guest/guest.h"

/* systemd waits by itself, in parts that are shorter than the limit of a short script; a system without it is taken to
 * be up once it lets somebody in. */
static const char ask[] = "[ -d /run/systemd/system ] || exit 0\n"
                          "state=$(timeout 20 systemctl is-system-running --wait 2>/dev/null)\n"
                          "[ -n \"$state\" ] || state=$(systemctl is-system-running 2>/dev/null)\n"
                          "case $state in initializing | starting) echo starting; sleep 0.5 ;; esac\n"
                          "exit 0\n";

gboolean guest_wait_booted(Guest *guest, guint seconds, gboolean *booted, GError **error)
{
    gint64 end = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    *booted = FALSE;
    while (!*booted && g_get_monotonic_time() < end) {
        g_autofree char *answer = NULL;
        if (!guest_script(guest, ask, &answer, error)) {
            return FALSE;
        }
        *booted = strcmp(answer, "starting") != 0;
    }
    return TRUE;
}
