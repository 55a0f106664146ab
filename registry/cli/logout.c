#include <ingot/credentials.h>
#include <ingot/error.h>

#include "cli/common.h"
#include "cli/verbs.h"

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_logout, NULL, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    g_autofree char *host = cli_host(argv[1], error);
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    if (host == NULL || !ingot_credentials_remove(options, host, error)) {
        return FALSE;
    }
    /* Other programs' files are theirs. */
    g_autoptr(IngotCredentials) other = NULL;
    if (ingot_credentials_find(options, host, NULL, &other, NULL, NULL) && other != NULL) {
        ingot_progress_message(ingot_command_progress(), "%s: another login is kept in %s", host, other->path);
    }
    return TRUE;
}

const IngotVerb verb_logout = {"logout", "HOST", "forget the login of a registry",
                               "Example:\n  ingot logout registry.example\n", run};
