/* ingotd token: what machines log in with. */
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "server/auth/scopes.h"
#include "server/auth/tokens.h"
#include "server/cli/verbs.h"

#define YEARS_MAX 100

typedef struct {
    char *data, *user, *expires, **scopes;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->data);
    g_free(arguments->user);
    g_free(arguments->expires);
    g_strfreev(arguments->scopes);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

static gboolean create(Accounts *accounts, const char *id, const Arguments *arguments, GError **error)
{
    (void)id;
    guint64 seconds;
    if (!ingot_text_parse_duration(arguments->expires == NULL ? "90d" : arguments->expires, &seconds, error)) {
        return FALSE;
    }
    if (arguments->user == NULL || arguments->scopes == NULL || seconds > YEARS_MAX * 365ull * 86400) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s; see ingotd token --help",
                    arguments->user == NULL     ? "--user NAME is missing"
                    : arguments->scopes == NULL ? "--scope RIGHT:PATTERN is missing"
                                                : "--expires: a hundred years at most");
        return FALSE;
    }
    gint64 expires = g_get_real_time() / G_USEC_PER_SEC + (gint64)seconds;
    g_autofree char *token =
        tokens_create(accounts, arguments->user, (const char *const *)arguments->scopes, expires, error);
    if (token == NULL) {
        return FALSE;
    }
    g_autofree char *until = ingot_text_time(expires);
    fprintf(stderr, "ingotd: a token of %s until %s; it is shown this once:\n", arguments->user, until);
    printf("%s\n", token);
    return TRUE;
}

static gboolean drop(Accounts *accounts, const char *id, const Arguments *arguments, GError **error)
{
    (void)arguments;
    return tokens_remove(accounts, id, error);
}

static gboolean rotate(Accounts *accounts, const char *id, const Arguments *arguments, GError **error)
{
    (void)id;
    guint64 seconds;
    if (!ingot_text_parse_duration(arguments->expires == NULL ? "1d" : arguments->expires, &seconds, error)) {
        return FALSE;
    }
    gint64 until = g_get_real_time() / G_USEC_PER_SEC + (gint64)MIN(seconds, YEARS_MAX * 365ull * 86400);
    guint count;
    if (!accounts_rotate(accounts, until, error) || !accounts_former_keys(accounts, &count, &until, error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_text_time(until);
    fprintf(stderr, "ingotd: a new key signs from now on; ");
    fprintf(stderr, count == 0 ? "no former key is accepted\n" : "former keys that are accepted: %u, until %s\n", count,
            text);
    return TRUE;
}

static gboolean list(Accounts *accounts, const char *id, const Arguments *arguments, GError **error)
{
    (void)id, (void)arguments;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    g_autoptr(GPtrArray) all = tokens_list(accounts, error);
    for (guint i = 0; all != NULL && i < all->len; i++) {
        const Token *token = g_ptr_array_index(all, i);
        g_autofree char *until = ingot_text_time(token->expires);
        g_autofree char *scopes = scopes_to_text((const char *const *)token->scopes);
        printf("%s  %-20s %s%s  %s\n", token->id, token->user, until, token->expires <= now ? " (expired)" : "",
               scopes);
    }
    return all != NULL;
}

static gboolean run(int argc, char **argv, GError **error)
{
    static const struct {
        const char *name;
        int arguments;
        gboolean (*run)(Accounts *accounts, const char *id, const Arguments *arguments, GError **error);
    } actions[] = {{"create", 0, create}, {"rm", 1, drop}, {"ls", 0, list}, {"rotate", 0, rotate}};
    g_auto(Arguments) arguments = {0};
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &arguments.data, "The registry's data folder", "DIR"},
        {"user", 0, 0, G_OPTION_ARG_STRING, &arguments.user, "create: in whose place it logs in", "NAME"},
        {"scope", 0, 0, G_OPTION_ARG_STRING_ARRAY, &arguments.scopes,
         "create: what it may do, of what its user may; more than one may be given", "RIGHT:PATTERN"},
        {"expires", 0, 0, G_OPTION_ARG_STRING, &arguments.expires,
         "create: for how long (90d); rotate: how long former keys are accepted (1d)", "TIME"},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_token, entries, 1, 2, &argc, &argv, error) || !verb_needs_data(arguments.data, error)) {
        return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(actions); i++) {
        if (strcmp(actions[i].name, argv[1]) == 0 && actions[i].arguments == argc - 2) {
            if (!verb_finds_data(arguments.data, error)) {
                return FALSE;
            }
            g_autoptr(Accounts) accounts = accounts_open(arguments.data, error);
            return accounts != NULL && actions[i].run(accounts, argc > 2 ? argv[2] : NULL, &arguments, error);
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "create, rm ID, ls or rotate is expected; see ingotd token --help");
    return FALSE;
}

const Verb verb_token = {
    "token", "create|rm|ls|rotate --data DIR [ID]", "what machines log in with, in a user's place",
    "The token is the last line on standard output, and shown this once: the registry keeps only its hash. It is a\n"
    "password for its user, a bearer token, and INGOT_TOKEN=HOST=TOKEN for ingot. Removing its user removes it.\n\n"
    "rotate makes a new key, which signs access tokens, passes and addresses of uploads from now on, while\n"
    "serving or not. What former keys signed is accepted for as long as --expires says, and no longer: at\n"
    "least the server's --token-life, so that nobody notices; 0s where a key has leaked.\n\n"
    "Examples:\n  ingotd token create --data /srv/ingot --user alice --scope 'push:team/*' --expires 30d\n"
    "  ingotd token rm --data /srv/ingot 0123456789ab\n",
    run};
