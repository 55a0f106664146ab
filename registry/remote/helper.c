#include "remote/helper.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/process.h"
#include "base/prompt.h"
#include "base/text.h"

#define VALUES 64
#define IS_TOKEN "<token>" /* in the user's place: the secret is an identity token */

/* As docker itself finds it out. */
static gboolean says_nothing_is_kept(const char *output)
{
    return output != NULL && strstr(output, "credentials not found in native keychain") != NULL;
}

static IngotCredentials *read_login(const char *program, const char *output, GError **error)
{
    gsize room = VALUES;
    g_autoptr(json_t) root = ingot_json_parse_within(output, strlen(output), program, &room, NULL);
    const char *user = json_string_value(json_object_get(root, "Username"));
    const char *secret = json_string_value(json_object_get(root, "Secret"));
    if (user == NULL || secret == NULL || *secret == '\0') {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: what it prints is no login", program);
        return NULL;
    }
    gboolean is_token = strcmp(user, IS_TOKEN) == 0;
    IngotCredentials *login = ingot_credentials_new(user, is_token ? "" : secret);
    login->identity = is_token ? g_strdup(secret) : NULL;
    login->path = g_strdup(program);
    return login;
}

gboolean helper_get(const char *name, const char *server, guint seconds, IngotCredentials **found, GError **error)
{
    g_autofree char *program = g_strconcat("docker-credential-", name, NULL);
    const char *const argv[] = {program, "get", NULL};
    g_autoptr(IngotSecret) output = NULL;
    g_autoptr(GError) problem = NULL;
    *found = NULL;
    if (!g_regex_match_simple("^[A-Za-z0-9._-]+$", name, G_REGEX_DOLLAR_ENDONLY | G_REGEX_RAW, 0)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a credential helper's name is letters and digits");
        return FALSE;
    }
    if (ingot_process_ask(argv, server, seconds, &output, &problem)) {
        *found = read_login(program, output, error);
        return *found != NULL;
    }
    if (says_nothing_is_kept(output)) {
        return TRUE;
    }
    g_autofree char *why = ingot_text_line(problem->message);
    g_set_error_literal(error, problem->domain, problem->code, why);
    return FALSE;
}
