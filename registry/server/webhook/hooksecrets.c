#include "server/webhook/hooksecrets.h"

#include <ingot/error.h>
#include <string.h>

#include "base/prompt.h"
#include "server/webhook/hooksign.h"

#define NAME_MAX_BYTES 64u

void hook_secret_free(HookSecret *secret)
{
    if (secret != NULL) {
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

gboolean hook_secrets_put(Database *ledger, const char *name, const HookSecret *secret, GError **error)
{
    return hook_secret_name_check(name, error) && hook_secret_check(secret->secret, error) &&
           database_change(ledger, NULL, error,
                           "INSERT OR REPLACE INTO secrets (name, secret, private, http) VALUES (?, ?, ?, ?)", "ttii",
                           name, secret->secret, (gint64)secret->allow_private, (gint64)secret->allow_http);
}

static gboolean secret_unknown(const char *name, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                "this server has no secret '%s': `ingotd webhook secret --data DIR %s` puts it there", name, name);
    return FALSE;
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
        database_query(reader, "SELECT secret, private, http FROM secrets WHERE name=?", "t", name);
    if (database_step(rows, &problem)) {
        found = g_new0(HookSecret, 1);
        found->secret = database_text(rows, 0);
        found->allow_private = sqlite3_column_int(rows, 1) != 0;
        found->allow_http = sqlite3_column_int(rows, 2) != 0;
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

char **hook_secrets_names(Database *ledger, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Connection) reader = database_reader(ledger, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    g_autoptr(sqlite3_stmt) rows = database_query(reader, "SELECT name FROM secrets ORDER BY name", "");
    while (database_step(rows, &problem)) {
        g_autofree char *name = database_text(rows, 0);
        g_strv_builder_add(names, name);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_strv_builder_end(names);
}
