#include "server/auth/tokens.h"

#include <gnutls/gnutls.h>
#include <ingot/digest.h>
#include <ingot/error.h>
#include <string.h>

#include "server/auth/random.h"
#include "server/auth/scopes.h"
#include "server/auth/users.h"

#define PREFIX "ingot_"
#define ID_DIGITS 12
#define SECRET_DIGITS 64
#define SECRET_AT (sizeof PREFIX - 1 + ID_DIGITS + 1)
#define COLUMNS "id, user, scopes, created, expires"

void token_free(Token *token)
{
    if (token != NULL) {
        g_free(token->id);
        g_free(token->user);
        g_strfreev(token->scopes);
        g_free(token);
    }
}

gboolean token_looks_like(const char *text)
{
    static const char digits[] = "0123456789abcdef";
    return g_str_has_prefix(text, PREFIX) && strlen(text) == SECRET_AT + SECRET_DIGITS &&
           strspn(text + strlen(PREFIX), digits) == ID_DIGITS && text[SECRET_AT - 1] == '_' &&
           strspn(text + SECRET_AT, digits) == SECRET_DIGITS;
}

static char *random_text(GError **error)
{
    guint8 bytes[(ID_DIGITS + SECRET_DIGITS) / 2];
    if (!random_bytes(bytes, sizeof bytes, error)) {
        return NULL;
    }
    GString *text = g_string_new(PREFIX);
    for (guint i = 0; i < sizeof bytes; i++) {
        g_string_append_printf(text, i == ID_DIGITS / 2 ? "_%02x" : "%02x", bytes[i]);
    }
    return g_string_free(text, FALSE);
}

static gboolean check_scopes(const User *user, const char *const *scopes, GError **error)
{
    for (guint i = 0; scopes[i] != NULL; i++) {
        if (!scope_check(scopes[i], error)) {
            return FALSE;
        }
        if (!scopes_cover((const char *const *)user->scopes, scopes[i])) {
            g_autofree char *own = scopes_to_text((const char *const *)user->scopes);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                        "the user '%s' does not have '%s' and cannot give it away; there is: %s", user->name, scopes[i],
                        own);
            return FALSE;
        }
    }
    return TRUE;
}

char *tokens_create(Accounts *accounts, const char *name, const char *const *scopes, gint64 expires, GError **error)
{
    g_autoptr(User) user = users_find(accounts, name, error);
    g_autofree char *text = user == NULL || !check_scopes(user, scopes, error) ? NULL : random_text(error);
    if (text == NULL) {
        return NULL;
    }
    g_autofree char *id = g_strndup(text + strlen(PREFIX), ID_DIGITS);
    g_autofree char *list = scopes_to_text(scopes);
    IngotDigest hash;
    ingot_digest_of(text + SECRET_AT, SECRET_DIGITS, &hash);
    return database_change(accounts_database(accounts), NULL, error,
                           "INSERT INTO tokens (" COLUMNS ", hash) VALUES (?, ?, ?, ?, ?, ?)", "tttiid", id, name, list,
                           g_get_real_time() / G_USEC_PER_SEC, expires, &hash)
               ? g_steal_pointer(&text)
               : NULL;
}

static Token *take(sqlite3_stmt *statement)
{
    Token *token = g_new0(Token, 1);
    g_autofree char *scopes = database_text(statement, 2);
    token->id = database_text(statement, 0);
    token->user = database_text(statement, 1);
    token->scopes = scopes_of_text(scopes);
    token->created = sqlite3_column_int64(statement, 3);
    token->expires = sqlite3_column_int64(statement, 4);
    return token;
}

static gboolean is_right(sqlite3_stmt *row, const char *secret)
{
    IngotDigest given, kept;
    ingot_digest_of(secret, strlen(secret), &given);
    return database_digest(row, 5, &kept) && gnutls_memcmp(kept.bytes, given.bytes, sizeof given.bytes) == 0;
}

/* secret NULL: whatever it is. */
static Token *find(Accounts *accounts, const char *id, const char *secret, GError **error)
{
    g_autoptr(Connection) reader = database_reader(accounts_database(accounts), error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(sqlite3_stmt) row = database_query(reader, "SELECT " COLUMNS ", hash FROM tokens WHERE id = ?", "t", id);
    GError *problem = NULL;
    gboolean right = database_step(row, &problem) && (secret == NULL || is_right(row, secret));
    if (problem != NULL) {
        g_propagate_error(error, problem);
    } else if (!right) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "there is no token '%.20s'", id);
    }
    return right ? take(row) : NULL;
}

Token *tokens_find(Accounts *accounts, const char *text, GError **error)
{
    g_autofree char *id = token_looks_like(text) ? g_strndup(text + strlen(PREFIX), ID_DIGITS) : g_strdup("");
    return find(accounts, id, *id == '\0' ? "" : text + SECRET_AT, error);
}

Token *tokens_find_id(Accounts *accounts, const char *id, GError **error)
{
    return find(accounts, id, NULL, error);
}

gboolean tokens_remove(Accounts *accounts, const char *id, GError **error)
{
    gint64 removed = 0;
    if (!database_change(accounts_database(accounts), &removed, error, "DELETE FROM tokens WHERE id = ?", "t", id)) {
        return FALSE;
    }
    if (removed == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "there is no token '%.20s'", id);
    }
    return removed > 0;
}

GPtrArray *tokens_list(Accounts *accounts, GError **error)
{
    g_autoptr(Connection) reader = database_reader(accounts_database(accounts), error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)token_free);
    g_autoptr(sqlite3_stmt) rows =
        database_query(reader, "SELECT " COLUMNS " FROM tokens ORDER BY user, created, id", "");
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
