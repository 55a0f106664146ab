#include <ingot/credentials.h>
#include <ingot/error.h>
#include <ingot/remote.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/prompt.h"
#include "cli/common.h"
#include "cli/verbs.h"

static gboolean user_check(const char *user, GError **error)
{
    if (*user != '\0' && strchr(user, ':') == NULL && g_utf8_validate(user, -1, NULL)) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is no user's name: it is not empty and has no ':'",
                user);
    return FALSE;
}

/* What is not given is asked for, where somebody is there to ask. */
static IngotCredentials *ask(const char *host, const char *user, gboolean from_stdin, GError **error)
{
    if (!isatty(STDIN_FILENO) && (user == NULL || !from_stdin)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "standard input is no terminal: say -u NAME --password-stdin, and give the password as a line");
        return NULL;
    }
    g_autofree char *prompt = g_strdup_printf("User at %s: ", host);
    g_autofree char *name = user == NULL ? ingot_prompt_line(prompt, error) : g_strdup(user);
    g_autoptr(IngotSecret) password =
        name == NULL || !user_check(name, error) ? NULL : ingot_prompt_secret("Password or token: ", error);
    return password == NULL ? NULL : ingot_credentials_new(name, password);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *user = NULL;
    gboolean from_stdin = FALSE, asked = FALSE;
    const GOptionEntry entries[] = {
        {"user", 'u', 0, G_OPTION_ARG_STRING, &user, "who logs in", "NAME"},
        {"password-stdin", 0, 0, G_OPTION_ARG_NONE, &from_stdin, "the password is a line of standard input", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_login, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    g_autofree char *host = cli_host(argv[1], error);
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    g_autoptr(IngotRemote) remote = host == NULL ? NULL : ingot_remote_new(host, options, error);
    g_autoptr(IngotCredentials) credentials = remote == NULL ? NULL : ask(host, user, from_stdin, error);
    if (credentials == NULL || !ingot_remote_login(remote, credentials, &asked, error) ||
        !ingot_credentials_save(options, host, credentials, error)) {
        return FALSE;
    }
    ingot_progress_message(ingot_command_progress(), "%s%s; kept in %s", host,
                           asked ? ": logged in" : " asks for no login, so nothing was checked", options->logins[0]);
    return TRUE;
}

const IngotVerb verb_login = {
    "login", "HOST", "log in to a registry",
    "Checks user and password (or token) and keeps them where podman and skopeo do, for their "
    "owner alone to read.\n"
    "Programs may set INGOT_TOKEN=HOST=TOKEN instead.\n\n"
    "Examples:\n  ingot login registry.example\n"
    "  ingot login -u alice --password-stdin registry.example <secret\n",
    run};
