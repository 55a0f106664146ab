/* A machine that goes on from a saved memory becomes another one than its twins. */
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "guest/linux.h"

#define SEED_SIZE 64      /* random bytes */
#define AWAY_SECONDS 600u /* a shorter jump of the clock starts no more than a cold build would see */

/* What is random in two machines that go on from one memory would be the same. A kernel that knows the VM Generation ID
 * (Linux 5.18, CONFIG_VMGENID) sees by itself that it is another one now; any other is given random bytes and told to
 * use them at once: RNDRESEEDCRNG of random(4), for which perl or python is at hand in almost every system. A program
 * that the machine has just begun to run takes 100 ms and more under emulation, so perl sets the clock too:
 * clock_settime(2), by its number on amd64. Where it does not, date does. */
static char *adopt_self(const guint8 *seed, guint64 away)
{
    g_autoptr(GString) bytes = g_string_new(NULL);
    for (guint i = 0; i < SEED_SIZE; i++) {
        g_string_append_printf(bytes, "\\%03o", seed[i]);
    }
    gint64 now = g_get_real_time(), seconds = now / G_USEC_PER_SEC;
    guint rest = (guint)(now % G_USEC_PER_SEC);
    return g_strdup_printf("%s"
                           "printf '%s' >/dev/urandom\n"
                           "perl -e 'exit !(syscall(227, 0, pack(\"q2\", %" G_GINT64_FORMAT
                           ", %u)) == 0 && ioctl(STDIN, 0x5207, 0))' </dev/urandom 2>/dev/null || {\n"
                           "    date -s @%" G_GINT64_FORMAT ".%06u >/dev/null || exit 1\n"
                           "    perl -e 'exit !ioctl(STDIN, 0x5207, 0)' </dev/urandom 2>/dev/null ||\n"
                           "    python3 -c 'import fcntl; fcntl.ioctl(0, 0x5207)' </dev/urandom 2>/dev/null ||\n"
                           "    [ -d /sys/module/vmgenid ] || { echo 'its random numbers cannot be made its own'; exit "
                           "1; }\n"
                           "}\n",
                           away < AWAY_SECONDS ? "" : LINUX_STOP_TIMERS, bytes->str, seconds, rest * 1000, seconds,
                           rest);
}

/* The build's line is replaced, if there is one, and else added to sshd's second file as a boot adds it (see
 * machine/entry.c); every other line stays as it is, byte by byte. What is not a file holds no keys. */
static char *adopt_key(const GuestKey *key)
{
    if (key == NULL) {
        return g_strdup("");
    }
    g_autofree char *line = g_shell_quote(key->public_line);
    return g_strdup_printf(
        "folder=${HOME:-/root}/.ssh\n"
        "[ -d \"$folder\" ] || mkdir -m 700 \"$folder\" || exit 1\n"
        "umask 077\n"
        "key=%s\n"
        "for file in \"$folder/authorized_keys\" \"$folder/authorized_keys2\"; do\n"
        "    found=\n"
        "    [ -f \"$file\" ] || continue\n"
        "    while IFS= read -r line || [ -n \"$line\" ]; do\n"
        "        case $line in *' " GUEST_KEY_COMMENT "') line=$key found=1 ;; esac\n"
        "        printf '%%s\\n' \"$line\"\n"
        "    done <\"$file\" >\"$ingot_place/keys\" || exit 1\n"
        "    [ -z \"$found\" ] || while IFS= read -r line; do printf '%%s\\n' \"$line\"; done <\"$ingot_place/keys\" "
        ">\"$file\" || exit 1\n"
        "done\n"
        "[ -n \"$found\" ] || [ -L \"$file\" -a ! -f \"$file\" ] || [ -e \"$file\" -a ! -f \"$file\" ] ||\n"
        "    printf '\\n%%s\\n' \"$key\" >>\"$file\"\n",
        line);
}

static char *adopt_script(const Guest *guest, const GuestKey *key, const guint8 *seed, guint64 away)
{
    g_autofree char *scheduled = linux_scheduled_script(guest);
    g_autofree char *self = adopt_self(seed, away);
    g_autofree char *keys = adopt_key(key);
    /* A line of its own, behind what programs have said. */
    return g_strdup_printf("%s%singot_due=$(\n%s)\necho \"$ingot_due\"\n", self, keys, scheduled);
}

gboolean linux_adopt(Guest *guest, const GuestKey *key, guint64 away, gboolean *stopping, GError **error)
{
    guint8 seed[SEED_SIZE];
    if (getentropy(seed, sizeof seed) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the system gives no random bytes");
        return FALSE;
    }
    g_autofree char *script = adopt_script(guest, key, seed, away), *answer = NULL;
    guint64 due;
    if (!guest_script(guest, script, &answer, error)) {
        return FALSE;
    }
    const char *last = strrchr(answer, '\n');
    return linux_read_going_down(last == NULL ? answer : last + 1, stopping, &due, error);
}
