#include "server/storage/replay.h"

#include <string.h>

Replay *replay_new(void)
{
    Replay *replay = g_new0(Replay, 1);
    replay->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    replay->gaps = g_ptr_array_new_with_free_func(g_free);
    replay->unknown = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return replay;
}

void replay_free(Replay *replay)
{
    if (replay != NULL) {
        g_hash_table_unref(replay->names);
        g_ptr_array_unref(replay->gaps);
        g_hash_table_unref(replay->unknown);
        g_free(replay);
    }
}

/* --- events --- */

/* What a repository has, as a text: "NAME blob DIGEST", "NAME manifest DIGEST", "NAME tag TAG". */
static char *replay_entry(const char *name, const char *kind, const char *what)
{
    return g_strjoin(" ", name, kind, what, NULL);
}

static void replay_add(Replay *replay, const char *name, const char *kind, const char *what, const char *digest)
{
    if (name != NULL && what != NULL && digest != NULL) {
        g_hash_table_insert(replay->names, replay_entry(name, kind, what), g_strdup(digest));
    }
}

static void replay_drop(Replay *replay, const char *name, const char *kind, const char *what)
{
    if (name != NULL && what != NULL) {
        g_autofree char *entry = replay_entry(name, kind, what);
        g_hash_table_remove(replay->names, entry);
    }
}

gboolean replay_knows(const char *op)
{
    static const char *const known[] = {"link", "manifest", "tag", "untag", "unlink", "rebuilt", NULL};
    return op != NULL && g_strv_contains(known, op);
}

static void replay_unknown(Replay *replay, const char *op)
{
    const char *kind = op == NULL ? "" : op;
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(replay->unknown, kind));
    g_hash_table_insert(replay->unknown, g_strdup(kind), GUINT_TO_POINTER(count + 1));
}

gboolean replay_take(const Event *event, gpointer user, GError **error)
{
    (void)error;
    Replay *replay = user;
    if (event->object == NULL) {
        g_ptr_array_add(replay->gaps, g_strdup(event->trouble));
        return TRUE;
    }
    const char *op = json_string_value(json_object_get(event->object, "op"));
    const char *name = json_string_value(json_object_get(event->object, "name"));
    const char *tag = json_string_value(json_object_get(event->object, "tag"));
    const char *digest = json_string_value(json_object_get(event->object, "digest"));
    if (!replay_knows(op)) {
        replay_unknown(replay, op);
    } else if (strcmp(op, "link") == 0) {
        replay_add(replay, name, "blob", digest, digest);
    } else if (strcmp(op, "manifest") == 0) {
        replay_add(replay, name, "manifest", digest, digest);
    } else if (strcmp(op, "tag") == 0) {
        replay_add(replay, name, "tag", tag, digest);
    } else if (strcmp(op, "untag") == 0) {
        replay_drop(replay, name, "tag", tag);
    } else if (strcmp(op, "unlink") == 0) {
        replay_drop(replay, name, "blob", digest);
        replay_drop(replay, name, "manifest", digest);
    } else {
        json_int_t gaps = json_integer_value(json_object_get(event->object, "gaps"));
        replay->acknowledged = gaps > 0 ? (guint64)gaps : 0;
    }
    return TRUE;
}

/* --- comparing --- */

/* What both have is taken out of the replay; what only the catalogue has is told. */
static gboolean compare_rows(Replay *replay, sqlite3_stmt *rows, ReplayFunc func, gpointer user, GError **error)
{
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        IngotDigest digest;
        if (!database_digest(rows, 3, &digest)) {
            continue;
        }
        g_autofree char *text = ingot_digest_to_text(&digest);
        const char *tag = (const char *)sqlite3_column_text(rows, 2);
        const ReplayDifference found = {.name = (const char *)sqlite3_column_text(rows, 0),
                                        .kind = (const char *)sqlite3_column_text(rows, 1),
                                        .what = tag == NULL ? text : tag,
                                        .digest = text,
                                        .catalogue = TRUE};
        g_autofree char *entry = replay_entry(found.name, found.kind, found.what);
        if (g_strcmp0(g_hash_table_lookup(replay->names, entry), text) == 0) {
            g_hash_table_remove(replay->names, entry);
        } else {
            func(&found, user);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

static void compare_rest(Replay *replay, ReplayFunc func, gpointer user)
{
    g_autoptr(GList) entries = g_list_sort(g_hash_table_get_keys(replay->names), (GCompareFunc)strcmp);
    for (const GList *one = entries; one != NULL; one = one->next) {
        g_auto(GStrv) words = g_strsplit(one->data, " ", 3);
        const ReplayDifference left = {.name = words[0],
                                       .kind = words[1],
                                       .what = words[2],
                                       .digest = g_hash_table_lookup(replay->names, one->data)};
        func(&left, user);
    }
}

gboolean replay_compare(Replay *replay, Connection *connection, ReplayFunc func, gpointer user, GError **error)
{
    static const char *const lists[] = {
        "SELECT repositories.name, 'blob', NULL, digest FROM links JOIN repositories ON repositories.id=repository JOIN"
        " blobs ON blobs.id=blob",
        "SELECT repositories.name, 'manifest', NULL, digest FROM manifests JOIN repositories ON"
        " repositories.id=repository JOIN blobs ON blobs.id=blob",
        "SELECT repositories.name, 'tag', tags.name, digest FROM tags JOIN repositories ON repositories.id=repository"
        " JOIN blobs ON blobs.id=blob",
    };
    for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
        g_autoptr(sqlite3_stmt) rows = database_query(connection, lists[i], "");
        if (!compare_rows(replay, rows, func, user, error)) {
            return FALSE;
        }
    }
    compare_rest(replay, func, user);
    return TRUE;
}
