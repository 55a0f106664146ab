#include "server/auth/users.h"

#include <ingot/error.h>
#include <string.h>

#include "server/auth/random.h"
#include "server/auth/recall.h"
#include "server/auth/scopes.h"

#define COLUMNS "name, password, scopes, serial, created"

void user_free(User *user)
{
    if (user != NULL) {
        g_free(user->name);
        g_free(user->password);
        g_strfreev(user->scopes);
        g_free(user);
    }
}

gboolean user_name_check(const char *name, GError **error)
{
    if (g_regex_match_simple("^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,63}$", name, G_REGEX_DOLLAR_ENDONLY | G_REGEX_RAW, 0)) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "'%.100s' is no user's name: a letter or digit, then at most 63 of letters, digits, '.', '_', '-', '@'",
                name);
    return FALSE;
}

static gboolean unknown(const char *name, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "there is no user '%.100s'", name);
    return FALSE;
}

/* 53 bits: a number that JSON's readers keep. */
static gboolean fresh_serial(gint64 *serial, GError **error)
{
    guint64 random;
    gboolean ok = random_bytes((guint8 *)&random, sizeof random, error);
    *serial = ok ? (gint64)(random >> 11) : 0;
    return ok;
}

/* What events call the server itself by: a rebuild goes by that. */
static gboolean is_free(const char *name, GError **error)
{
    static const char *const own[] = {"gc", "mirror", "rebuild", NULL};
    if (g_strv_contains(own, name)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "'%s' is what ingotd calls itself in its log of events: a user needs another name", name);
        return FALSE;
    }
    return TRUE;
}

gboolean users_add(Accounts *accounts, const char *name, const char *password, const char *const *scopes,
                   GError **error)
{
    for (guint i = 0; scopes[i] != NULL; i++) {
        if (!scope_check(scopes[i], error)) {
            return FALSE;
        }
    }
    g_autofree char *text = scopes_to_text(scopes);
    gint64 serial;
    gint64 added = 0;
    if (!user_name_check(name, error) || !is_free(name, error) || !fresh_serial(&serial, error) ||
        !database_change(accounts_database(accounts), &added, error,
                         "INSERT INTO users (" COLUMNS ") VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", "tttii", name,
                         password, text, serial, g_get_real_time() / G_USEC_PER_SEC)) {
        return FALSE;
    }
    if (added == 0) {
        g_set_error(
            error, INGOT_ERROR, INGOT_ERROR_EXISTS,
            "there is a user '%s' already: `ingotd user passwd` gives another password, `ingotd user rm` removes "
            "the user",
            name);
    }
    return added > 0;
}

gboolean users_set_password(Accounts *accounts, const char *name, const char *password, GError **error)
{
    gint64 serial;
    gint64 changed = 0;
    return fresh_serial(&serial, error) &&
           database_change(accounts_database(accounts), &changed, error,
                           "UPDATE users SET password = ?, serial = ? WHERE name = ?", "tit", password, serial, name) &&
           (changed > 0 || unknown(name, error));
}

gboolean users_remove(Accounts *accounts, const char *name, gboolean last_too, GError **error)
{
    gint64 removed = 0;
    g_autoptr(User) user = users_find(accounts, name, error);
    if (user == NULL ||
        !database_change(accounts_database(accounts), &removed, error,
                         "DELETE FROM users WHERE name = ? AND (? <> 0 OR (SELECT count(*) FROM users) > 1)", "ti",
                         name, (gint64)last_too)) {
        return FALSE;
    }
    if (removed == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "'%s' is the last user, and without users everybody who reaches the registry may do everything: "
                    "--last removes it all the same",
                    name);
    }
    return removed > 0;
}

static User *take(sqlite3_stmt *statement)
{
    User *user = g_new0(User, 1);
    g_autofree char *scopes = database_text(statement, 2);
    user->name = database_text(statement, 0);
    user->password = database_text(statement, 1);
    user->scopes = scopes_of_text(scopes);
    user->serial = sqlite3_column_int64(statement, 3);
    user->created = sqlite3_column_int64(statement, 4);
    return user;
}

static gpointer copy_user(gconstpointer row)
{
    const User *user = row;
    User *copy = g_new(User, 1);
    *copy = (User){.name = g_strdup(user->name),
                   .password = g_strdup(user->password),
                   .scopes = g_strdupv(user->scopes),
                   .serial = user->serial,
                   .created = user->created};
    return copy;
}

static void free_user(gpointer user)
{
    user_free(user);
}

static char *key_of(const char *name)
{
    return g_strconcat("user ", name, NULL);
}

gboolean users_recall(Accounts *accounts, const char *name, User **user)
{
    *user = NULL;
    if (!user_name_check(name, NULL)) {
        return TRUE;
    }
    g_autofree char *key = key_of(name);
    gpointer row = NULL;
    gboolean known = recall_row(accounts, key, copy_user, &row);
    *user = row;
    return known;
}

User *users_find(Accounts *accounts, const char *name, GError **error)
{
    if (!user_name_check(name, NULL)) { /* nothing of it is worth keeping */
        unknown(name, error);
        return NULL;
    }
    AccountsLook look;
    accounts_look(accounts, &look);
    g_autoptr(Connection) reader = database_reader(accounts_database(accounts), error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(sqlite3_stmt) row = database_query(reader, "SELECT " COLUMNS " FROM users WHERE name = ?", "t", name);
    GError *problem = NULL;
    User *user = database_step(row, &problem) ? take(row) : NULL;
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return user;
    }
    g_autofree char *key = key_of(name);
    recall_keep_row(accounts, &look, key, user == NULL ? NULL : copy_user(user), free_user);
    if (user == NULL) {
        unknown(name, error);
    }
    return user;
}

GPtrArray *users_list(Accounts *accounts, GError **error)
{
    g_autoptr(Connection) reader = database_reader(accounts_database(accounts), error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)user_free);
    g_autoptr(sqlite3_stmt) rows = database_query(reader, "SELECT " COLUMNS " FROM users ORDER BY name", "");
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        g_ptr_array_add(list, take(rows));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

static gboolean ask_any(Accounts *accounts, gboolean *any, GError **error)
{
    g_autoptr(Connection) reader = database_reader(accounts_database(accounts), error);
    gint64 one = 0;
    gboolean ok = reader != NULL && database_number(reader, &one, 0, error, "SELECT 1 FROM users LIMIT 1", "");
    *any = one > 0;
    return ok;
}

gboolean users_any(Accounts *accounts, gboolean *any, GError **error)
{
    AccountsLook look;
    accounts_look(accounts, &look);
    if (!ask_any(accounts, any, error)) {
        return FALSE;
    }
    recall_keep_any(accounts, &look, *any);
    return TRUE;
}
