/* A machine at rest: what was written on the disk; a disk that needs no recovery; a machine on its way down. */
#include <ingot/error.h>

#include "base/text.h"
#include "guest/linux.h"

#define NOT_HERE 9 /* a script's status where the guest can't be settled so */
#define SYNC_SECONDS 600u

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

/* Prints in how many seconds the machine goes down, 0 where it does already; nothing where it does not. systemd keeps
 * what `shutdown -r +5` has asked for in a file; "dry-" stands before what is only announced (`shutdown -k`). */
static const char going_down[] =
    "[ -d systemd/system ] || exit 0\n"
    "[ \"$(systemctl is-system-running 2>/dev/null)\" != stopping ] || { echo 0; exit 0; }\n";
static const char scheduled[] = "[ -f systemd/shutdown/scheduled ] || exit 0\n"
                                "mode= when=0\n"
                                "while IFS='=' read -r name value; do\n"
                                "    case $name in MODE) mode=$value ;; USEC) when=$value ;; esac\n"
                                "done 2>/dev/null <systemd/shutdown/scheduled\n"
                                "case $mode in '' | dry-*) exit 0 ;; esac\n"
                                "left=$((when / 1000000 - $(date +%s)))\n"
                                "[ $left -gt 0 ] || left=1\n"
                                "echo $left\n";

/* The text, and then what is scheduled, in the guest's /run, where its own folder lies. */
static char *script_in_run(const Guest *guest, const char *first)
{
    g_autofree char *folder = g_path_get_dirname(guest->place);
    g_autofree char *quoted = g_shell_quote(folder);
    return g_strdup_printf("cd %s || exit 0\n%s%s", quoted, first, scheduled);
}

char *linux_scheduled_script(const Guest *guest)
{
    return script_in_run(guest, "");
}

gboolean linux_read_going_down(const char *answer, gboolean *stopping, guint64 *due, GError **error)
{
    *stopping = *answer != '\0';
    *due = 0;
    if (*stopping && !g_ascii_string_to_unsigned(answer, 10, 0, G_MAXUINT64, due, NULL)) {
        g_autofree char *shown = ingot_text_line(answer);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the machine does not say whether it goes down: %s", shown);
        return FALSE;
    }
    return TRUE;
}

gboolean guest_is_stopping(Guest *guest, gboolean *stopping, guint64 *due, GError **error)
{
    g_autofree char *script = script_in_run(guest, going_down), *answer = NULL;
    return guest_script(guest, script, &answer, error) && linux_read_going_down(answer, stopping, due, error);
}
