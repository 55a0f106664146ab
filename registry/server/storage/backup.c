#include "server/storage/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/logmark.h"
#include "server/catalogue/pieces.h"
#include "server/catalogue/schema.h"
#include "server/packs/packs.h"
#include "server/packs/splitter.h"
#include "server/storage/scrub.h"

#define MARKER "backup.json"
#define TRIES 20 /* catalogues that are copied until all packs of one are had */

typedef struct {
    const char *source, *target; /* folders */
    Packs *from, *to;
    BackupReport *report;
    void (*tell)(const char *line, gpointer user);
    gpointer user;
} Backup;

/* --- files --- */

static gboolean file_flush(const char *path, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    return fd >= 0 && (fsync(fd) == 0 || errno == EINVAL || ingot_error_set_errno(error, errno, "%s", path));
}

/* A link to the file, or a copy of it that is flushed; `path` has the name only when it is whole. */
static gboolean file_bring(const char *from, const char *path, gboolean may_link, GError **error)
{
    if (may_link && link(from, path) == 0) {
        return TRUE;
    }
    g_autofree char *part = g_strconcat(path, ".part", NULL);
    struct stat st;
    if (stat(from, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", from);
    }
    return ingot_file_copy(from, part, error) && file_flush(part, error) &&
           (rename(part, path) == 0 || ingot_error_set_errno(error, errno, "%s", path));
}

/* The first `size` bytes of a file. */
static gboolean file_bring_part(const char *from, const char *path, guint64 size, GError **error)
{
    g_autofree char *part = g_strconcat(path, ".part", NULL);
    g_auto(IngotFd) in = size == 0 ? -1 : ingot_file_open(from, O_RDONLY, 0, error);
    g_auto(IngotFd) out = ingot_file_open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600, error);
    g_autofree guint8 *buffer = g_malloc(PIECE_MAX);
    if (out < 0 || (size > 0 && in < 0)) {
        return FALSE;
    }
    for (guint64 at = 0; at < size;) {
        gsize step = (gsize)MIN(PIECE_MAX, size - at);
        if (!ingot_file_pread(in, buffer, step, at, from, error) ||
            !ingot_file_pwrite(out, buffer, step, at, part, error)) {
            return FALSE;
        }
        at += step;
    }
    return ingot_file_publish(out, part, path, error);
}

static char *path_in(const char *folder, const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* --- packs --- */

typedef struct {
    Backup *backup;
    const Pack *pack; /* NULL: it is lost */
    guint8 *buffer;
} Checking;

static gboolean piece_check(const PieceRow *row, const IngotDigest *digest, gpointer user, GError **error)
{
    const Checking *checking = user;
    IngotDigest found;
    (void)error;
    if (checking->pack != NULL && row->length <= PIECE_MAX &&
        pack_read(checking->pack, row->offset, checking->buffer, row->length, NULL)) {
        ingot_digest_of(checking->buffer, row->length, &found);
        if (ingot_digest_equal(&found, digest)) {
            return TRUE;
        }
    }
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    g_autofree char *line =
        g_strdup_printf("damaged: piece %s in %s", text,
                        checking->pack == NULL ? "a pack that is not there" : pack_path(checking->pack));
    checking->backup->tell(line, checking->backup->user);
    checking->backup->report->damaged++;
    return TRUE;
}

/* Whether each piece that the catalogue knows of the pack is whole. */
static gboolean pack_check(Backup *backup, Connection *catalogue, gint64 number, GError **error)
{
    g_autoptr(Pack) pack = packs_get(backup->to, number, error);
    g_autofree guint8 *buffer = g_malloc(PIECE_MAX);
    Checking checking = {.backup = backup, .pack = pack, .buffer = buffer};
    return pack != NULL && pieces_each_of(catalogue, number, piece_check, &checking, error);
}

/* A pack that is not there: known as lost, or taken away by a collection since the catalogue was copied (*gone). */
static gboolean pack_missing(Backup *backup, Connection *catalogue, gint64 number, gboolean *gone, GError *problem,
                             GError **error)
{
    guint64 whole;
    Checking checking = {.backup = backup};
    if (!pieces_whole_of(catalogue, number, &whole, NULL) || whole > 0) {
        *gone = TRUE;
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_error_free(problem);
    return pieces_each_of(catalogue, number, piece_check, &checking, error);
}

static gboolean pack_bring(Backup *backup, Connection *catalogue, gint64 number, gboolean *gone, GError **error)
{
    g_autofree char *from = packs_path(backup->from, number), *to = packs_path(backup->to, number);
    GError *problem = NULL;
    struct stat st;
    *gone = FALSE;
    if (stat(to, &st) == 0) {
        return TRUE;
    }
    if (!file_bring(from, to, TRUE, &problem)) {
        if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            return pack_missing(backup, catalogue, number, gone, problem, error);
        }
        g_propagate_error(error, problem);
        return FALSE;
    }
    backup->report->copied++;
    backup->report->bytes += stat(to, &st) == 0 ? (guint64)st.st_size : 0;
    return pack_check(backup, catalogue, number, error);
}

static gboolean packs_bring(Backup *backup, Connection *catalogue, gboolean *gone, GError **error)
{
    g_autoptr(GArray) list = pieces_list_packs(catalogue, error);
    *gone = FALSE;
    for (guint i = 0; list != NULL && i < list->len; i++) {
        if (!pack_bring(backup, catalogue, g_array_index(list, gint64, i), gone, error)) {
            return FALSE;
        }
    }
    backup->report->packs = list == NULL ? 0 : list->len;
    return list != NULL;
}

/* Those of earlier backups that this one does not need. */
static gboolean packs_drop(Backup *backup, Connection *catalogue, GError **error)
{
    g_autoptr(GArray) there = packs_list(backup->to);
    for (guint i = 0; i < there->len; i++) {
        gint64 number = g_array_index(there, gint64, i);
        gboolean known;
        if (!pieces_has_pack(catalogue, number, &known, error) ||
            (!known && !packs_remove(backup->to, number, error))) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- backing up --- */

static gboolean backup_log(Backup *backup, const EventMark *mark, GError **error)
{
    g_autofree char *from = path_in(backup->source, "names.log"), *to = path_in(backup->target, "names.log");
    gboolean tail;
    backup->report->event = mark->number;
    return file_bring_part(from, to, mark->end, error) && eventlog_check(to, mark, &tail, error);
}

static gboolean backup_users(Backup *backup, GError **error)
{
    g_autofree char *from = path_in(backup->source, "users.sqlite"), *to = path_in(backup->target, "users.sqlite");
    g_autofree char *part = g_strconcat(to, ".part", NULL);
    return !g_file_test(from, G_FILE_TEST_EXISTS) ||
           (database_copy(from, part, error) && file_flush(part, error) &&
            (rename(part, to) == 0 || ingot_error_set_errno(error, errno, "%s", to)));
}

static gboolean backup_name(Backup *backup, const char *part, GError **error)
{
    g_autofree char *to = path_in(backup->target, "catalogue.sqlite");
    return file_flush(part, error) && (rename(part, to) == 0 || ingot_error_set_errno(error, errno, "%s", to)) &&
           file_flush(backup->target, error);
}

/* One catalogue and all that it knows. */
static gboolean backup_once(Backup *backup, gboolean *gone, GError **error)
{
    g_autofree char *from = path_in(backup->source, "catalogue.sqlite");
    g_autofree char *part = path_in(backup->target, "catalogue.sqlite.part");
    g_autofree char *packs = path_in(backup->target, "packs");
    *gone = FALSE;
    if (!database_copy(from, part, error)) {
        return FALSE;
    }
    g_autoptr(Database) copy = database_open(part, DATABASE_PLAIN, schema_migrations, schema_count, error);
    g_autoptr(Connection) reader = copy == NULL ? NULL : database_reader(copy, error);
    EventMark mark;
    LogMarkKind kind;
    return reader != NULL && logmark_get(reader, &mark, &kind, error) && packs_bring(backup, reader, gone, error) &&
           file_flush(packs, error) && backup_log(backup, &mark, error) && backup_users(backup, error) &&
           database_settle(copy, error) && backup_name(backup, part, error) && packs_drop(backup, reader, error);
}

static gboolean backup_mark(const Backup *backup, GError **error)
{
    g_autofree char *marker = path_in(backup->target, MARKER);
    g_autoptr(json_t) object = ingot_json_pack("{s:i}", "version", 1);
    return g_file_test(marker, G_FILE_TEST_EXISTS) || ingot_json_save(object, marker, 4096, 0600, error);
}

static gboolean folder_is_empty(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    return dir == NULL || g_dir_read_name(dir) == NULL;
}

static gboolean folder_is_backup(const char *path)
{
    g_autofree char *marker = path_in(path, MARKER);
    return g_file_test(marker, G_FILE_TEST_EXISTS);
}

static gboolean backup_run(Backup *backup, GError **error)
{
    GError *problem = NULL;
    gboolean gone = TRUE, ok = FALSE;
    for (guint i = 0; gone && i < TRIES; i++) {
        g_clear_error(&problem);
        ok = backup_once(backup, &gone, &problem);
    }
    if (!ok) {
        g_propagate_error(error, problem);
    }
    return ok;
}

static gboolean backup_open(Backup *backup, GError **error)
{
    g_autofree char *from = path_in(backup->source, "packs"), *to = path_in(backup->target, "packs");
    backup->from = packs_open(from, error);
    backup->to = backup->from == NULL ? NULL : packs_open(to, error);
    return backup->to != NULL;
}

static void backup_close(Backup *backup)
{
    packs_close(backup->from);
    packs_close(backup->to);
}

gboolean storage_backup(const char *data, const char *folder, void (*tell)(const char *line, gpointer user),
                        gpointer user, BackupReport *report, GError **error)
{
    memset(report, 0, sizeof *report);
    Backup backup = {.source = data, .target = folder, .report = report, .tell = tell, .user = user};
    g_autofree char *catalogue = path_in(data, "catalogue.sqlite");
    if (!g_file_test(catalogue, G_FILE_TEST_EXISTS)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: not there: not a data folder of ingotd", catalogue);
        return FALSE;
    }
    if (!folder_is_empty(folder) && !folder_is_backup(folder)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s: neither empty nor a backup of ingotd", folder);
        return FALSE;
    }
    gboolean is_new = !g_file_test(folder, G_FILE_TEST_EXISTS);
    gboolean ok = ingot_file_make_folder(folder, error) &&
                  (!is_new || chmod(folder, 0700) == 0 || ingot_error_set_errno(error, errno, "%s", folder)) &&
                  backup_mark(&backup, error) && backup_open(&backup, error) && backup_run(&backup, error);
    backup_close(&backup);
    return ok;
}

/* --- restoring --- */

static gboolean restore_packs(Backup *backup, GError **error)
{
    g_autoptr(GArray) list = packs_list(backup->from);
    g_autofree char *folder = path_in(backup->target, "packs");
    for (guint i = 0; i < list->len; i++) {
        gint64 number = g_array_index(list, gint64, i);
        g_autofree char *from = packs_path(backup->from, number), *to = packs_path(backup->to, number);
        struct stat st;
        if (!file_bring(from, to, FALSE, error)) {
            return FALSE;
        }
        backup->report->bytes += stat(to, &st) == 0 ? (guint64)st.st_size : 0;
        backup->report->copied++;
    }
    backup->report->packs = list->len;
    return file_flush(folder, error);
}

/* The log goes as far as its catalogue: a backup that was broken off may have brought a newer one. */
static gboolean restore_log(Backup *backup, const char *catalogue, GError **error)
{
    g_autofree char *from = path_in(backup->source, "names.log"), *to = path_in(backup->target, "names.log");
    g_autoptr(Database) copy = database_open(catalogue, DATABASE_PLAIN, schema_migrations, schema_count, error);
    g_autoptr(Connection) reader = copy == NULL ? NULL : database_reader(copy, error);
    EventMark mark;
    LogMarkKind kind;
    if (reader == NULL || !logmark_get(reader, &mark, &kind, error)) {
        return FALSE;
    }
    backup->report->event = mark.number;
    return file_bring_part(from, to, mark.end, error) && database_settle(copy, error);
}

static gboolean restore_files(Backup *backup, GError **error)
{
    g_autofree char *from = path_in(backup->source, "catalogue.sqlite");
    g_autofree char *part = path_in(backup->target, "catalogue.sqlite.part");
    g_autofree char *to = path_in(backup->target, "catalogue.sqlite");
    g_autofree char *users = path_in(backup->source, "users.sqlite"), *own = path_in(backup->target, "users.sqlite");
    return restore_packs(backup, error) && file_bring(from, part, FALSE, error) && restore_log(backup, part, error) &&
           (!g_file_test(users, G_FILE_TEST_EXISTS) || file_bring(users, own, FALSE, error)) &&
           (rename(part, to) == 0 || ingot_error_set_errno(error, errno, "%s", to)) &&
           file_flush(backup->target, error);
}

static gboolean restore_check(Backup *backup, GError **error)
{
    g_autoptr(Storage) storage = storage_open(backup->target, error);
    const ScrubOptions options = {.tell = backup->tell, .user = backup->user};
    ScrubReport scrub;
    if (storage == NULL || !storage_scrub(storage, &options, &scrub, error)) {
        return FALSE;
    }
    backup->report->damaged = scrub.damaged + scrub.inconsistencies;
    return TRUE;
}

gboolean storage_restore(const char *folder, const char *data, void (*tell)(const char *line, gpointer user),
                         gpointer user, BackupReport *report, GError **error)
{
    memset(report, 0, sizeof *report);
    Backup backup = {.source = folder, .target = data, .report = report, .tell = tell, .user = user};
    g_autofree char *catalogue = path_in(folder, "catalogue.sqlite");
    if (!folder_is_backup(folder) || !g_file_test(catalogue, G_FILE_TEST_EXISTS)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: not a whole backup of ingotd", folder);
        return FALSE;
    }
    if (!folder_is_empty(data)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s: not empty; a backup is restored to a new folder",
                    data);
        return FALSE;
    }
    gboolean is_new = !g_file_test(data, G_FILE_TEST_EXISTS);
    gboolean ok = ingot_file_make_folder(data, error) &&
                  (!is_new || chmod(data, 0700) == 0 || ingot_error_set_errno(error, errno, "%s", data)) &&
                  backup_open(&backup, error) && restore_files(&backup, error);
    backup_close(&backup);
    return ok && restore_check(&backup, error);
}
