/* Scripts as steps run them: in a session of their own, so that a limit ends all that they have started; with a login's
 * environment; with their output on a pipe. Script and launcher never pass through a command line, and the launcher,
 * which has the environment's secrets in it, through no file either. */
#include <ingot/error.h>
#include <string.h>

#include "guest/linux.h"

#define GRACE_SECONDS 60u    /* for the guest to notice its own limit */
#define PIECE_MAX (1u << 20) /* bytes; a longer line is given in pieces */

/* Why a script was not started: what stands behind the launcher's word. Anything else is a program that is missing. */
#define UNSTARTED "unstarted-"
#define NO_USER "no-user"
#define NO_WORKDIR "no-workdir"
#define NO_SCRIPT "no-script"

/* "export K='V'" for each; free it. */
static char *command_exports(const char *const *environment)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; environment != NULL && environment[i] != NULL; i++) {
        const char *equals = strchr(environment[i], '=');
        g_autofree char *name = g_strndup(environment[i], (gsize)(equals - environment[i]));
        g_autofree char *value = g_shell_quote(equals + 1);
        g_string_append_printf(text, "export %s=%s\n", name, value);
    }
    return g_string_free(text, FALSE);
}

/* Finds the programs that start the script, as the session's own PATH does: the step's PATH may be anything. Free it.
 */
static char *command_programs(const GuestCommand *command, gboolean own)
{
    return g_strdup_printf("for ingot_program in setsid timeout%s%s; do\n"
                           "    ingot_path=$(command -v \"$ingot_program\") || ingot_unstarted \"$ingot_program\"\n"
                           "    eval \"ingot_$ingot_program=\\$ingot_path\"\n"
                           "done\n",
                           command->user == NULL ? "" : " runuser getent chown", own ? " chmod" : "");
}

/* Who the script runs as: sets HOME, USER, LOGNAME and SHELL. The script is the user's, in a folder that only lets the
 * user through to a name. Free it. */
static char *command_identity(const char *user)
{
    if (user == NULL) {
        return g_strdup("export HOME=/root USER=root LOGNAME=root SHELL=/bin/sh\n");
    }
    g_autofree char *quoted = g_shell_quote(user);
    return g_strdup_printf("ingot_line=$(\"$ingot_getent\" passwd %s) || ingot_unstarted " NO_USER "\n"
                           "IFS=: && set -f && set -- $ingot_line && unset IFS && set +f\n"
                           "\"$ingot_chown\" \"$3\" \"$ingot_script\" || ingot_unstarted " NO_SCRIPT "\n"
                           "export HOME=\"$6\" USER=\"$1\" LOGNAME=\"$1\" SHELL=\"${7:-/bin/sh}\"\n",
                           quoted);
}

/* What starts the script. Where it cannot, it says why in the place of a status. Free it. */
static char *command_launcher(const GuestCommand *command, guint seconds)
{
    /* -e: a command that fails ends the step. A script with a #! line says itself how it is run. */
    gboolean own = strncmp(command->script, "#!", 2) == 0;
    g_autofree char *programs = command_programs(command, own);
    g_autofree char *identity = command_identity(command->user);
    g_autofree char *variables = command_exports(command->environment);
    g_autofree char *workdir = command->workdir == NULL ? NULL : g_shell_quote(command->workdir);
    g_autofree char *change = workdir == NULL
                                  ? g_strdup("cd \"$HOME\" 2>/dev/null || cd /")
                                  : g_strdup_printf("cd %s 2>/dev/null || ingot_unstarted " NO_WORKDIR, workdir);
    g_autofree char *user = command->user == NULL ? NULL : g_shell_quote(command->user);
    g_autofree char *as = user == NULL ? g_strdup("") : g_strdup_printf("\"$ingot_runuser\" -u %s -- ", user);
    return g_strdup_printf("%singot_login\n%s%s%s%s\n"
                           "exec \"$ingot_setsid\" -w \"$ingot_timeout\" -k 5 %u %s%s\"$ingot_script\"\n",
                           programs, identity,
                           own ? "\"$ingot_chmod\" 700 \"$ingot_script\" || ingot_unstarted " NO_SCRIPT "\n" : "",
                           variables, change, seconds, as, own ? "" : "/bin/sh -e ");
}

/* --- output --- */

typedef struct {
    const GuestCommand *command;
    GString *part; /* of a line whose end has not come */
} LineSplitter;

static void line_give(const LineSplitter *lines, const char *data, gsize size)
{
    if (lines->command->line != NULL) {
        while (size > 0 && data[size - 1] == '\r') {
            size--;
        }
        g_autofree char *line = g_utf8_make_valid(data, (gssize)size);
        lines->command->line(line, lines->command->user_data);
    }
}

static gboolean line_sink(const char *data, gsize size, gpointer user, GError **error)
{
    LineSplitter *lines = user;
    GError **refused = lines->command->refused;
    while (size > 0) {
        const char *newline = memchr(data, '\n', size);
        gsize length = newline == NULL ? size : (gsize)(newline - data);
        g_string_append_len(lines->part, data, (gssize)length);
        if (newline != NULL || lines->part->len > PIECE_MAX) {
            line_give(lines, lines->part->str, lines->part->len);
            g_string_truncate(lines->part, 0);
        }
        length += newline != NULL;
        data += length;
        size -= length;
        if (refused != NULL && *refused != NULL) {
            g_propagate_error(error, g_steal_pointer(refused));
            return FALSE;
        }
    }
    return TRUE;
}

/* --- the whole --- */

static gboolean command_start(Guest *guest, const GuestCommand *command, guint seconds, const SessionWord *word,
                              GError **error)
{
    gsize size = command->script_size == 0 ? strlen(command->script) : command->script_size;
    g_autofree char *launcher = command_launcher(command, seconds);
    g_autofree char *words = g_strdup_printf("%" G_GSIZE_FORMAT " %u %u", size, guest->number++, seconds);
    return linux_call(guest, "ingot_run", words, word, launcher, error) &&
           session_send(guest, command->script, size, error);
}

/* The script has not run, which is not one of its statuses; always FALSE. */
static gboolean command_unstarted(const GuestCommand *command, const char *why, GError **error)
{
    if (strcmp(why, NO_USER) == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "user '%s' does not exist in the machine", command->user);
    } else if (strcmp(why, NO_WORKDIR) == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: no such folder in the machine", command->workdir);
    } else if (strcmp(why, NO_SCRIPT) == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "the machine does not let the script be run: see its output");
    } else {
        g_autofree char *program = g_utf8_make_valid(why, -1);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "the machine has no program '%s', which starting a script needs", program);
    }
    return FALSE;
}

static gboolean command_end(Guest *guest, const GuestCommand *command, const char *text, guint seconds, int *status,
                            GError **error)
{
    guint64 number;
    if (strcmp(text, "full") == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE,
                    "the machine has no room for the script in %s: its memory is full", guest->place);
        return FALSE;
    }
    /* All of the output is here: what comes now is from what the script has left running. */
    if (!session_send(guest, "\n", 1, error)) {
        return FALSE;
    }
    if (strcmp(text, "timeout") == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "still running after %u s: ended (timeout)", seconds);
        return FALSE;
    }
    if (g_str_has_prefix(text, UNSTARTED)) {
        return command_unstarted(command, text + strlen(UNSTARTED), error);
    }
    if (!g_ascii_string_to_unsigned(text, 10, 0, 255, &number, NULL)) {
        return session_lose(guest, error, "the machine's answer makes no sense");
    }
    *status = (int)number;
    return TRUE;
}

gboolean linux_run(Guest *guest, const GuestCommand *asked, int *status, GError **error)
{
    GuestCommand own = *asked;
    /* Who is root already needs no program to become root. */
    own.user = g_strcmp0(asked->user, "root") == 0 ? NULL : asked->user;
    const GuestCommand *command = &own;
    guint seconds = command->seconds == 0 ? GUEST_SECONDS : command->seconds;
    SessionWord word = session_word();
    LineSplitter lines = {.command = command, .part = g_string_new(NULL)};
    g_autofree char *text = NULL;
    /* `timeout` in the guest ends the script; the session is given up only where the guest itself hangs. */
    gboolean ok =
        command_start(guest, command, seconds, &word, error) &&
        session_take(guest, &word, session_until((guint64)seconds + GRACE_SECONDS), line_sink, &lines, &text, error);
    if (lines.part->len > 0) {
        line_give(&lines, lines.part->str, lines.part->len);
    }
    g_string_free(lines.part, TRUE);
    return ok && command_end(guest, command, text, seconds, status, error);
}
