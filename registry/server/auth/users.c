#include "server/auth/users.h"

#include <ingot/error.h>

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
    if (g_regex_match_simple("^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,63}$", name, G_REGEX_DOLLAR_ENDONLY, 0)) {
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
    gboolean ok = accounts_random((guint8 *)&random, sizeof random, error);
    *serial = ok ? (gint64)(random >> 11) : 0;
    return ok;
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
    int added = 0;
    if (!user_name_check(name, error) || !fresh_serial(&serial, error) ||
        !accounts_change(accounts, &added, error,
                         "INSERT INTO users (" COLUMNS ") VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", "sssii", name,
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
    int changed = 0;
    return fresh_serial(&serial, error) &&
           accounts_change(accounts, &changed, error, "UPDATE users SET password = ?, serial = ? WHERE name = ?", "sis",
                           password, serial, name) &&
           (changed > 0 || unknown(name, error));
}

gboolean users_remove(Accounts *accounts, const char *name, gboolean last_too, GError **error)
{
    int removed = 0;
    g_autoptr(User) user = users_find(accounts, name, error);
    if (user == NULL || !accounts_change(accounts, &removed, error,
                                         "DELETE FROM users WHERE name = ? AND (? OR (SELECT count(*) FROM users) > 1)",
                                         "si", name, (gint64)last_too)) {
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
    g_autofree char *scopes = accounts_text(statement, 2);
    user->name = accounts_text(statement, 0);
    user->password = accounts_text(statement, 1);
    user->scopes = scopes_of_text(scopes);
    user->serial = sqlite3_column_int64(statement, 3);
    user->created = sqlite3_column_int64(statement, 4);
    return user;
}

User *users_find(Accounts *accounts, const char *name, GError **error)
{
    sqlite3_stmt *statement =
        accounts_begin(accounts, error, "SELECT " COLUMNS " FROM users WHERE name = ?", "s", name);
    int code = statement == NULL ? 0 : accounts_step(accounts, statement, error);
    User *user = code == SQLITE_ROW ? take(statement) : NULL;
    accounts_end(accounts, statement);
    if (code == SQLITE_DONE) {
        unknown(name, error);
    }
    return user;
}

GPtrArray *users_list(Accounts *accounts, GError **error)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)user_free);
    sqlite3_stmt *statement = accounts_begin(accounts, error, "SELECT " COLUMNS " FROM users ORDER BY name", "");
    int code = statement == NULL ? 0 : SQLITE_ROW;
    while (code == SQLITE_ROW && (code = accounts_step(accounts, statement, error)) == SQLITE_ROW) {
        g_ptr_array_add(list, take(statement));
    }
    accounts_end(accounts, statement);
    if (code != SQLITE_DONE) {
        g_clear_pointer(&list, g_ptr_array_unref);
    }
    return list;
}

gboolean users_any(Accounts *accounts, gboolean *any, GError **error)
{
    sqlite3_stmt *statement = accounts_begin(accounts, error, "SELECT 1 FROM users LIMIT 1", "");
    int code = statement == NULL ? 0 : accounts_step(accounts, statement, error);
    accounts_end(accounts, statement);
    *any = code == SQLITE_ROW;
    return code != 0;
}
