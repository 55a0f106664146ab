/* Commands through the one shell. Each goes over as `head -c N >FILE` and its N bytes, so that no script passes through
 * a command line; it then runs in a session of its own with its output on the stream, and its end is a line that holds
 * a word nobody can know beforehand. */
#include <ingot/error.h>
#include <string.h>

#include "guest/session.h"

#define LAUNCHER "/run/ingot/launch"
#define NOISE_MAX (1u << 20) /* bytes of a line without a newline */

/* "export K='V'" for each; free it. */
static char *exports(const char *const *environment)
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

/* What starts the script file: in a session of its own, so that a time-out ends all that it has started. */
static char *launcher(const GuestCommand *command, const char *file, const char *word)
{
    g_autofree char *user = command->user == NULL ? NULL : g_shell_quote(command->user);
    g_autofree char *workdir = command->workdir == NULL ? NULL : g_shell_quote(command->workdir);
    g_autofree char *variables = exports(command->environment);
    g_autofree char *as = user == NULL ? g_strdup("") : g_strdup_printf("runuser -u %s -- ", user);
    g_autofree char *home =
        user == NULL ? g_strdup("HOME=/root") : g_strdup_printf("HOME=$(getent passwd %s | cut -d: -f6)", user);
    /* -e: a command that fails ends the step. A script with a #! line says itself how it is run. */
    const char *shebang = strncmp(command->script, "#!", 2) == 0 ? "" : "/bin/sh -e ";
    g_autofree char *change =
        workdir == NULL ? g_strdup("cd \"$HOME\" 2>/dev/null || cd /") : g_strdup_printf("cd %s", workdir);
    g_autofree char *limit =
        command->seconds == 0 ? g_strdup("") : g_strdup_printf("timeout -k 5 %u ", command->seconds);
    g_autofree char *owner =
        user == NULL ? g_strdup("") : g_strdup_printf("chmod 711 /run/ingot; chown %s %s\n", user, file);
    return g_strdup_printf("%schmod 700 %s\n( export %s\n%s%s && exec setsid -w %s%s%s%s ) </dev/null 2>&1\n"
                           "printf '\\n%s %%d\\n' $?; rm -f %s\n",
                           owner, file, home, variables, change, limit, as, shebang, file, word, file);
}

/* Gives each whole line to the caller; TRUE once the last one has come, *status then tells. */
static gboolean take_lines(Guest *guest, const GuestCommand *command, const char *word, gboolean *held_empty,
                           int *status)
{
    char *newline;
    while ((newline = memchr(guest->input->str, '\n', guest->input->len)) != NULL) {
        gsize length = (gsize)(newline - guest->input->str);
        g_autofree char *raw = g_strndup(guest->input->str, length);
        g_string_erase(guest->input, 0, (gssize)length + 1);
        if (g_str_has_prefix(raw, word)) {
            *status = atoi(raw + strlen(word));
            return TRUE;
        }
        /* The end's own newline makes an empty line where the output ended in one: held back until more follows. */
        if (*held_empty && command->line != NULL) {
            command->line("", command->user_data);
        }
        *held_empty = *raw == '\0';
        if (*raw != '\0' && command->line != NULL) {
            g_autofree char *line = g_utf8_make_valid(raw, -1);
            gsize end = strlen(line);
            while (end > 0 && line[end - 1] == '\r') {
                line[--end] = '\0';
            }
            command->line(line, command->user_data);
        }
    }
    return FALSE;
}

/* The bytes as a file in the machine. */
static gboolean place_file(Guest *guest, const char *file, const char *data, gsize size, GError **error)
{
    g_autofree char *head = g_strdup_printf("head -c %" G_GSIZE_FORMAT " >%s\n", size, file);
    return session_send(guest, head, strlen(head), error) && session_send(guest, data, size, error);
}

gboolean guest_run(Guest *guest, const GuestCommand *command, int *status, GError **error)
{
    gsize size = command->script_size == 0 ? strlen(command->script) : command->script_size;
    g_autofree char *file = g_strdup_printf("/run/ingot/script-%u", guest->number++);
    g_autofree char *word = g_strdup_printf("ingot-%08x%08x%08x", g_random_int(), g_random_int(), g_random_int());
    g_autofree char *start = launcher(command, file, word);
    if (!place_file(guest, file, command->script, size, error) ||
        !place_file(guest, LAUNCHER, start, strlen(start), error) ||
        !session_send(guest, ". " LAUNCHER "\n", strlen(". " LAUNCHER "\n"), error)) {
        return FALSE;
    }
    /* `timeout` in the guest ends the script; the session is given up only where the guest itself hangs. */
    gint64 until = command->seconds == 0 ? 0 : g_get_monotonic_time() + (command->seconds + 60) * G_USEC_PER_SEC;
    gboolean held_empty = FALSE;
    while (!take_lines(guest, command, word, &held_empty, status)) {
        if (guest->input->len > NOISE_MAX) {
            g_string_append_c(guest->input, '\n');
            continue;
        }
        if (!session_receive(guest, until, error)) {
            if (error != NULL && *error == NULL) {
                g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "no answer from the machine after %u s",
                            command->seconds + 60);
            }
            return FALSE;
        }
    }
    if (command->seconds != 0 && (*status == 124 || *status == 137)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "still running after %u s: ended (timeout)",
                    command->seconds);
        return FALSE;
    }
    return TRUE;
}

static void keep_line(const char *line, gpointer user)
{
    GString *output = user;
    g_string_append_printf(output, "%s%s", output->len == 0 ? "" : "\n", line);
}

gboolean guest_script(Guest *guest, const char *script, char **output, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    GuestCommand command = {.script = script, .line = keep_line, .user_data = text};
    int status = 0;
    if (!guest_run(guest, &command, &status, error)) {
        return FALSE;
    }
    if (status != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "in the machine: %s (exit status %d)", text->str, status);
        return FALSE;
    }
    if (output != NULL) {
        *output = g_string_free(g_steal_pointer(&text), FALSE);
    }
    return TRUE;
}
