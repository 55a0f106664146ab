#include "server/storage/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/cached.h"
#include "server/catalogue/logmark.h"
#include "server/catalogue/manifestrows.h"
#include "server/storage/inside.h"
#include "server/storage/mentions.h"
#include "server/storage/replay.h"

#define BESIDE ".new" /* ends the names of what is made beside what is there */

typedef struct {
    Storage *storage;
    Change change;
    RebuildReport *report;
    Replay *replay; /* of the log, beside what is made of it */
    void (*tell)(const char *line, gpointer user);
    gpointer user;
} Rebuild;

static void lost(Rebuild *rebuild, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void lost(Rebuild *rebuild, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    g_autofree char *line = g_strdup_vprintf(format, values);
    va_end(values);
    rebuild->report->lost++;
    if (rebuild->tell != NULL) {
        rebuild->tell(line, rebuild->user);
    }
}

/* --- packs --- */

/* Whether the bytes that stand where the catalogue has the piece by now are the piece. */
static gboolean is_whole(Rebuild *rebuild, const Piece *piece)
{
    IngotDigest found;
    g_autofree guint8 *data = g_malloc(piece->length);
    g_autoptr(sqlite3_stmt) row =
        database_query(rebuild->change.writer, "SELECT pack, offset FROM pieces WHERE digest=?", "d", &piece->digest);
    g_autoptr(Pack) pack =
        database_step(row, NULL) ? packs_get(rebuild->storage->packs, sqlite3_column_int64(row, 0), NULL) : NULL;
    if (pack == NULL || !pack_read(pack, (guint64)sqlite3_column_int64(row, 1), data, piece->length, NULL)) {
        return FALSE;
    }
    ingot_digest_of(data, piece->length, &found);
    return ingot_digest_equal(&found, &piece->digest);
}

/* Of a piece that is there twice one copy may be damaged, and the other what it was repaired with. */
static gboolean add_again(Rebuild *rebuild, const Piece *piece, gint64 pack, guint64 offset, GError **error)
{
    return is_whole(rebuild, piece) ||
           database_run(rebuild->change.writer, error, "UPDATE pieces SET pack=?, offset=? WHERE digest=?", "iid", pack,
                        (gint64)offset, &piece->digest);
}

static gboolean add_pieces(Rebuild *rebuild, const Table *table, gint64 pack, guint64 at, GError **error)
{
    guint64 offset = at + SEGMENT_HEAD;
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        if (!piece->fresh) {
            continue;
        }
        if (!database_run(rebuild->change.writer, error,
                          "INSERT OR IGNORE INTO pieces (digest, pack, offset, length) VALUES (?, ?, ?, ?)", "diii",
                          &piece->digest, pack, (gint64)offset, (gint64)piece->length)) {
            return FALSE;
        }
        gint64 added = database_changes(rebuild->change.writer);
        if (added == 0 && !add_again(rebuild, piece, pack, offset, error)) {
            return FALSE;
        }
        rebuild->report->pieces += (guint64)added;
        offset += piece->length;
    }
    return TRUE;
}

/* A blob whose pieces are gone was garbage; if it was not, the log of events will miss it. */
static gboolean has_all(Rebuild *rebuild, const Table *table)
{
    for (guint i = 0; i < table->pieces->len; i++) {
        gint64 found = 0;
        if (!database_number(rebuild->change.writer, &found, 0, NULL, "SELECT id FROM pieces WHERE digest=?", "d",
                             &table_piece(table, i)->digest) ||
            found == 0) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean add_blob(Rebuild *rebuild, const Table *table, gint64 pack, guint64 at, GError **error)
{
    gint64 blob = names_blob(rebuild->change.writer, &table->blob, error);
    if (blob != 0 || !table_has_blob(table) || !has_all(rebuild, table)) {
        return blob >= 0;
    }
    g_autoptr(Table) known = table_new(); /* its new pieces have their rows already */
    known->blob = table->blob;
    known->size = table->size;
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        table_add(known, &piece->digest, piece->length, FALSE);
    }
    rebuild->report->blobs++;
    return publish_rows(&rebuild->change, known, pack, at, &blob, error);
}

typedef gboolean (*SegmentFunc)(Rebuild *rebuild, const Table *table, gint64 pack, guint64 at, GError **error);

/* Each whole segment of a pack; *end is where the last of them ends. One whose table is damaged hides no other. */
static gboolean each_segment(Rebuild *rebuild, gint64 number, SegmentFunc take, guint64 *end, GError **error)
{
    g_autoptr(Pack) pack = packs_get(rebuild->storage->packs, number, error);
    guint64 size;
    if (pack == NULL || !pack_size(pack, &size, error)) {
        return FALSE;
    }
    *end = 0;
    while (*end < size) {
        guint64 data, next;
        g_autoptr(Table) table = segment_read(pack, *end, size, &data, &next, NULL);
        if (table == NULL && next == *end) {
            return TRUE;
        }
        if (table == NULL && take == add_pieces) {
            lost(rebuild, "%s: the segment at offset %" G_GUINT64_FORMAT " has a damaged table", pack_path(pack), *end);
        }
        if (table != NULL && !take(rebuild, table, number, *end, error)) {
            return FALSE;
        }
        *end = next;
    }
    return TRUE;
}

static gboolean read_packs(Rebuild *rebuild, GError **error)
{
    g_autoptr(GArray) packs = packs_list(rebuild->storage->packs);
    for (guint i = 0; i < packs->len; i++) {
        gint64 number = g_array_index(packs, gint64, i);
        guint64 end = 0;
        if (!database_run(rebuild->change.writer, error, "INSERT INTO packs (id, size) VALUES (?, 0)", "i", number) ||
            !each_segment(rebuild, number, add_pieces, &end, error) ||
            !database_run(rebuild->change.writer, error, "UPDATE packs SET size=? WHERE id=?", "ii", (gint64)end,
                          number)) {
            return FALSE;
        }
        g_autofree char *path = packs_path(rebuild->storage->packs, number);
        GStatBuf st;
        if (g_stat(path, &st) == 0 && (guint64)st.st_size > end) {
            lost(rebuild, "%s: no whole segment at offset %" G_GUINT64_FORMAT, path, end);
        }
        rebuild->report->packs++;
    }
    /* When all pieces are known: a blob counts on those of other packs. */
    for (guint i = 0; i < packs->len; i++) {
        guint64 end;
        if (!each_segment(rebuild, g_array_index(packs, gint64, i), add_blob, &end, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- names --- */

typedef struct {
    const char *op, *name, *tag, *type, *digest_text;
    gboolean cached, mirrored;
    IngotDigest digest, subject;
    gboolean has_digest, has_subject;
} Line;

static Line read_line(const json_t *object)
{
    Line line = {.op = json_string_value(json_object_get(object, "op")),
                 .name = json_string_value(json_object_get(object, "name")),
                 .tag = json_string_value(json_object_get(object, "tag")),
                 .type = json_string_value(json_object_get(object, "type")),
                 .cached = g_strcmp0(json_string_value(json_object_get(object, "origin")), "upstream") == 0,
                 .mirrored = g_strcmp0(json_string_value(json_object_get(object, "by")), "mirror") == 0,
                 .digest_text = json_string_value(json_object_get(object, "digest"))};
    const char *subject = json_string_value(json_object_get(object, "subject"));
    line.has_digest = line.digest_text != NULL && ingot_digest_parse(line.digest_text, &line.digest, NULL);
    line.has_subject = subject != NULL && ingot_digest_parse(subject, &line.subject, NULL);
    return line;
}

/* A manifest's bytes, straight from its pieces: nothing is committed yet that a reader would see. */
static GByteArray *read_blob(Rebuild *rebuild, gint64 blob)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(sqlite3_stmt) row =
        database_query(rebuild->change.writer, "SELECT pieces FROM blobs WHERE id=?", "i", blob);
    const guint32 *pieces = database_step(row, NULL) ? sqlite3_column_blob(row, 0) : NULL;
    guint count = pieces == NULL ? 0 : (guint)sqlite3_column_bytes(row, 0) / (guint)sizeof *pieces;
    for (guint i = 0; i < count; i++) {
        g_autoptr(sqlite3_stmt) place =
            database_query(rebuild->change.writer, "SELECT pack, offset, length FROM pieces WHERE id=?", "i",
                           (gint64)GUINT32_FROM_LE(pieces[i]));
        g_autoptr(Pack) pack = database_step(place, NULL)
                                   ? packs_get(rebuild->storage->packs, sqlite3_column_int64(place, 0), NULL)
                                   : NULL;
        guint length = (guint)sqlite3_column_int64(place, 2), at = bytes->len;
        g_byte_array_set_size(bytes, at + length);
        if (pack == NULL || !pack_read(pack, (guint64)sqlite3_column_int64(place, 1), bytes->data + at, length, NULL)) {
            return NULL;
        }
    }
    return g_steal_pointer(&bytes);
}

/* What the manifest mentions. */
static GArray *find_mentions(Rebuild *rebuild, const Line *line, gint64 blob)
{
    g_autoptr(GByteArray) bytes = read_blob(rebuild, blob);
    g_autoptr(json_t) root = bytes == NULL ? NULL : ingot_json_parse(bytes->data, bytes->len, "manifest", NULL);
    GArray *mentions = root == NULL ? NULL : mentions_read(root);
    if (mentions == NULL) {
        lost(rebuild, "%s: the manifest %s can't be read", line->name, line->digest_text);
        return g_array_new(FALSE, FALSE, sizeof(Mention));
    }
    return mentions;
}

static gboolean redo_manifest(Rebuild *rebuild, const Line *line, gint64 blob, GError **error)
{
    g_autoptr(GArray) mentions = find_mentions(rebuild, line, blob);
    const StorageManifest manifest = {.type = line->type == NULL ? "" : line->type,
                                      .subject = line->has_subject ? &line->subject : NULL,
                                      .mentions = mentions,
                                      .partial = TRUE,
                                      .cached = line->cached};
    /* Its link comes first; that event may be damaged. */
    return names_link(&rebuild->change, line->name, blob, &line->digest, error) &&
           names_manifest(&rebuild->change, line->name, blob, &line->digest, &manifest, error);
}

/* A tag whose manifest is lost, or whose manifest's own event is damaged, names nothing: what it named before is not
 * what it was last. Older versions did not write where a tag comes from. */
static gboolean redo_tag(Change *change, const Line *line, gint64 repository, gint64 blob, GError **error)
{
    gboolean known = FALSE, cached = FALSE;
    if (blob > 0 && (!manifest_rows_has(change->writer, repository, blob, &known, error) ||
                     !cached_has(change->writer, repository, &line->digest, &cached, error))) {
        return FALSE;
    }
    if (!known) {
        return database_run(change->writer, error, "DELETE FROM tags WHERE repository=? AND name=?", "it", repository,
                            line->tag);
    }
    return names_tag(change, line->name, line->tag, repository, blob, &line->digest,
                     line->cached || (line->mirrored && cached), error);
}

/* What comes to a repository. The blob may be gone: deleted later on, or lost. */
static gboolean redo_add(Rebuild *rebuild, const Line *line, GError **error)
{
    Change *change = &rebuild->change;
    gint64 blob = names_blob(change->writer, &line->digest, error);
    gint64 repository = names_repository(change->writer, line->name, TRUE, error);
    if (blob < 0 || repository < 0) {
        return FALSE;
    }
    if (strcmp(line->op, "tag") == 0) {
        return line->tag == NULL || redo_tag(change, line, repository, blob, error);
    }
    if (blob == 0) {
        return TRUE;
    }
    if (strcmp(line->op, "link") == 0) {
        return names_link(change, line->name, blob, &line->digest, error);
    }
    return redo_manifest(rebuild, line, blob, error);
}

static gboolean redo_remove(Rebuild *rebuild, const Line *line, GError **error)
{
    Change *change = &rebuild->change;
    gint64 repository = names_repository(change->writer, line->name, FALSE, error);
    if (repository <= 0) {
        return repository == 0;
    }
    if (line->tag != NULL) {
        return database_run(change->writer, error, "DELETE FROM tags WHERE repository=? AND name=?", "it", repository,
                            line->tag);
    }
    gint64 blob = line->has_digest ? names_blob(change->writer, &line->digest, error) : 0;
    return blob == 0 || (blob > 0 && names_remove(change, line->name, repository, blob, &line->digest, error));
}

static gboolean redo(const Event *event, gpointer user, GError **error)
{
    Rebuild *rebuild = user;
    if (!replay_take(event, rebuild->replay, error)) {
        return FALSE;
    }
    if (event->object == NULL) {
        lost(rebuild, "%s", event->trouble);
        return TRUE;
    }
    Line line = read_line(event->object);
    if (!replay_knows(line.op)) {
        lost(rebuild, "an event of the kind '%s' at %s, which this version does not know, is skipped",
             line.op == NULL ? "" : line.op, line.name == NULL ? "no name" : line.name);
        return TRUE;
    }
    if (line.name == NULL) {
        return TRUE;
    }
    if (g_str_equal(line.op, "link") || g_str_equal(line.op, "manifest") || g_str_equal(line.op, "tag")) {
        return !line.has_digest || redo_add(rebuild, &line, error);
    }
    return redo_remove(rebuild, &line, error);
}

static gboolean count(Rebuild *rebuild, guint64 *number, GError **error, const char *sql)
{
    gint64 found;
    gboolean ok = database_number(rebuild->change.writer, &found, 0, error, sql, "");
    *number = (guint64)found;
    return ok;
}

/* What the log says and the catalogue can't have: lost, by name. The log hears of it, so that both agree again. */
static void name_lost(const ReplayDifference *difference, gpointer user)
{
    Rebuild *rebuild = user;
    Change *change = &rebuild->change;
    if (difference->catalogue) {
        change_log(change, "link", difference->name, "digest", difference->digest, "by", "rebuild", NULL);
    } else if (strcmp(difference->kind, "tag") == 0) {
        lost(rebuild, "%s:%s, which named %s", difference->name, difference->what, difference->digest);
        change_log(change, "untag", difference->name, "tag", difference->what, "by", "rebuild", "why", "lost", NULL);
    } else {
        lost(rebuild, "%s@%s, a %s", difference->name, difference->what, difference->kind);
        change_log(change, "unlink", difference->name, "digest", difference->digest, "by", "rebuild", "why", "lost",
                   NULL);
    }
}

/* The last event of a rebuild: what scrubs need not complain of again. */
static void log_rebuilt(Rebuild *rebuild)
{
    json_t *event = ingot_json_pack("{s:s, s:s, s:I, s:I}", "op", "rebuilt", "by", "rebuild", "at",
                                    (json_int_t)storage_now(), "gaps", (json_int_t)rebuild->replay->gaps->len);
    g_ptr_array_add(rebuild->change.events, event);
}

static gboolean read_names(Rebuild *rebuild, GError **error)
{
    RebuildReport *report = rebuild->report;
    const char *log = rebuild->storage->events;
    EventMark mark;
    if (!g_file_test(log, G_FILE_TEST_EXISTS) && report->packs > 0) {
        lost(rebuild, "%s: not there, and with it all names", log);
    }
    if (!eventlog_read(log, G_MAXUINT64, redo, rebuild, &mark, error) ||
        !logmark_set(rebuild->change.writer, &mark, error)) {
        return FALSE;
    }
    g_ptr_array_set_size(rebuild->change.events, 0); /* they have happened long ago */
    if (!replay_compare(rebuild->replay, rebuild->change.writer, name_lost, rebuild, error)) {
        return FALSE;
    }
    log_rebuilt(rebuild);
    return count(rebuild, &report->repositories, error, "SELECT count(DISTINCT repository) FROM links") &&
           count(rebuild, &report->manifests, error, "SELECT count(*) FROM manifests") &&
           count(rebuild, &report->tags, error, "SELECT count(*) FROM tags");
}

/* --- the whole --- */

static gboolean run(Rebuild *rebuild, GError **error)
{
    if (!change_begin(rebuild->storage, &rebuild->change, error)) {
        return FALSE;
    }
    gboolean ok = read_packs(rebuild, error) && read_names(rebuild, error);
    return change_end(&rebuild->change, ok, error);
}

static gboolean move(const char *folder, const char *from, const char *to, GError **error)
{
    g_autofree char *source = g_build_filename(folder, from, NULL), *target = g_build_filename(folder, to, NULL);
    return rename(source, target) == 0 || errno == ENOENT || ingot_error_set_errno(error, errno, "%s", target);
}

static gboolean sync_folder(const char *folder, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(folder, O_RDONLY | O_DIRECTORY, 0, error);
    return fd >= 0 && (fsync(fd) == 0 || errno == EINVAL || ingot_error_set_errno(error, errno, "%s", folder));
}

/* The old catalogue is out of the way, with SQLite's log of it, before the new one has its name: one catalogue with the
 * other's log would be neither. Wherever the power goes, the log of events is whole, and all can be done once more. */
static gboolean put_in_place(const char *folder, GError **error)
{
    return move(folder, "catalogue.sqlite", "catalogue.sqlite.old", error) &&
           move(folder, "catalogue.sqlite-wal", "catalogue.sqlite.old-wal", error) &&
           move(folder, "catalogue.sqlite-shm", "catalogue.sqlite.old-shm", error) && sync_folder(folder, error) &&
           move(folder, "catalogue.sqlite" BESIDE, "catalogue.sqlite", error) && sync_folder(folder, error);
}

gboolean storage_rebuild(const char *path, void (*tell)(const char *line, gpointer user), gpointer user,
                         RebuildReport *report, GError **error)
{
    memset(report, 0, sizeof *report);
    g_autofree char *packs = g_build_filename(path, "packs", NULL);
    if (!g_file_test(packs, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: not there: no data folder of ingotd", packs);
        return FALSE;
    }
    g_autoptr(IngotLock) lock = storage_lock(path, FALSE, error);
    Storage *storage = lock == NULL ? NULL : storage_open_beside(path, BESIDE, error);
    g_autoptr(Replay) replay = replay_new();
    Rebuild rebuild = {.storage = storage, .report = report, .replay = replay, .tell = tell, .user = user};
    gboolean ok = storage != NULL && run(&rebuild, error) && database_settle(storage->catalogue, error);
    storage_close(storage);
    return ok && put_in_place(path, error);
}
