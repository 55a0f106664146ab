/* A Linux guest: a POSIX shell in a loop, the functions that it is taught, and short scripts through them. */
#include "guest/linux.h"

#include <ingot/error.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define OUTPUT_MAX (4u << 20) /* bytes that are kept of a short script's output */
#define BLOCK (256u << 10)    /* bytes sent at once */
#define PUT_SECONDS 3600u     /* for what is left to do once all bytes have been taken */

/* A shell that reads its commands from stdin may read ahead and swallow the bytes that a command should get; its `read`
 * may not. So each command is one line, and longer texts are read line by line by what that line calls. */
#define LOOP "while IFS= read -r ingot_line; do eval \"$ingot_line\"; done"
/* Nothing of the environment that the shell was started in reaches a step. */
#define CLEAN "env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c "
/* The port by its name, which udev has made a link of, or else the kernel tells. */
#define FIND_PORT                                                                                                      \
    "find_port() { port=/dev/virtio-ports/" MACHINE_SHELL_PORT "; [ ! -c \"$port\" ] || return 0; "                    \
    "for folder in /sys/class/virtio-ports/*; do port=/dev/${folder##*/}; "                                            \
    "read -r name <\"$folder/name\" && [ \"$name\" = " MACHINE_SHELL_PORT " ] && [ -c \"$port\" ] && return 0; done "  \
    "2>/dev/null; return 1; }\n"
/* The port's end is not the session's: it is what a guest sees when the host lets go of it. */
#define ON_PORT CLEAN "'while :; do " LOOP "; sleep 0.1; done' <>\"$port\" >&0 2>&1"

const char *guest_loop(void)
{
    return LOOP;
}

const char *guest_port_script(void)
{
    return "#!/bin/sh\n"
           "# A root shell for the host that runs this machine, on a port that it alone has.\n" FIND_PORT
           "until find_port; do sleep 0.2; done\n"
           "exec " ON_PORT "\n";
}

const char *guest_appliance_script(void)
{
    return FIND_PORT "find_port || { echo 'there is no port'; exit 1; }\n"
                     "exec " CLEAN "'" LOOP "' <>\"$port\" >&0 2>&1\n";
}

/* The shell leaves the login's control group, since some servers end all of a connection's processes with it. */
const char *linux_start_script(void)
{
    return FIND_PORT "[ \"$(id -u)\" = 0 ] || exit 4\n"
                     "find_port || exit 3\n"
                     "for group in /sys/fs/cgroup /sys/fs/cgroup/systemd; do\n"
                     "    [ ! -w $group/cgroup.procs ] || echo $$ >$group/cgroup.procs\n"
                     "done 2>/dev/null\n"
                     "setsid " ON_PORT " &\n";
}

const char *linux_shell_command(void)
{
    return "exec " CLEAN "'" LOOP "'";
}

/* Variables of these functions begin with ingot_, since a step's environment may have any other name. Each is one line
 * when it is sent.
 *
 * ingot_read END: the lines before the line END, in $ingot_text.
 * ingot_do WORD WORD: runs the text.
 * ingot_put WORD WORD SIZE: runs the text with so many bytes as its stdin, and drops those that it leaves.
 * ingot_pump FILE: writes what is to be killed into the file, and passes its stdin on until
 *     then. What still comes is dropped: what a step has left running can go on to print, and nobody sees it.
 * ingot_unstarted WHY: ends the text that ingot_run runs, where it cannot start the script.
 * ingot_run WORD WORD SIZE NUMBER LIMIT: takes a script of that size and runs the text, which starts it. Statuses 124
 *     and 137 are also what `timeout` ends with: the time that has passed tells whose they are. Then the host says that
 *     it has read all of the output, and the pump is stopped. */
static const char functions[] =
    "ingot_read() { ingot_text=; while IFS= read -r ingot_line && [ \"$ingot_line\" != \"$1\" ]; do "
    "ingot_text=$ingot_text$ingot_line$ingot_nl; done; }\n"

    "ingot_do() { ingot_read \"$1.$2\"; printf '\\n%s%s\\n' \"$1\" \"$2\"; ( eval \"$ingot_text\" ) </dev/null 2>&1; "
    "printf '\\n%s%s %d\\n' \"$1\" \"$2\" $?; }\n"

    "ingot_put() { ingot_read \"$1.$2\"; printf '\\n%s%s\\n' \"$1\" \"$2\"; "
    "head -c \"$3\" | { ( eval \"$ingot_text\" ) 2>&1; ingot_status=$?; cat >/dev/null; exit $ingot_status; }; "
    "printf '\\n%s%s %d\\n' \"$1\" \"$2\" $?; }\n"

    "ingot_pump() { exec 3<&0 2>/dev/null; cat <&3 & echo $! >\"$1\"; wait; "
    "{ IFS= read -r ingot_line && exec cat; } <&3 >/dev/null & }\n"

    "ingot_uptime() { read -r ingot_up ingot_line </proc/uptime; ingot_up=${ingot_up%.*}${ingot_up#*.}; }\n"

    "ingot_unstarted() { echo \"unstarted-$1\" >\"$ingot_script.unstarted\"; exit 1; }\n"

    "ingot_run() { ingot_read \"$1.$2\"; ingot_script=$ingot_place/script-$4; "
    "if ( umask 077; head -c \"$3\" | tee \"$ingot_script\" >/dev/null ); then "
    "printf '\\n%s%s\\n' \"$1\" \"$2\"; "
    "{ ingot_uptime; ingot_began=$ingot_up; ( eval \"$ingot_text\" ) </dev/null 2>&1; ingot_status=$?; "
    "case $ingot_status in 124 | 137) ingot_uptime; "
    "[ $((ingot_up - ingot_began + 1)) -lt $(($5 * 100)) ] || ingot_status=timeout ;; esac; "
    "[ ! -f \"$ingot_script.unstarted\" ] || read -r ingot_status <\"$ingot_script.unstarted\"; "
    "printf '\\n%s%s %s\\n' \"$1\" \"$2\" $ingot_status; IFS= read -r ingot_line; "
    "ingot_tries=0; until read -r ingot_line <\"$ingot_script.pump\" || [ $ingot_tries -gt 40 ]; do "
    "ingot_tries=$((ingot_tries + 1)); sleep 0.05; done; kill \"$ingot_line\"; } 2>/dev/null | "
    "ingot_pump \"$ingot_script.pump\"; "
    "else printf '\\n%s%s\\n\\n%s%s full\\n' \"$1\" \"$2\" \"$1\" \"$2\"; fi; "
    "rm -f \"$ingot_script\" \"$ingot_script.pump\" \"$ingot_script.unstarted\"; }\n"

    /* What pam_env makes of a file of variables. */
    "ingot_variables() { while IFS= read -r ingot_line || [ -n \"$ingot_line\" ]; do "
    "ingot_line=${ingot_line%%#*}; ingot_line=${ingot_line#\"${ingot_line%%[! \t]*}\"}; "
    "ingot_line=${ingot_line#export }; ingot_line=${ingot_line%\"${ingot_line##*[! \t\r]}\"}; "
    "case ${ingot_line%%=*} in '' | [0-9]* | *[!A-Za-z0-9_]* | ingot_*) continue ;; esac; "
    "case $ingot_line in *=\\\"*\\\") ingot_value=${ingot_line#*=?}; ingot_value=${ingot_value%?} ;; "
    "*=\\'*\\') ingot_value=${ingot_line#*=?}; ingot_value=${ingot_value%?} ;; "
    "*=*) ingot_value=${ingot_line#*=} ;; *) continue ;; esac; "
    "export \"${ingot_line%%=*}=$ingot_value\"; done; }\n"

    "ingot_login() { export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; "
    "for ingot_file in /etc/default/locale /etc/environment; do [ ! -f $ingot_file ] || ingot_variables <$ingot_file; "
    "done; }\n";

/* Where scripts lie: in memory, so that nothing of them is in the image, and on a file system that runs programs, as
 * /run and /tmp often don't. Only root can list it. */
static const char find_place[] =
    "ingot_try() { mkdir -p -m 711 \"$1\" && printf '#!/bin/sh\\n' >\"$1/try\" && chmod 700 \"$1/try\" && \"$1/try\" "
    "&& ingot_place=$1; }\n"
    "[ -n \"$ingot_place\" ] || { mkdir -p -m 711 " GUEST_PLACE "; mount -t tmpfs -o mode=711,nosuid,nodev,exec ingot "
    "" GUEST_PLACE " && ingot_place=" GUEST_PLACE " || ingot_try " GUEST_PLACE " || ingot_try /root/.ingot || "
    "ingot_try /var/lib/.ingot || ingot_place=" GUEST_PLACE "; } "
    "2>/dev/null\n";

/* The first line ends whatever line the shell was in the middle of. Pages that the guest frees are to be reported to
 * QEMU in runs of any length (Linux reports 2 MiB alone if nothing is said): they are part of a saved state else, 150
 * MB instead of 110 after an apt-get install. */
static char *linux_prepare(const Guest *guest)
{
    g_autofree char *quoted = g_shell_quote(guest->place);
    g_autofree char *own = g_strdup_printf("ingot_place=%s; mkdir -p -m 711 \"$ingot_place\"\n", quoted);
    return g_strconcat("\n"
                       "umask 022; ingot_nl=$(printf '\\nx'); ingot_nl=${ingot_nl%x}\n",
                       functions, strcmp(guest->place, GUEST_PLACE) == 0 ? find_place : own,
                       "echo 0 2>/dev/null >/sys/module/page_reporting/parameters/page_reporting_order\n", NULL);
}

gboolean linux_call(Guest *guest, const char *function, const char *words, const SessionWord *word, const char *text,
                    GError **error)
{
    g_autofree char *all = g_strdup_printf("%s %s %s %s\n%s%s%s.%s\n", function, word->first, word->second, words, text,
                                           g_str_has_suffix(text, "\n") ? "" : "\n", word->first, word->second);
    return session_send(guest, all, strlen(all), error);
}

/* Waits for the end of an exchange; a status that is not a number is nonsense here. */
static gboolean linux_take(Guest *guest, const SessionWord *word, gint64 until, SessionSink sink, gpointer user,
                           int *status, GError **error)
{
    g_autofree char *text = NULL;
    guint64 number;
    if (!session_take(guest, word, until, sink, user, &text, error)) {
        return FALSE;
    }
    if (!g_ascii_string_to_unsigned(text, 10, 0, 255, &number, NULL)) {
        return session_lose(guest, error, "the machine's answer makes no sense");
    }
    *status = (int)number;
    return TRUE;
}

gboolean linux_exchange(Guest *guest, const char *script, guint64 seconds, SessionSink sink, gpointer user, int *status,
                        GError **error)
{
    SessionWord word = session_word();
    return linux_call(guest, "ingot_do", "", &word, script, error) &&
           linux_take(guest, &word, session_until(seconds), sink, user, status, error);
}

gboolean linux_stream(Guest *guest, const char *script, SessionSink sink, gpointer user, int *status, GError **error)
{
    SessionWord word = session_word();
    return linux_call(guest, "ingot_do", "", &word, script, error) &&
           linux_take(guest, &word, SESSION_STALL, sink, user, status, error);
}

static gboolean keep_output(const char *data, gsize size, gpointer user, GError **error)
{
    GString *output = user;
    (void)error;
    g_string_append_len(output, data, (gssize)MIN(size, OUTPUT_MAX - MIN(output->len, OUTPUT_MAX)));
    return TRUE;
}

/* The words of a short script that failed, as an error. */
static gboolean script_failed(const char *what, const GString *output, int status, GError **error)
{
    g_autofree char *valid = g_utf8_make_valid(output->str, (gssize)output->len);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s (exit status %d)", what, g_strchomp(valid), status);
    return FALSE;
}

static gboolean linux_script(Guest *guest, const char *script, guint seconds, char **output, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    int status = 0;
    if (!linux_exchange(guest, script, seconds, keep_output, text, &status, error)) {
        return FALSE;
    }
    if (status != 0) {
        return script_failed("in the machine", text, status, error);
    }
    if (output != NULL) {
        if (text->len > 0 && text->str[text->len - 1] == '\n') {
            g_string_truncate(text, text->len - 1);
        }
        *output = g_string_free(g_steal_pointer(&text), FALSE);
    }
    return TRUE;
}

gboolean linux_send_file(Guest *guest, int fd, guint64 size, const char *name, GError **error)
{
    g_autofree char *buffer = g_malloc(BLOCK);
    for (guint64 done = 0; done < size;) {
        gsize part = MIN(BLOCK, size - done);
        GError *problem = NULL;
        if (!ingot_file_pread(fd, buffer, part, done, name, &problem)) {
            session_lose(guest, NULL, "%s", problem->message);
            g_propagate_error(error, problem);
            return FALSE;
        }
        if (!session_send(guest, buffer, part, error)) {
            return FALSE;
        }
        done += part;
    }
    return TRUE;
}

static gboolean linux_put(Guest *guest, const char *script, int fd, guint64 size, const char *name, GError **error)
{
    SessionWord word = session_word();
    g_autoptr(GString) output = g_string_new(NULL);
    g_autofree char *words = g_strdup_printf("%" G_GUINT64_FORMAT, size);
    int status = 0;
    return linux_call(guest, "ingot_put", words, &word, script, error) &&
           linux_send_file(guest, fd, size, name, error) &&
           linux_take(guest, &word, session_until(PUT_SECONDS), keep_output, output, &status, error) &&
           (status == 0 || script_failed(name, output, status, error));
}

const GuestSystem guest_linux = {
    .prepare = linux_prepare,
    .run = linux_run,
    .script = linux_script,
    .put = linux_put,
    .get = linux_get,
    .settle = linux_settle,
    .adopt = linux_adopt,
};
