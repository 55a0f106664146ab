#include "server/storage/moves.h"

#include "server/catalogue/recordrows.h"
#include "server/catalogue/tags.h"
#include "server/storage/inside.h"

static void storage_move_clear(gpointer data)
{
    StorageMove *move = data;
    g_free(move->tag);
    g_free(move->by);
    g_free(move->reason);
    g_free(move->how);
    g_free(move->request);
    json_decref(move->gates);
}

typedef struct {
    GArray *moves;
    guint most;
} MoveSearch;

#define KEYS_END ":" /* behind every key: what follows the digits */

/* Free it. */
static char *move_key(guint64 number)
{
    return g_strdup_printf("%020" G_GUINT64_FORMAT, number);
}

static guint64 move_number(const RecordRow *row)
{
    return g_ascii_strtoull(row->key, NULL, 10);
}

static gboolean move_collect(const RecordRow *row, gpointer user)
{
    const MoveSearch *search = user;
    const json_t *body = row->body;
    const char *tag = json_string_value(json_object_get(body, "tag"));
    const char *digest = json_string_value(json_object_get(body, "digest"));
    StorageMove move = {.number = move_number(row), .at = row->at};
    move.gone = digest == NULL || !ingot_digest_parse(digest, &move.digest, NULL);
    if (tag == NULL) {
        return TRUE;
    }
    move.tag = g_strdup(tag);
    move.by = g_strdup(row->by);
    move.reason = g_strdup(row->reason);
    move.how = g_strdup(json_string_value(json_object_get(body, "how")));
    move.forced = json_is_true(json_object_get(body, "forced"));
    move.gates = json_incref(json_object_get(body, "gates"));
    move.request = g_strdup(json_string_value(json_object_get(body, "request")));
    g_array_append_val(search->moves, move);
    return search->moves->len < search->most;
}

static GArray *moves_find(Connection *connection, const char *name, const char *tag, guint64 before, guint most,
                          GError **error)
{
    g_autoptr(GArray) moves = g_array_new(FALSE, TRUE, sizeof(StorageMove));
    MoveSearch search = {.moves = moves, .most = most};
    g_autofree char *below = before == 0 ? g_strdup(KEYS_END) : move_key(before);
    g_array_set_clear_func(moves, storage_move_clear);
    return most == 0 || record_rows_each_move(connection, name, tag, below, move_collect, &search, error)
               ? g_steal_pointer(&moves)
               : NULL;
}

GArray *storage_moves(Storage *storage, const char *name, const char *tag, guint64 before, guint most, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader == NULL ? NULL : moves_find(reader, name, tag, before, most, error);
}

GArray *storage_last_move(Storage *storage, const char *name, const char *tag, IngotDigest *digest, GError **error)
{
    Tag row;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !database_hold(reader, error) || !tags_find(reader, name, tag, &row, error)) {
        return NULL;
    }
    if (!row.found) {
        blob_unknown(error, "the tag");
        return NULL;
    }
    *digest = row.digest;
    g_autoptr(GArray) moves = moves_find(reader, name, tag, 0, 1, error);
    const StorageMove *last = moves == NULL || moves->len == 0 ? NULL : &g_array_index(moves, StorageMove, 0);
    if (last != NULL && (last->gone || !ingot_digest_equal(&last->digest, digest))) {
        g_array_set_size(moves, 0);
    }
    return g_steal_pointer(&moves);
}

/* Ends the walk at the highest. */
static gboolean move_highest(const RecordRow *row, gpointer user)
{
    guint64 *highest = user;
    *highest = move_number(row);
    return FALSE;
}

/* The key of the name's next move; free it. NULL: an error. */
static char *moves_next(Connection *connection, const char *name, GError **error)
{
    guint64 highest = 0;
    return record_rows_each(connection, RECORD_MOVE, name, NULL, move_highest, &highest, error) ? move_key(highest + 1)
                                                                                                : NULL;
}

/* What they said, without what would have satisfied them; NULL: nothing. */
static json_t *move_gates(const json_t *gates)
{
    json_t *said = json_array_size(gates) == 0 ? NULL : json_array();
    for (size_t i = 0; said != NULL && i < json_array_size(gates); i++) {
        json_t *one = json_copy(json_array_get(gates, i));
        json_object_del(one, "mend");
        json_array_append_new(said, one);
    }
    return said;
}

static const char *move_how(const StorageActor *actor, const IngotDigest *digest, gboolean cached)
{
    if (actor != NULL && actor->how != NULL) {
        return actor->how;
    }
    return digest == NULL ? "remove" : cached ? "upstream" : "push";
}

gboolean moves_note(Change *change, const char *name, const char *tag, const IngotDigest *digest, gboolean cached,
                    GError **error)
{
    const StorageActor *actor = change->actor;
    g_autofree char *key = moves_next(change->writer, name, error);
    if (key == NULL) {
        return FALSE;
    }
    g_autofree char *text = digest == NULL ? NULL : ingot_digest_to_text(digest);
    g_autoptr(json_t) body = ingot_json_pack("{s:s, s:s, s:b}", "tag", tag, "how", move_how(actor, digest, cached),
                                             "forced", (int)(actor != NULL && actor->forced));
    ingot_json_set_string(body, "digest", text);
    ingot_json_set_string(body, "origin", cached ? "upstream" : NULL);
    ingot_json_set_string(body, "request", actor == NULL ? NULL : actor->request);
    json_t *gates = actor == NULL ? NULL : move_gates(actor->gates);
    if (gates != NULL) {
        json_object_set_new(body, "gates", gates);
    }
    return record_add(change, RECORD_MOVE, name, key, body, error);
}

typedef struct {
    const json_t *body;
    gint64 at;
    gboolean same, other;
} MoveTwin;

static gboolean move_is_same(const RecordRow *row, gpointer user)
{
    MoveTwin *twin = user;
    twin->same = row->at == twin->at && json_equal((json_t *)row->body, (json_t *)twin->body);
    twin->other = !twin->same;
    return FALSE;
}

gboolean moves_redo(Change *change, const char *name, const char *key, const json_t *body, GError **error)
{
    MoveTwin twin = {.body = body, .at = change_time(change)};
    if (!record_rows_each(change->writer, RECORD_MOVE, name, key, move_is_same, &twin, error)) {
        return FALSE;
    }
    g_autofree char *next = twin.other ? moves_next(change->writer, name, error) : g_strdup(key);
    return next != NULL && (twin.same || record_add(change, RECORD_MOVE, name, next, body, error));
}
