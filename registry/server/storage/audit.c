#include "server/storage/audit.h"

#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

static void differs(Scrub *scrub, const char *what)
{
    scrub->report->inconsistencies++;
    scrub_tell(scrub, "inconsistent: %s", what);
}

/* --- blobs that have a piece --- */

/* Where the piece stands in the row's blob; FALSE: not in it. */
static gboolean find_in(Connection *reader, sqlite3_stmt *row, gint64 piece, guint64 *offset)
{
    const guint32 *pieces = sqlite3_column_blob(row, 3);
    guint count = (guint)sqlite3_column_bytes(row, 3) / (guint)sizeof *pieces, at = 0;
    while (at < count && GUINT32_FROM_LE(pieces[at]) != piece) {
        at++;
    }
    *offset = 0;
    for (guint i = 0; i < at && at < count; i++) {
        gint64 length;
        if (!database_number(reader, &length, 0, NULL, "SELECT length FROM pieces WHERE id=?", "i",
                             (gint64)GUINT32_FROM_LE(pieces[i]))) {
            return FALSE;
        }
        *offset += (guint64)length;
    }
    return at < count;
}

GArray *audit_holders(Connection *reader, gint64 piece)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(Holder));
    g_autoptr(sqlite3_stmt) rows = database_query(reader, "SELECT id, digest, size, pieces FROM blobs", "");
    while (database_step(rows, NULL)) {
        Holder holder = {.blob = sqlite3_column_int64(rows, 0), .size = (guint64)sqlite3_column_int64(rows, 2)};
        if (database_digest(rows, 1, &holder.digest) && find_in(reader, rows, piece, &holder.offset)) {
            g_array_append_val(list, holder);
        }
    }
    return list;
}

/* --- the catalogue and itself --- */

/* Rows of one text each, every one of them a complaint. */
static void complain(Scrub *scrub, sqlite3_stmt *rows)
{
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        const char *text = (const char *)sqlite3_column_text(rows, 0);
        if (g_strcmp0(text, "ok") != 0) {
            differs(scrub, text == NULL ? "a row of the catalogue" : text);
        }
    }
    if (problem != NULL) {
        differs(scrub, problem->message);
        g_error_free(problem);
    }
}

static void check_rows(Scrub *scrub, Connection *reader)
{
    static const char *const sums[] = {
        "PRAGMA integrity_check",
        "SELECT 'a reference of the table '||\"table\" FROM pragma_foreign_key_check",
        "SELECT 'the name of repository '||name FROM repositories WHERE sum<>row_sum(id, name)",
        "SELECT 'the list of pieces of blob sha256:'||lower(hex(digest)) FROM blobs WHERE sum<>row_sum(digest, size,"
        " pieces)",
        "SELECT 'a blob of repository '||repository FROM links WHERE sum<>row_sum(repository, blob)",
        "SELECT 'a manifest of repository '||repository FROM manifests WHERE sum<>row_sum(repository, blob, type,"
        " subject)",
        "SELECT 'the tag '||name||' of repository '||repository FROM tags WHERE sum<>row_sum(repository, name, blob)",
        "SELECT 'the state '||key FROM state WHERE sum<>row_sum(key, value)",
    };
    for (guint i = 0; i < G_N_ELEMENTS(sums); i++) {
        g_autoptr(sqlite3_stmt) rows = database_query(reader, sums[i], "");
        complain(scrub, rows);
    }
}

/* --- the catalogue and the log of names --- */

/* What a repository has, as a text: "NAME blob DIGEST", "NAME manifest DIGEST", "NAME tag TAG". */
static char *entry(const char *name, const char *kind, const char *what)
{
    return g_strjoin(" ", name, kind, what, NULL);
}

static gboolean replay(const json_t *object, gpointer user, GError **error)
{
    (void)error;
    GHashTable *names = user; /* entry -> digest */
    const char *op = json_string_value(json_object_get(object, "op"));
    const char *name = json_string_value(json_object_get(object, "name"));
    const char *tag = json_string_value(json_object_get(object, "tag"));
    const char *digest = json_string_value(json_object_get(object, "digest"));
    g_autofree char *blob = entry(name, "blob", digest), *manifest = entry(name, "manifest", digest);
    g_autofree char *tagged = entry(name, "tag", tag);
    if (g_strcmp0(op, "link") == 0) {
        g_hash_table_insert(names, g_steal_pointer(&blob), g_strdup(digest));
    } else if (g_strcmp0(op, "manifest") == 0) {
        g_hash_table_insert(names, g_steal_pointer(&manifest), g_strdup(digest));
    } else if (g_strcmp0(op, "tag") == 0) {
        g_hash_table_insert(names, g_steal_pointer(&tagged), g_strdup(digest));
    } else if (g_strcmp0(op, "untag") == 0) {
        g_hash_table_remove(names, tagged);
    } else if (g_strcmp0(op, "unlink") == 0) {
        g_hash_table_remove(names, blob);
        g_hash_table_remove(names, manifest);
    }
    return TRUE;
}

/* What both have is taken out of the table; what only the catalogue has is told. */
static void compare_rows(Scrub *scrub, GHashTable *names, sqlite3_stmt *rows)
{
    while (database_step(rows, NULL)) {
        IngotDigest digest;
        if (!database_digest(rows, 3, &digest)) {
            continue;
        }
        const char *tag = (const char *)sqlite3_column_text(rows, 2);
        g_autofree char *text = ingot_digest_to_text(&digest);
        g_autofree char *one = entry((const char *)sqlite3_column_text(rows, 0),
                                     (const char *)sqlite3_column_text(rows, 1), tag == NULL ? text : tag);
        if (g_strcmp0(g_hash_table_lookup(names, one), text) == 0) {
            g_hash_table_remove(names, one);
        } else {
            g_autofree char *what = g_strdup_printf("%s: in the catalogue, not in the log of names", one);
            differs(scrub, what);
        }
    }
}

static gboolean compare_names(Scrub *scrub, Connection *reader, GError **error)
{
    static const char *const lists[] = {
        "SELECT repositories.name, 'blob', NULL, digest FROM links JOIN repositories ON repositories.id=repository JOIN"
        " blobs ON blobs.id=blob",
        "SELECT repositories.name, 'manifest', NULL, digest FROM manifests JOIN repositories ON"
        " repositories.id=repository JOIN blobs ON blobs.id=blob",
        "SELECT repositories.name, 'tag', tags.name, digest FROM tags JOIN repositories ON repositories.id=repository"
        " JOIN blobs ON blobs.id=blob",
    };
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    guint damaged;
    if (!storage_read_names(scrub->storage, replay, names, &damaged, error)) {
        return FALSE;
    }
    for (guint i = 0; i < damaged; i++) {
        differs(scrub, "a line of the log of names");
    }
    for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
        g_autoptr(sqlite3_stmt) rows = database_query(reader, lists[i], "");
        compare_rows(scrub, names, rows);
    }
    GHashTableIter iterator;
    gpointer one;
    g_hash_table_iter_init(&iterator, names);
    while (g_hash_table_iter_next(&iterator, &one, NULL)) {
        g_autofree char *what = g_strdup_printf("%s: in the log of names, not in the catalogue", (char *)one);
        differs(scrub, what);
    }
    return TRUE;
}

gboolean audit_catalogue(Scrub *scrub, Connection *reader, GError **error)
{
    check_rows(scrub, reader);
    /* Both as they stand between two changes. */
    Change change;
    if (!change_begin(scrub->storage, &change, error)) {
        return FALSE;
    }
    gboolean ok = compare_names(scrub, reader, error);
    change_end(&change, FALSE, NULL);
    return ok;
}

/* --- the catalogue and the packs --- */

/* Whether the catalogue has a blob's pieces as the table does. One that it has no more is garbage, not damage. */
static void compare_blob(Scrub *scrub, Connection *reader, const Table *table)
{
    g_autoptr(sqlite3_stmt) row =
        database_query(reader, "SELECT size, pieces FROM blobs WHERE digest=?", "d", &table->blob);
    if (!database_step(row, NULL)) {
        return;
    }
    const guint32 *pieces = sqlite3_column_blob(row, 1);
    guint count = (guint)sqlite3_column_bytes(row, 1) / (guint)sizeof *pieces;
    gboolean same = count == table->pieces->len && (guint64)sqlite3_column_int64(row, 0) == table->size;
    for (guint i = 0; same && i < count; i++) {
        g_autoptr(sqlite3_stmt) piece =
            database_query(reader, "SELECT digest FROM pieces WHERE id=?", "i", (gint64)GUINT32_FROM_LE(pieces[i]));
        IngotDigest digest;
        same = database_step(piece, NULL) && database_digest(piece, 0, &digest) &&
               ingot_digest_equal(&digest, &table_piece(table, i)->digest);
    }
    if (!same) {
        g_autofree char *text = ingot_digest_to_text(&table->blob);
        g_autofree char *what = g_strdup_printf("the catalogue and the packs differ in the pieces of %s", text);
        differs(scrub, what);
    }
}

/* One that garbage was collected from meanwhile may be gone. Takes the error. */
static void pack_differs(Scrub *scrub, Connection *reader, gint64 number, GError *problem)
{
    gint64 known = 1;
    database_number(reader, &known, 1, NULL, "SELECT count(*) FROM packs WHERE id=?", "i", number);
    if (known > 0) {
        differs(scrub, problem->message);
    }
    g_error_free(problem);
}

gboolean audit_pack(Scrub *scrub, Connection *reader, gint64 number, GError **error)
{
    gint64 size;
    if (!database_number(reader, &size, 0, error, "SELECT size FROM packs WHERE id=?", "i", number)) {
        return FALSE;
    }
    GError *problem = NULL;
    g_autoptr(Pack) pack = packs_get(scrub->storage->packs, number, &problem);
    if (pack == NULL) {
        pack_differs(scrub, reader, number, problem);
    }
    guint64 end = 0;
    for (guint64 at = 0; pack != NULL && at < (guint64)size; at = end) {
        guint64 data;
        g_autoptr(Table) table = segment_read(pack, at, (guint64)size, &data, &end, &problem);
        if (table == NULL) {
            pack_differs(scrub, reader, number, g_steal_pointer(&problem));
        } else if (table_has_blob(table)) {
            compare_blob(scrub, reader, table);
        }
        if (end == at) {
            break; /* where the next begins is told nowhere */
        }
        if (!scrub_goes_on(scrub, end - at - data, error)) {
            return FALSE;
        }
    }
    return TRUE;
}
