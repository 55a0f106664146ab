#include "guest/sshcommand.h"

#include <ingot/error.h>
#include <string.h>

#include "base/process.h"
#include "base/text.h"

#define TAIL_LINES 12u
#define TRY_USEC (G_USEC_PER_SEC / 2) /* between two */

static const char *const options[] = {
    "-F", "none",                         /* no configuration of the user's or the system's */
    "-o", "IdentitiesOnly=yes",           /* the key that is named */
    "-o", "IdentityAgent=none",           /* not the agent's */
    "-o", "BatchMode=yes",                /* no question that nobody answers */
    "-o", "StrictHostKeyChecking=no",     /* the machine's host key was made a moment ago */
    "-o", "UserKnownHostsFile=/dev/null", /* nor is it to be remembered */
    "-o", "GlobalKnownHostsFile=/dev/null",
    "-o", "LogLevel=ERROR",
};

static void add(GPtrArray *words, const char *word)
{
    g_ptr_array_add(words, g_strdup(word));
}

GPtrArray *sshcommand_words(const GuestKey *key, guint16 port, const char *const *command)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
    add(words, "ssh");
    for (guint i = 0; i < G_N_ELEMENTS(options); i++) {
        add(words, options[i]);
    }
    add(words, "-i");
    add(words, key->private_path);
    add(words, "-p");
    g_ptr_array_add(words, g_strdup_printf("%u", port));
    add(words, "root@127.0.0.1");
    /* ssh joins the words with blanks and hands them to a shell. */
    for (; command != NULL && *command != NULL; command++) {
        g_ptr_array_add(words, g_shell_quote(*command));
    }
    g_ptr_array_add(words, NULL);
    return words;
}

char *sshcommand_line(const GuestKey *key, guint16 port)
{
    g_autoptr(GPtrArray) words = sshcommand_words(key, port, NULL);
    g_autoptr(GString) line = g_string_new(NULL);
    for (guint i = 0; i + 1 < words->len; i++) {
        g_autofree char *word = ingot_text_word(g_ptr_array_index(words, i));
        g_string_append_printf(line, "%s%s", i == 0 ? "" : " ", word);
    }
    return g_string_free(g_steal_pointer(&line), FALSE);
}

gboolean sshcommand_try(const Machine *machine, const GuestKey *key, guint seconds, GError **error)
{
    g_autoptr(GPtrArray) words = sshcommand_words(key, machine_port(machine, 22), (const char *const[]){"true", NULL});
    g_autoptr(GError) problem = NULL;
    if (ingot_process_run_within((const char *const *)words->pdata, seconds, &problem)) {
        return TRUE;
    }
    g_autofree char *line = ingot_text_line(problem->message); /* stands within another sentence */
    g_set_error_literal(error, problem->domain, problem->code, line);
    return FALSE;
}

gboolean sshcommand_wait(Machine *machine, const GuestKey *key, guint seconds, guint try_seconds, GError **error)
{
    gint64 end = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    guint left = MAX(seconds, 1);
    g_autoptr(GError) last = NULL;
    while (!sshcommand_try(machine, key, MIN(try_seconds, left), &last)) {
        gint64 now = g_get_monotonic_time();
        if (!machine_alive(machine, error)) {
            return FALSE;
        }
        if (now >= end) {
            g_autofree char *tail = machine_console_tail(machine, TAIL_LINES);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                        "no ssh login as root within %u s (%s); the console's last lines:\n%s", seconds, last->message,
                        tail);
            return FALSE;
        }
        left = (guint)((end - now) / G_USEC_PER_SEC) + 1;
        g_clear_error(&last);
        g_usleep(TRY_USEC);
    }
    return TRUE;
}
