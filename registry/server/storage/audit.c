#include "server/storage/audit.h"

#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

#include "server/catalogue/logmark.h"
#include "server/storage/replay.h"

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

/* --- the catalogue and the log of events --- */

static void name_differs(const ReplayDifference *difference, gpointer user)
{
    g_autofree char *what =
        g_strdup_printf(difference->catalogue ? "%s %s %s: in the catalogue, not in the log of events"
                                              : "%s %s %s: in the log of events, not in the catalogue",
                        difference->name, difference->kind, difference->what);
    differs(user, what);
}

/* Gaps that a rebuild has found are known: it has said what was lost. */
static void tell_log(Scrub *scrub, const Replay *replay)
{
    for (guint i = 0; replay->gaps->len > replay->acknowledged && i < replay->gaps->len; i++) {
        differs(scrub, g_ptr_array_index(replay->gaps, i));
    }
    GHashTableIter iterator;
    gpointer kind, count;
    g_hash_table_iter_init(&iterator, replay->unknown);
    while (g_hash_table_iter_next(&iterator, &kind, &count)) {
        scrub_tell(scrub, "skipped: %u events of the kind '%s', which this version does not know",
                   GPOINTER_TO_UINT(count), (const char *)kind);
    }
}

/* Both as of one transaction: the reader's snapshot, and the log up to the event that it knows as the last. */
static gboolean compare_names(Scrub *scrub, Connection *reader, GError **error)
{
    g_autoptr(Replay) replay = replay_new();
    EventMark mark, found;
    LogMarkKind kind;
    GError *problem = NULL;
    if (!logmark_get(reader, &mark, &kind, &problem)) {
        differs(scrub, problem->message);
        g_error_free(problem);
        return TRUE;
    }
    if (!eventlog_read(scrub->storage->events, mark.end, replay_take, replay, &found, error)) {
        return FALSE;
    }
    if (found.number != mark.number || found.end != mark.end || !ingot_digest_equal(&found.hash, &mark.hash)) {
        differs(scrub, "the log of events does not end with the event that the catalogue knows as the last");
    }
    tell_log(scrub, replay);
    return replay_compare(replay, reader, name_differs, scrub, error);
}

gboolean audit_catalogue(Scrub *scrub, Connection *reader, GError **error)
{
    check_rows(scrub, reader);
    if (!database_snapshot(reader, error)) {
        return FALSE;
    }
    gboolean ok = compare_names(scrub, reader, error);
    database_snapshot_end(reader);
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
    if (known > 0 && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
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
