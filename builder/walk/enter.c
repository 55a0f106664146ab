#include "walk/enter.h"

#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>
#include <unistd.h>

#define SEED_SIZE 64 /* random bytes */

/* What is random in two machines that go on from one memory would be the same. A kernel that knows the VM Generation ID
 * (Linux 5.18, CONFIG_VMGENID) sees by itself that it is another one now; any other is given random bytes and told to
 * use them at once: RNDRESEEDCRNG of random(4), for which perl or python is at hand in almost every system. Few
 * programs are started: each is 40 ms under emulation. */
static char *script(const GuestKey *key, const guint8 *seed)
{
    g_autoptr(GString) bytes = g_string_new(NULL);
    for (guint i = 0; i < SEED_SIZE; i++) {
        g_string_append_printf(bytes, "\\%03o", seed[i]);
    }
    g_autofree char *line = g_shell_quote(key->public_line);
    gint64 now = g_get_real_time();
    return g_strdup_printf(
        "date -s @%" G_GINT64_FORMAT ".%06u >/dev/null\n"
        "printf '%s' >/dev/urandom\n"
        "perl -e 'exit !ioctl(STDIN, 0x5207, 0)' </dev/urandom 2>/dev/null ||\n"
        "    python3 -c 'import fcntl; fcntl.ioctl(0, 0x5207)' </dev/urandom 2>/dev/null ||\n"
        "    [ -d /sys/module/vmgenid ] || { echo 'its random numbers cannot be made its own'; exit 1; }\n"
        "[ -d /root/.ssh ] || mkdir -m 700 /root/.ssh\n"
        "umask 077\n"
        "key=%s file=/root/.ssh/authorized_keys found=\n"
        "echo \"$key\" >${file}2\n"
        "[ -e $file ] || exit 0\n"
        "while IFS= read -r line; do\n"
        "    case $line in *' " GUEST_KEY_COMMENT "') line=$key found=1 ;; esac\n"
        "    echo \"$line\"\n"
        "done <$file >/run/ingot/keys\n"
        "[ -z \"$found\" ] || while IFS= read -r line; do echo \"$line\"; done </run/ingot/keys >$file\n",
        now / G_USEC_PER_SEC, (guint)(now % G_USEC_PER_SEC), bytes->str, line);
}

gboolean enter_resumed(Guest *guest, const GuestKey *key, GError **error)
{
    guint8 seed[SEED_SIZE];
    if (getentropy(seed, sizeof seed) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the system gives no random bytes");
        return FALSE;
    }
    g_autofree char *text = script(key, seed);
    return guest_script(guest, text, NULL, error);
}

gboolean enter_keep_variables(const Machine *machine, const NodeDraft *draft, Node *node, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(machine_console(machine));
    g_autofree char *from = g_build_filename(folder, MACHINE_VARIABLES, NULL);
    g_autofree char *to = draft_file(draft, MACHINE_VARIABLES);
    json_object_set_new(node->files, MACHINE_VARIABLES, json_null());
    return ingot_file_copy(from, to, error);
}

gboolean enter_restore_variables(const Node *node, const char *folder, GError **error)
{
    g_autofree char *from = node_file(node, MACHINE_VARIABLES);
    g_autofree char *to = g_build_filename(folder, MACHINE_VARIABLES, NULL);
    return ingot_file_copy(from, to, error);
}
