#include "server/webhook/hooksecrets.h"

#include <ingot/error.h>
#include <string.h>

#include "base/prompt.h"
#include "server/webhook/hookpost.h"
#include "server/webhook/hooks.h"
#include "server/webhook/hooksign.h"

#define NAME_MAX_BYTES 64u

void hook_secret_free(HookSecret *secret)
{
    if (secret != NULL) {
        g_free(secret->name);
        g_free(secret->url);
        g_free(secret->pattern);
        ingot_secret_free(secret->secret);
        g_free(secret);
    }
}

gboolean hook_secret_name_check(const char *name, GError **error)
{
    gsize size = strlen(name);
    gboolean plain = size > 0 && size <= NAME_MAX_BYTES;
    for (gsize i = 0; plain && i < size; i++) {
        plain = g_ascii_isalnum(name[i]) || strchr("._-", name[i]) != NULL;
    }
    if (!plain) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "a secret's name is 1 to %u letters, digits, dots, dashes and underscores", NAME_MAX_BYTES);
    }
    return plain;
}

gboolean hook_secrets_put(Database *ledger, const HookSecret *secret, GError **error)
{
    return hook_secret_name_check(secret->name, error) && hook_url_check(secret->url, error) &&
           hook_pattern_check(secret->pattern, error) && hook_secret_check(secret->secret, error) &&
           database_change(ledger, NULL, error,
                           "INSERT OR REPLACE INTO secrets (name, secret, url, pattern, private, http)"
                           " VALUES (?, ?, ?, ?, ?, ?)",
                           "ttttii", secret->name, secret->secret, secret->url, secret->pattern,
                           (gint64)secret->allow_private, (gint64)secret->allow_http);
}

static gboolean secret_unknown(const char *name, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                "this server has no secret '%s': `ingotd webhook secret --data DIR --url URL %s` puts it there", name,
                name);
    return FALSE;
}

#define COLUMNS "name, url, pattern, private, http"

static HookSecret *secret_read(sqlite3_stmt *row)
{
    HookSecret *secret = g_new0(HookSecret, 1);
    secret->name = database_text(row, 0);
    secret->url = database_text(row, 1);
    secret->pattern = database_text(row, 2);
    secret->allow_private = sqlite3_column_int(row, 3) != 0;
    secret->allow_http = sqlite3_column_int(row, 4) != 0;
    return secret;
}

HookSecret *hook_secrets_find(Database *ledger, const char *name, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Connection) reader = database_reader(ledger, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(HookSecret) found = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(reader, "SELECT " COLUMNS ", secret FROM secrets WHERE name=?", "t", name);
    if (database_step(rows, &problem)) {
        found = secret_read(rows);
        found->secret = database_text(rows, 5);
    } else if (problem != NULL) {
        g_propagate_error(error, problem);
    } else {
        secret_unknown(name, error);
    }
    return g_steal_pointer(&found);
}

gboolean hook_secrets_remove(Database *ledger, const char *name, GError **error)
{
    gint64 changed = 0;
    return database_change(ledger, &changed, error, "DELETE FROM secrets WHERE name=?", "t", name) &&
           (changed > 0 || secret_unknown(name, error));
}

GPtrArray *hook_secrets_list(Database *ledger, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Connection) reader = database_reader(ledger, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(GPtrArray) secrets = g_ptr_array_new_with_free_func((GDestroyNotify)hook_secret_free);
    g_autoptr(sqlite3_stmt) rows = database_query(reader, "SELECT " COLUMNS " FROM secrets ORDER BY name", "");
    while (database_step(rows, &problem)) {
        g_ptr_array_add(secrets, secret_read(rows));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&secrets);
}

/* A URL that is spelt otherwise is another one: nothing of it needs to be understood. */
gboolean hook_secret_is_for(const HookSecret *secret, const char *url, const char *name)
{
    return strcmp(secret->url, url) == 0 && g_pattern_match_simple(secret->pattern, name);
}
