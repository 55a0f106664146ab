#include "server/webhook/hooks.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "server/webhook/hooknotice.h"
#include "server/webhook/hookpost.h"
#include "server/webhook/hooksign.h"

#define PATTERN_MAX 255u /* bytes, as in scopes */

void hook_free(Hook *hook)
{
    if (hook != NULL) {
        g_free(hook->url);
        g_free(hook->pattern);
        g_free(hook->secret);
        g_strfreev(hook->kinds);
        g_free(hook);
    }
}

void hook_try_clear(HookTry *tried)
{
    g_free(tried->kind);
    g_free(tried->name);
    g_free(tried->answer);
    g_free(tried->outcome);
}

/* --- adding and removing --- */

gboolean hook_pattern_check(const char *pattern, GError **error)
{
    gboolean ok = *pattern != '\0' && strlen(pattern) <= PATTERN_MAX;
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a pattern of names has 1 to %u bytes", PATTERN_MAX);
    }
    return ok;
}

static gboolean hook_check(const Hook *hook, GError **error)
{
    if (!hook_pattern_check(hook->pattern, error)) {
        return FALSE;
    }
    for (guint i = 0; hook->kinds != NULL && hook->kinds[i] != NULL; i++) {
        if (!g_strv_contains(hook_kinds(), hook->kinds[i])) {
            g_autofree char *near = ingot_text_suggestion(hook->kinds[i], hook_kinds());
            g_autofree char *all = g_strjoinv(", ", (char **)hook_kinds());
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "there is no kind of event '%s'%s: there are %s",
                        hook->kinds[i], near, all);
            return FALSE;
        }
    }
    return hook_url_check(hook->url, error) && hook_secret_check(hook->secret, error);
}

static gboolean hooks_put(Connection *writer, const Hook *hook, gint64 *id, GError **error)
{
    gint64 count;
    g_autofree char *kinds = hook->kinds == NULL ? g_strdup("") : g_strjoinv(" ", hook->kinds);
    if (!database_number(writer, &count, 0, error, "SELECT count(*) FROM hooks", "")) {
        return FALSE;
    }
    if (count >= HOOKS_MOST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "there are %u webhooks, and no more may be", HOOKS_MOST);
        return FALSE;
    }
    gboolean ok = database_run(writer, error,
                               "INSERT INTO hooks (url, pattern, kinds, secret, private, http, created, place, tries,"
                               " since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
                               "ttttiiii", hook->url, hook->pattern, kinds, hook->secret, (gint64)hook->allow_private,
                               (gint64)hook->allow_http, hook->created, (gint64)hook->place);
    *id = ok ? database_added(writer) : 0;
    return ok;
}

gboolean hooks_add(Database *ledger, const Hook *hook, gint64 *id, GError **error)
{
    Connection *writer = hook_check(hook, error) ? database_begin(ledger, error) : NULL;
    return writer != NULL && database_end(ledger, hooks_put(writer, hook, id, error), error);
}

static gboolean hook_unknown(gint64 id, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "there is no webhook %" G_GINT64_FORMAT, id);
    return FALSE;
}

gboolean hooks_remove(Database *ledger, gint64 id, GError **error)
{
    gint64 changed = 0;
    return database_change(ledger, &changed, error, "DELETE FROM hooks WHERE id=?", "i", id) &&
           (changed > 0 || hook_unknown(id, error));
}

/* --- reading --- */

static Hook *hook_of_row(sqlite3_stmt *row)
{
    Hook *hook = g_new0(Hook, 1);
    g_autofree char *kinds = database_text(row, 3);
    hook->id = sqlite3_column_int64(row, 0);
    hook->url = database_text(row, 1);
    hook->pattern = database_text(row, 2);
    hook->kinds = *kinds == '\0' ? NULL : g_strsplit(kinds, " ", -1);
    hook->secret = database_text(row, 4);
    hook->allow_private = sqlite3_column_int(row, 5) != 0;
    hook->allow_http = sqlite3_column_int(row, 6) != 0;
    hook->created = sqlite3_column_int64(row, 7);
    hook->place = (guint64)sqlite3_column_int64(row, 8);
    hook->tries = (guint)sqlite3_column_int(row, 9);
    hook->since = sqlite3_column_int64(row, 10);
    return hook;
}

GPtrArray *hooks_list(Database *ledger, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Connection) reader = database_reader(ledger, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)hook_free);
    g_autoptr(sqlite3_stmt) rows =
        database_query(reader,
                       "SELECT id, url, pattern, kinds, secret, private, http, created, place, tries, since FROM hooks"
                       " ORDER BY id",
                       "");
    while (database_step(rows, &problem)) {
        g_ptr_array_add(list, hook_of_row(rows));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

Hook *hooks_find(Database *ledger, gint64 id, GError **error)
{
    g_autoptr(GPtrArray) list = hooks_list(ledger, error);
    for (guint i = 0; list != NULL && i < list->len; i++) {
        if (((const Hook *)g_ptr_array_index(list, i))->id == id) {
            return g_ptr_array_steal_index(list, i);
        }
    }
    if (list != NULL) {
        hook_unknown(id, error);
    }
    return NULL;
}

/* --- where each stands --- */

gboolean hooks_pass(Database *ledger, const Hook *hook, GError **error)
{
    return database_change(ledger, NULL, error, "UPDATE hooks SET place=? WHERE id=?", "ii", (gint64)hook->place,
                           hook->id);
}

/* Nothing happens where the webhook was removed. */
static gboolean hooks_put_try(Connection *writer, const HookTry *tried, GError **error)
{
    return database_run(writer, error,
                        "INSERT OR REPLACE INTO deliveries (hook, number, at, kind, name, status, ms, tries, answer,"
                        " outcome) SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM hooks WHERE id=?",
                        "iittiiitti", (gint64)tried->number, tried->at, tried->kind, tried->name, (gint64)tried->status,
                        (gint64)tried->ms, (gint64)tried->tries, tried->answer, tried->outcome, tried->hook) &&
           database_run(writer, error,
                        "DELETE FROM deliveries WHERE hook=?1 AND number NOT IN (SELECT number FROM deliveries WHERE"
                        " hook=?1 ORDER BY at DESC, number DESC LIMIT ?2)",
                        "ii", tried->hook, (gint64)HOOK_TRIES_KEPT);
}

gboolean hooks_keep(Database *ledger, const HookTry *tried, GError **error)
{
    Connection *writer = database_begin(ledger, error);
    return writer != NULL && database_end(ledger, hooks_put_try(writer, tried, error), error);
}

gboolean hooks_note(Database *ledger, const Hook *hook, const HookTry *tried, GError **error)
{
    Connection *writer = database_begin(ledger, error);
    return writer != NULL &&
           database_end(ledger,
                        database_run(writer, error, "UPDATE hooks SET place=?, tries=?, since=? WHERE id=?", "iiii",
                                     (gint64)hook->place, (gint64)hook->tries, hook->since, hook->id) &&
                            hooks_put_try(writer, tried, error),
                        error);
}

GArray *hooks_tries(Database *ledger, gint64 id, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Connection) reader = database_reader(ledger, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(GArray) list = g_array_new(FALSE, TRUE, sizeof(HookTry));
    g_array_set_clear_func(list, (GDestroyNotify)hook_try_clear);
    g_autoptr(sqlite3_stmt) rows =
        database_query(reader,
                       "SELECT hook, number, at, kind, name, status, ms, tries, answer, outcome FROM deliveries WHERE"
                       " ?1=0 OR hook=?1 ORDER BY at DESC, number DESC",
                       "i", id);
    while (database_step(rows, &problem)) {
        const HookTry tried = {.hook = sqlite3_column_int64(rows, 0),
                               .number = (guint64)sqlite3_column_int64(rows, 1),
                               .at = sqlite3_column_int64(rows, 2),
                               .kind = database_text(rows, 3),
                               .name = database_text(rows, 4),
                               .status = (guint)sqlite3_column_int(rows, 5),
                               .ms = (guint)sqlite3_column_int(rows, 6),
                               .tries = (guint)sqlite3_column_int(rows, 7),
                               .answer = database_text(rows, 8),
                               .outcome = database_text(rows, 9)};
        g_array_append_val(list, tried);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}
