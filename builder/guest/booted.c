/* Whether the machine's boot is done, and how it went. */
#include <ingot/error.h>
#include <string.h>

#include "guest/linux.h"

/* systemd waits by itself, in parts that are shorter than the limit of a short script; a system without it is taken to
 * be up once it lets somebody in. */
static const char ask[] =
    "[ -d /run/systemd/system ] || { echo running; exit 0; }\n"
    "state=$(timeout 20 systemctl is-system-running --wait 2>/dev/null)\n"
    "[ -n \"$state\" ] || state=$(systemctl is-system-running 2>/dev/null)\n"
    "case $state in\n"
    "initializing | starting) sleep 0.5 ;;\n"
    "maintenance) systemctl --failed --plain --no-legend 2>/dev/null | cut -d' ' -f1 | tr '\\n' ' ' ;;\n"
    "esac\n"
    "echo \"$state\"\n";

gboolean guest_wait_booted(Guest *guest, guint seconds, gboolean *booted, GError **error)
{
    gint64 end = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    *booted = FALSE;
    while (!*booted && g_get_monotonic_time() < end) {
        g_autofree char *answer = NULL;
        if (!guest_script(guest, ask, &answer, error)) {
            return FALSE;
        }
        if (g_str_has_suffix(answer, "maintenance")) {
            answer[strlen(answer) - strlen("maintenance")] = '\0';
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                        "the machine has come up in emergency mode; units that failed: %s", g_strstrip(answer));
            return FALSE;
        }
        *booted = strcmp(answer, "starting") != 0 && strcmp(answer, "initializing") != 0;
    }
    return TRUE;
}

gboolean guest_hold_timers(Guest *guest, GError **error)
{
    return guest_script(guest, LINUX_STOP_TIMERS, NULL, error);
}
