#include "server/auth/tokens.h"

#include <gnutls/gnutls.h>
#include <ingot/digest.h>
#include <ingot/error.h>
#include <string.h>

#include "server/auth/random.h"
#include "server/auth/recall.h"
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

/* A row: the token, and what its secret has to be. */
typedef struct {
    Token token;
    IngotDigest hash;
} Row;

static void row_free(gpointer data)
{
    Row *row = data;
    if (row != NULL) {
        g_free(row->token.id);
        g_free(row->token.user);
        g_strfreev(row->token.scopes);
        g_free(row);
    }
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Row, row_free)

static Token *token_copy(const Token *token)
{
    Token *copy = g_new(Token, 1);
    *copy = (Token){.id = g_strdup(token->id),
                    .user = g_strdup(token->user),
                    .scopes = g_strdupv(token->scopes),
                    .created = token->created,
                    .expires = token->expires};
    return copy;
}

static gpointer row_copy(gconstpointer data)
{
    const Row *row = data;
    Row *copy = g_new0(Row, 1);
    g_autofree Token *token = token_copy(&row->token);
    copy->token = *token;
    copy->hash = row->hash;
    return copy;
}

static void take(sqlite3_stmt *statement, Token *token)
{
    g_autofree char *scopes = database_text(statement, 2);
    token->id = database_text(statement, 0);
    token->user = database_text(statement, 1);
    token->scopes = scopes_of_text(scopes);
    token->created = sqlite3_column_int64(statement, 3);
    token->expires = sqlite3_column_int64(statement, 4);
}

static char *key_of(const char *id)
{
    return g_strconcat("token ", id, NULL);
}

/* secret NULL: whatever it is. */
static Token *take_right(const Row *row, const char *secret)
{
    IngotDigest given;
    if (row != NULL && secret != NULL) {
        ingot_digest_of(secret, strlen(secret), &given);
    }
    return row != NULL && (secret == NULL || gnutls_memcmp(row->hash.bytes, given.bytes, sizeof given.bytes) == 0)
               ? token_copy(&row->token)
               : NULL;
}

/* NULL without an error: there is none of that id. */
static Row *read_row(Accounts *accounts, const char *id, GError **error)
{
    AccountsLook look;
    accounts_look(accounts, &look);
    g_autoptr(Connection) reader = database_reader(accounts_database(accounts), error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(sqlite3_stmt) found =
        database_query(reader, "SELECT " COLUMNS ", hash FROM tokens WHERE id = ?", "t", id);
    g_autoptr(Row) row = NULL;
    GError *problem = NULL;
    if (database_step(found, &problem)) {
        row = g_new0(Row, 1);
        take(found, &row->token);
        if (!database_digest(found, 5, &row->hash)) {
            g_clear_pointer(&row, row_free); /* damaged: nobody knows its secret */
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    g_autofree char *key = key_of(id);
    recall_keep_row(accounts, &look, key, row == NULL ? NULL : row_copy(row), row_free);
    return g_steal_pointer(&row);
}

static Token *find(Accounts *accounts, const char *id, const char *secret, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Row) row = read_row(accounts, id, &problem);
    Token *token = take_right(row, secret);
    if (problem != NULL) {
        g_propagate_error(error, problem);
    } else if (token == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "there is no token '%.20s'", id);
    }
    return token;
}

static char *id_of(const char *text)
{
    return token_looks_like(text) ? g_strndup(text + strlen(PREFIX), ID_DIGITS) : g_strdup("");
}

Token *tokens_find(Accounts *accounts, const char *text, GError **error)
{
    g_autofree char *id = id_of(text);
    return find(accounts, id, *id == '\0' ? "" : text + SECRET_AT, error);
}

Token *tokens_find_id(Accounts *accounts, const char *id, GError **error)
{
    return find(accounts, id, NULL, error);
}

static gboolean recall(Accounts *accounts, const char *id, const char *secret, Token **token)
{
    g_autofree char *key = key_of(id);
    gpointer found = NULL;
    gboolean known = recall_row(accounts, key, row_copy, &found);
    g_autoptr(Row) row = found;
    *token = take_right(row, secret);
    return known;
}

gboolean tokens_recall(Accounts *accounts, const char *text, Token **token)
{
    g_autofree char *id = id_of(text);
    return recall(accounts, id, *id == '\0' ? "" : text + SECRET_AT, token);
}

gboolean tokens_recall_id(Accounts *accounts, const char *id, Token **token)
{
    return recall(accounts, id, NULL, token);
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
        Token *token = g_new0(Token, 1);
        take(rows, token);
        g_ptr_array_add(list, token);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}
