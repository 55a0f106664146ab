#include "server/storage/backup.h"

#include <errno.h>
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
#include "server/events/checkpoint.h"
#include "server/packs/splitter.h"
#include "server/storage/backupfiles.h"

#define TRIES 20 /* catalogues that are copied until all packs of one are had */

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
    backup_tell_damage(checking->backup, line);
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

/* Each piece of a pack that can't be had is damaged. */
static gboolean pack_tell_lost(Backup *backup, Connection *catalogue, gint64 number, GError **error)
{
    Checking checking = {.backup = backup};
    return pieces_each_of(catalogue, number, piece_check, &checking, error);
}

/* A pack that is not there: known as lost, or taken away by a collection since the catalogue was copied (*gone). */
static gboolean pack_missing(Backup *backup, Connection *catalogue, gint64 number, gboolean *gone, GError *problem,
                             GError **error)
{
    guint64 whole;
    if (!pieces_whole_of(catalogue, number, &whole, NULL) || whole > 0) {
        *gone = TRUE;
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_error_free(problem);
    return pack_tell_lost(backup, catalogue, number, error);
}

/* What the backup's list calls a pack; free it. */
static char *pack_name(const Backup *backup, gint64 number)
{
    g_autofree char *path = packs_path(backup->to, number), *base = g_path_get_basename(path);
    return g_build_filename("packs", base, NULL);
}

/* Whether this run has read the file already: then it is not read again. */
static gboolean backup_has_seen(Backup *backup, const char *name)
{
    gboolean seen = backup_list_has(backup->seen, name);
    if (seen) {
        backup_list_take(backup->list, backup->seen, name);
    }
    return seen;
}

static gboolean same_size(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_size == b.st_size;
}

/* Whether a pack that is there is the whole one that this run, or an earlier backup, brought: by the list; or, where
 * that one was broken off before it wrote a list, by all the pieces in it. Another one goes, to be brought again. */
static gboolean pack_was_brought(Backup *backup, Connection *catalogue, gint64 number, gboolean *there, GError **error)
{
    g_autofree char *from = packs_path(backup->from, number), *to = packs_path(backup->to, number);
    g_autofree char *name = pack_name(backup, number);
    g_autoptr(GError) problem = NULL;
    *there = FALSE;
    if (!g_file_test(to, G_FILE_TEST_EXISTS)) {
        return TRUE;
    }
    if (backup_has_seen(backup, name)) {
        *there = TRUE;
        return TRUE;
    }
    if (backup_list_has(backup->before, name)) {
        *there = backup_list_check(backup->before, backup->target, name, &problem);
        if (*there) {
            backup_list_take(backup->list, backup->before, name);
            return TRUE;
        }
        g_autofree char *line = g_strdup_printf("brought again: %s", problem->message);
        backup->tell(line, backup->user);
    } else if (same_size(from, to)) {
        guint64 damaged = backup->report->damaged;
        if (!pack_check(backup, catalogue, number, error)) {
            return FALSE;
        }
        *there = backup->report->damaged == damaged;
        backup->report->damaged = damaged;
        if (*there) {
            return backup_list_note(backup->list, backup->target, name, error);
        }
    }
    /* Where the source has gone meanwhile, what is there is better than nothing. */
    return !g_file_test(from, G_FILE_TEST_EXISTS) || packs_remove(backup->to, number, error);
}

/* A link to the pack, or a copy of what can be read of it: one bad sector costs the pieces in it, not the backup. Only
 * a whole one gets into the list, so that another run brings it again. */
static gboolean pack_copy(Backup *backup, Connection *catalogue, gint64 number, const char *to, GError **error)
{
    g_autofree char *from = packs_path(backup->from, number), *name = pack_name(backup, number), *trouble = NULL;
    g_autoptr(GError) problem = NULL;
    struct stat st;
    if (link(from, to) != 0 && !backup_copy(from, to, &trouble, error)) {
        return FALSE;
    }
    if (trouble != NULL) {
        backup_tell_damage(backup, trouble);
    }
    if (stat(to, &st) != 0) {
        return pack_tell_lost(backup, catalogue, number, error);
    }
    backup->report->copied++;
    backup->report->bytes += (guint64)st.st_size;
    if (!pack_check(backup, catalogue, number, error)) {
        return FALSE;
    }
    if (trouble == NULL && !backup_list_note(backup->list, backup->target, name, &problem)) {
        backup_tell_damage(backup, problem->message);
    }
    return TRUE;
}

static gboolean pack_bring(Backup *backup, Connection *catalogue, gint64 number, gboolean *gone, GError **error)
{
    g_autofree char *to = packs_path(backup->to, number);
    GError *problem = NULL;
    gboolean there;
    *gone = FALSE;
    if (!pack_was_brought(backup, catalogue, number, &there, error)) {
        return FALSE;
    }
    if (there || pack_copy(backup, catalogue, number, to, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        return pack_missing(backup, catalogue, number, gone, problem, error);
    }
    g_propagate_error(error, problem);
    return FALSE;
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
    g_autoptr(GArray) there = packs_list(backup->to, error);
    for (guint i = 0; there != NULL && i < there->len; i++) {
        gint64 number = g_array_index(there, gint64, i);
        gboolean known;
        if (!pieces_has_pack(catalogue, number, &known, error) ||
            (!known && !packs_remove(backup->to, number, error))) {
            return FALSE;
        }
    }
    return there != NULL;
}

/* --- backing up --- */

/* A log of before a checkpoint, as a copy: whoever recovers by hand may make it the one that lives. What the backup has
 * under its name is compared with it: after a restore, numbers come again. One that can't be read costs no backup. */
static gboolean kept_log_bring(Backup *backup, const char *from, GError **error)
{
    g_autofree char *name = g_path_get_basename(from), *to = backup_path(backup->target, name);
    g_autoptr(GError) problem = NULL;
    if (backup_has_seen(backup, name)) {
        return TRUE;
    }
    if (!backup_list_note(backup->list, backup->source, name, &problem)) {
        if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            return TRUE; /* its time was over */
        }
        backup_tell_damage(backup, problem->message);
        if (backup_list_has(backup->before, name) && backup_list_check(backup->before, backup->target, name, NULL)) {
            backup_list_take(backup->list, backup->before, name);
        }
        return TRUE;
    }
    return backup_list_check(backup->list, backup->target, name, NULL) ||
           (backup_bring(from, to, FALSE, error) && backup_list_check(backup->list, backup->target, name, error));
}

static gboolean kept_logs_bring(Backup *backup, GError **error)
{
    g_autofree char *log = backup_path(backup->source, "names.log");
    g_auto(GStrv) kept = checkpoint_kept(log);
    gboolean ok = TRUE;
    for (guint i = 0; ok && kept[i] != NULL; i++) {
        ok = kept_log_bring(backup, kept[i], error);
    }
    return ok;
}

/* Those that the data folder has no more. */
static gboolean kept_logs_drop(Backup *backup, GError **error)
{
    g_autofree char *log = backup_path(backup->target, "names.log");
    g_auto(GStrv) kept = checkpoint_kept(log);
    for (guint i = 0; kept[i] != NULL; i++) {
        g_autofree char *name = g_path_get_basename(kept[i]);
        if (!backup_list_has(backup->list, name) && unlink(kept[i]) != 0 && errno != ENOENT) {
            return ingot_error_set_errno(error, errno, "%s", kept[i]);
        }
    }
    return TRUE;
}

/* The log up to the catalogue's last event; *gone: it has begun anew behind that. The log that the former catalogue of
 * the backup goes with is kept until this one has its name. */
static gboolean backup_log(Backup *backup, const EventMark *known, gboolean *gone, GError **error)
{
    g_autofree char *from = backup_path(backup->source, "names.log"), *to = backup_path(backup->target, "names.log");
    g_autofree char *next = backup_path(backup->target, BACKUP_NEXT_LOG),
                    *former = backup_path(backup->target, BACKUP_FORMER_LOG);
    EventMark mark = *known;
    gboolean moved, tail;
    backup->report->event = mark.number;
    if (!eventlog_locate(from, &mark, &moved, error) || !backup_bring_part(from, next, mark.end, error)) {
        *gone = TRUE;
        return FALSE;
    }
    if (!eventlog_check(next, &mark, &tail, error)) {
        *gone = TRUE;
        return FALSE;
    }
    if ((unlink(former) != 0 && errno != ENOENT) || (link(to, former) != 0 && errno != ENOENT) ||
        rename(next, to) != 0) {
        return ingot_error_set_errno(error, errno, "%s", to);
    }
    return backup_flush(backup->target, error);
}

static gboolean backup_users(Backup *backup, GError **error)
{
    g_autofree char *from = backup_path(backup->source, "users.sqlite"),
                    *to = backup_path(backup->target, "users.sqlite");
    g_autofree char *part = g_strconcat(to, ".part", NULL);
    return !g_file_test(from, G_FILE_TEST_EXISTS) ||
           (database_copy(from, part, error) && backup_flush(part, error) &&
            (rename(part, to) == 0 || ingot_error_set_errno(error, errno, "%s", to)));
}

static gboolean backup_name(Backup *backup, const char *part, GError **error)
{
    g_autofree char *to = backup_path(backup->target, "catalogue.sqlite");
    return backup_flush(part, error) && (rename(part, to) == 0 || ingot_error_set_errno(error, errno, "%s", to)) &&
           backup_flush(backup->target, error);
}

/* The list of what the backup has; both: with what the one before has as well, until this one counts. */
static gboolean backup_list(Backup *backup, gboolean both, GError **error)
{
    g_autoptr(BackupList) list = backup_list_new();
    const BackupList *of[] = {backup->before, backup->list};
    for (guint i = both ? 0 : 1; i < G_N_ELEMENTS(of); i++) {
        g_autoptr(GList) names = backup_list_names(of[i]);
        for (const GList *one = names; one != NULL; one = one->next) {
            backup_list_take(list, of[i], one->data);
        }
    }
    return backup_list_save(list, backup->target, error);
}

/* The new catalogue counts: the log that the one before went with is needed no more. */
static gboolean backup_drop_former(const Backup *backup, GError **error)
{
    g_autofree char *former = backup_path(backup->target, BACKUP_FORMER_LOG);
    return unlink(former) == 0 || errno == ENOENT || ingot_error_set_errno(error, errno, "%s", former);
}

/* What a try before this one has read counts as read: a server that collects all the time costs a further try, not
 * all packs read again. */
static void backup_begin_list(Backup *backup)
{
    g_autoptr(GList) names = backup_list_names(backup->list);
    for (const GList *one = names; one != NULL; one = one->next) {
        backup_list_take(backup->seen, backup->list, one->data);
    }
    g_clear_pointer(&backup->list, backup_list_free);
    backup->list = backup_list_new();
}

/* One catalogue and all that it knows. */
static gboolean backup_once(Backup *backup, gboolean *gone, GError **error)
{
    g_autofree char *from = backup_path(backup->source, "catalogue.sqlite");
    g_autofree char *part = backup_path(backup->target, "catalogue.sqlite.part");
    g_autofree char *packs = backup_path(backup->target, "packs");
    *gone = FALSE;
    backup_begin_list(backup);
    if (!database_copy(from, part, error)) {
        return FALSE;
    }
    g_autoptr(Database) copy = database_open(part, DATABASE_PLAIN, schema_migrations, schema_count, error);
    g_autoptr(Connection) reader = copy == NULL ? NULL : database_reader(copy, error);
    EventMark mark;
    LogMarkKind kind;
    return reader != NULL && logmark_get(reader, &mark, &kind, error) && packs_bring(backup, reader, gone, error) &&
           backup_flush(packs, error) && kept_logs_bring(backup, error) && backup_list(backup, TRUE, error) &&
           backup_log(backup, &mark, gone, error) && backup_users(backup, error) && database_settle(copy, error) &&
           backup_name(backup, part, error) && backup_drop_former(backup, error) && backup_list(backup, FALSE, error) &&
           packs_drop(backup, reader, error) && kept_logs_drop(backup, error);
}

static gboolean backup_mark(const Backup *backup, GError **error)
{
    g_autofree char *marker = backup_path(backup->target, BACKUP_MARKER);
    g_autoptr(json_t) object = ingot_json_pack("{s:i}", "version", 1);
    return g_file_test(marker, G_FILE_TEST_EXISTS) || ingot_json_save(object, marker, 4096, 0600, error);
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

gboolean storage_backup(const char *data, const char *folder, void (*tell)(const char *line, gpointer user),
                        gpointer user, BackupReport *report, GError **error)
{
    memset(report, 0, sizeof *report);
    Backup backup = {.source = data, .target = folder, .report = report, .tell = tell, .user = user};
    g_autofree char *catalogue = backup_path(data, "catalogue.sqlite");
    if (!g_file_test(catalogue, G_FILE_TEST_EXISTS)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: not there: not a data folder of ingotd", catalogue);
        return FALSE;
    }
    if (!backup_folder_is_empty(folder) && !backup_folder_is(folder)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s: neither empty nor a backup of ingotd", folder);
        return FALSE;
    }
    gboolean is_new = !g_file_test(folder, G_FILE_TEST_EXISTS);
    gboolean ok = ingot_file_make_folder(folder, error) &&
                  (!is_new || chmod(folder, 0700) == 0 || ingot_error_set_errno(error, errno, "%s", folder)) &&
                  backup_mark(&backup, error) && backup_open(&backup, error) &&
                  backup_read_list(&backup, folder, error) && backup_run(&backup, error);
    backup_close(&backup);
    return ok;
}
