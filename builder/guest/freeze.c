/* A disk that needs no recovery, without the seconds that a shutdown takes: every file system is frozen, and the
 * machine may be ended where it stands. What ext4 still has to do then, for files that were deleted while open, the
 * seal does. */
#include <ingot/error.h>

#include "guest/guest.h"

#define NOT_HERE 9 /* the script's status where only a shutdown will do */

/* Only a journal is clean once frozen (jbd2's folder tells which ext4 has one), and FAT once unmounted; XFS keeps a
 * dirty log on purpose, btrfs a log tree. The root comes last: mounts are listed in their order. */
static const char script[] =
    "command -v fsfreeze >/dev/null || exit 9\n"
    "seen=' ' points= fat=\n"
    "while read -r device point type options rest; do\n"
    "    case $device in /dev/*) ;; *) continue ;; esac\n"
    "    case $seen in *\" $device \"*) continue ;; esac\n"
    "    case ,$options, in *,ro,*) continue ;; esac\n"
    "    seen=\"$seen$device \"\n"
    "    case $type in\n"
    "    ext3 | ext4)\n"
    "        set -- /proc/fs/jbd2/\"${device##*/}\"-*\n"
    "        [ -e \"$1\" ] || exit 9\n"
    "        points=\"$point $points\" ;;\n"
    "    vfat) fat=\"$point $fat\" ;;\n"
    "    *) exit 9 ;;\n"
    "    esac\n"
    "done </proc/mounts\n"
    "for point in $fat; do umount \"$point\" || exit 9; done\n"
    "frozen=\n"
    "for point in $points; do\n"
    "    fsfreeze -f \"$point\" || { for p in $frozen; do fsfreeze -u \"$p\"; done; exit 9; }\n"
    "    frozen=\"$point $frozen\"\n"
    "done\n";

gboolean guest_freeze(Guest *guest, gboolean *frozen, GError **error)
{
    GuestCommand command = {.script = script};
    int status = 0;
    if (!guest_run(guest, &command, &status, error)) {
        return FALSE;
    }
    if (status != 0 && status != NOT_HERE) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "freezing the machine's disk: exit status %d", status);
        return FALSE;
    }
    *frozen = status == 0;
    return TRUE;
}
