/* ingotd user: who may log in. */
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/prompt.h"
#include "base/text.h"
#include "server/auth/password.h"
#include "server/auth/scopes.h"
#include "server/auth/users.h"
#include "server/cli/verbs.h"

typedef struct {
    char *data, **scopes;
    gboolean last;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->data);
    g_strfreev(arguments->scopes);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

/* Its hash; twice the same, so that a slip of the finger locks nobody out. */
static char *ask_password(const char *name, GError **error)
{
    g_autofree char *prompt = g_strdup_printf("Password of %s: ", name);
    g_autoptr(IngotSecret) first = ingot_prompt_secret(prompt, error);
    if (first == NULL || !password_check(first, error)) {
        return NULL;
    }
    g_autoptr(IngotSecret) second = ingot_prompt_secret("The same once more: ", error);
    if (second != NULL && strcmp(first, second) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the two passwords differ; nothing was changed");
        return NULL;
    }
    return second == NULL ? NULL : password_hash(first, error);
}

static gboolean add(Accounts *accounts, const char *name, const Arguments *arguments, GError **error)
{
    static const char *const standard[] = {"push:*", "promote:*", NULL};
    const char *const *scopes = arguments->scopes == NULL ? standard : (const char *const *)arguments->scopes;
    for (guint i = 0; scopes[i] != NULL; i++) {
        if (!scope_check(scopes[i], error)) {
            return FALSE;
        }
    }
    if (!user_name_check(name, error)) {
        return FALSE;
    }
    /* A name that is taken is refused before a password is asked for. */
    g_autoptr(User) former = users_find(accounts, name, NULL);
    g_autofree char *password = former == NULL ? ask_password(name, error) : g_strdup(former->password);
    return password != NULL && users_add(accounts, name, password, scopes, error);
}

static gboolean change_password(Accounts *accounts, const char *name, const Arguments *arguments, GError **error)
{
    (void)arguments;
    g_autoptr(User) user = users_find(accounts, name, error);
    g_autofree char *password = user == NULL ? NULL : ask_password(name, error);
    return password != NULL && users_set_password(accounts, name, password, error);
}

static gboolean drop(Accounts *accounts, const char *name, const Arguments *arguments, GError **error)
{
    return users_remove(accounts, name, arguments->last, error);
}

static gboolean list(Accounts *accounts, const char *name, const Arguments *arguments, GError **error)
{
    (void)name, (void)arguments;
    g_autoptr(GPtrArray) all = users_list(accounts, error);
    for (guint i = 0; all != NULL && i < all->len; i++) {
        const User *user = g_ptr_array_index(all, i);
        g_autofree char *created = ingot_text_time(user->created);
        g_autofree char *scopes = scopes_to_text((const char *const *)user->scopes);
        printf("%-20s %s  %s\n", user->name, created, scopes);
    }
    return all != NULL;
}

/* The first user of a folder may come before all else that is kept there: where that is, is said. */
static Accounts *accounts_open_here(const char *data, GError **error)
{
    g_autofree char *path = g_build_filename(data, "users.sqlite", NULL);
    gboolean there = g_file_test(path, G_FILE_TEST_EXISTS);
    Accounts *accounts = accounts_open(data, error);
    if (accounts != NULL && !there) {
        fprintf(stderr, "ingotd: users are kept in %s from now on\n", path);
    }
    return accounts;
}

static gboolean run(int argc, char **argv, GError **error)
{
    static const struct {
        const char *name;
        int arguments;
        gboolean (*run)(Accounts *accounts, const char *name, const Arguments *arguments, GError **error);
    } actions[] = {{"add", 1, add}, {"passwd", 1, change_password}, {"rm", 1, drop}, {"ls", 0, list}};
    g_auto(Arguments) arguments = {0};
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &arguments.data, "The registry's data folder", "DIR"},
        {"scope", 0, 0, G_OPTION_ARG_STRING_ARRAY, &arguments.scopes,
         "add: what the user may do; more than one may be given (push:* and promote:*)", "RIGHT:PATTERN"},
        {"last", 0, 0, G_OPTION_ARG_NONE, &arguments.last, "rm: even the last one", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_user, entries, 1, 2, &argc, &argv, error) || !verb_needs_data(arguments.data, error)) {
        return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(actions); i++) {
        if (strcmp(actions[i].name, argv[1]) == 0 && actions[i].arguments == argc - 2) {
            if (actions[i].run != add && !verb_finds_data(arguments.data, error)) {
                return FALSE;
            }
            g_autoptr(Accounts) accounts = accounts_open_here(arguments.data, error);
            return accounts != NULL && actions[i].run(accounts, argc > 2 ? argv[2] : NULL, &arguments, error);
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "add NAME, passwd NAME, rm NAME or ls is expected; see ingotd user --help");
    return FALSE;
}

const Verb verb_user = {
    "user", "add|passwd|rm|ls --data DIR [NAME]", "who may log in",
    "The password is asked for twice, or is two equal lines of standard input where that is no terminal. What is "
    "changed\n"
    "counts from the next request on, while the server runs too. RIGHT is pull, push, promote, delete (these three "
    "imply\n"
    "pull) or admin (all); PATTERN is a repository's name in which * stands for any run of characters.\n\n"
    "Examples:\n  ingotd user add --data /srv/ingot --scope 'push:team/*' --scope 'pull:*' alice\n"
    "  ingotd user ls --data /srv/ingot\n",
    run};
