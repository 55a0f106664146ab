/* A machine at rest: what was written on the disk; a disk that needs no recovery; a machine on its way down. */
#include <ingot/error.h>

#include "guest/linux.h"

#define NOT_HERE 9 /* a script's status where the guest can't be settled so */
#define SYNC_SECONDS 600u
#define ASK_SECONDS 60u

/* Every file system is frozen, and the machine may be ended where it stands, without the seconds that a shutdown takes.
 * What ext4 still has to do then, for files that were deleted while open, the seal does. Only a journal is clean once
 * frozen (jbd2's folder shows which ext4 has one), and FAT once unmounted; XFS keeps a dirty log on purpose, btrfs a
 * log tree. The root comes last: mounts are listed in their order. */
static const char freeze[] =
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

/* Asking systemd only queues the shutdown; other programs would wait for it, so they run in the background. */
static const char *const scripts[] = {
    [GUEST_SYNC] = "sync",
    [GUEST_FREEZE] = freeze,
    [GUEST_SHUT_DOWN] = "if [ -d /run/systemd/system ]; then systemctl --no-block poweroff && exit 0; fi\n"
                        "command -v poweroff >/dev/null || exit 9\n"
                        "setsid poweroff </dev/null >/dev/null 2>&1 &\n",
};

static gboolean keep_words(const char *data, gsize size, gpointer user, GError **error)
{
    GString *words = user;
    (void)error;
    g_string_append_len(words, data, (gssize)MIN(size, 1000 - MIN(words->len, 1000)));
    return TRUE;
}

gboolean linux_settle(Guest *guest, GuestSettle how, gboolean *settled, GError **error)
{
    static const char *const names[] = {"writing what is in memory to the disk", "freezing the disk", "shutting down"};
    g_autoptr(GString) words = g_string_new(NULL);
    int status = 0;
    if (!linux_exchange(guest, scripts[how], SYNC_SECONDS, keep_words, words, &status, error)) {
        g_prefix_error(error, "%s: ", names[how]);
        return FALSE;
    }
    *settled = status == 0;
    if (status != 0 && status != NOT_HERE) {
        g_autofree char *valid = g_utf8_make_valid(words->str, (gssize)words->len);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s (exit status %d)", names[how], g_strchomp(valid),
                    status);
        return FALSE;
    }
    return TRUE;
}

gboolean guest_is_stopping(Guest *guest, gboolean *stopping, GError **error)
{
    g_autoptr(GString) words = g_string_new(NULL);
    int status = 0;
    if (!session_usable(guest, error) ||
        !linux_exchange(guest,
                        "[ ! -d /run/systemd/system ] || [ \"$(systemctl is-system-running 2>/dev/null)\" != stopping "
                        "] || exit 1\n"
                        "[ ! -e /run/nologin ] || [ ! -e /run/systemd/shutdown/scheduled ] || exit 1\n",
                        ASK_SECONDS, keep_words, words, &status, error)) {
        return FALSE;
    }
    *stopping = status != 0;
    return TRUE;
}
