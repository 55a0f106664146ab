/* Restoring: a data folder made of a backup, once each of its files is what the backup brought. */
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "server/catalogue/leases.h"
#include "server/catalogue/logmark.h"
#include "server/catalogue/rowcheck.h"
#include "server/catalogue/schema.h"
#include "server/catalogue/uploadrows.h"
#include "server/events/checkpoint.h"
#include "server/storage/backupfiles.h"
#include "server/storage/scrub.h"

#define WAY_ROUND "`ingotd restore --force` restores what can be had"

/* A copy of a file, or, if forced, of as much of it as can be read. */
static gboolean restore_bring(Backup *backup, const char *from, const char *to, GError **error)
{
    g_autofree char *trouble = NULL;
    if (!backup_copy(from, to, &trouble, error)) {
        return FALSE;
    }
    if (trouble != NULL && !backup->force) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s; " WAY_ROUND, trouble);
        return FALSE;
    }
    if (trouble != NULL) {
        backup_tell_damage(backup, trouble);
    }
    return TRUE;
}

static gboolean restore_packs(Backup *backup, GError **error)
{
    g_autoptr(GArray) list = packs_list(backup->from, error);
    g_autofree char *folder = backup_path(backup->target, "packs");
    for (guint i = 0; list != NULL && i < list->len; i++) {
        gint64 number = g_array_index(list, gint64, i);
        g_autofree char *from = packs_path(backup->from, number), *to = packs_path(backup->to, number);
        struct stat st;
        if (!restore_bring(backup, from, to, error)) {
            return FALSE;
        }
        if (stat(to, &st) == 0) {
            backup->report->bytes += (guint64)st.st_size;
            backup->report->packs++;
        }
    }
    backup->report->copied = backup->report->packs;
    return list != NULL && backup_flush(folder, error);
}

/* The log that goes with the catalogue: a backup that was broken off may have left that of a newer one, or one that has
 * begun anew. *mark: the event's place in it. NULL: none does. */
static char *log_of(const Backup *backup, EventMark *mark)
{
    static const char *const names[] = {"names.log", BACKUP_FORMER_LOG};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        gboolean moved;
        g_autofree char *path = backup_path(backup->source, names[i]);
        if (eventlog_locate(path, mark, &moved, NULL) && eventlog_has(path, mark)) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

static gboolean restore_kept_logs(Backup *backup, GError **error)
{
    g_autofree char *log = backup_path(backup->source, "names.log");
    g_auto(GStrv) kept = checkpoint_kept(log);
    for (guint i = 0; kept[i] != NULL; i++) {
        g_autofree char *name = g_path_get_basename(kept[i]), *to = backup_path(backup->target, name);
        if (!restore_bring(backup, kept[i], to, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean is_of_users(const char *name)
{
    return strcmp(name, BACKUP_USERS) == 0 || strcmp(name, BACKUP_NEXT_USERS) == 0;
}

/* Whether the backup held users, by its list. New ones of a backup that was broken off before they had their name are
 * not those of its catalogue. */
static gboolean had_users(const Backup *backup)
{
    g_autofree char *next = backup_path(backup->source, BACKUP_NEXT_USERS);
    return backup_list_has(backup->before, BACKUP_USERS) ||
           (backup_list_has(backup->before, BACKUP_NEXT_USERS) && !g_file_test(next, G_FILE_TEST_EXISTS));
}

/* A backup that was broken off may have brought new ones already. */
static gboolean users_are_whole(const Backup *backup, GError **error)
{
    g_autofree char *path = backup_path(backup->source, BACKUP_USERS);
    gboolean there = g_file_test(path, G_FILE_TEST_EXISTS);
    if (!there && had_users(backup)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: not there: without users everybody may do everything in what is restored", path);
        return FALSE;
    }
    if (!there || (backup_list_has(backup->before, BACKUP_NEXT_USERS) &&
                   backup_list_check_as(backup->before, backup->source, BACKUP_USERS, BACKUP_NEXT_USERS, NULL))) {
        return TRUE;
    }
    return backup_list_has(backup->before, BACKUP_USERS)
               ? backup_list_check(backup->before, backup->source, BACKUP_USERS, error)
               : database_check(path, error);
}

/* Each file of the list is what the backup brought; those that are not are told, and nothing is restored, unless it is
 * forced. */
static gboolean restore_verify(Backup *backup, GError **error)
{
    g_autoptr(GList) names = backup_list_names(backup->before);
    guint damaged = 0;
    for (const GList *one = names; one != NULL; one = one->next) {
        g_autoptr(GError) problem = NULL;
        if (!is_of_users(one->data) && !backup_list_check(backup->before, backup->source, one->data, &problem)) {
            backup_tell_damage(backup, problem->message);
            damaged++;
        }
    }
    g_autoptr(GError) problem = NULL;
    if (!users_are_whole(backup, &problem)) {
        backup_tell_damage(backup, problem->message);
        damaged++;
    }
    if (damaged > 0 && !backup->force) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: nothing is restored: %u of its files are damaged; " WAY_ROUND, backup->source, damaged);
    }
    return damaged == 0 || backup->force;
}

/* The list; if forced, one that can't be read verifies nothing. */
static gboolean restore_read_list(Backup *backup, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (backup_read_list(backup, backup->source, &problem)) {
        return TRUE;
    }
    if (!backup->force) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: nothing is restored: %s; " WAY_ROUND, backup->source,
                    problem->message);
        return FALSE;
    }
    backup_tell_damage(backup, problem->message);
    backup->before = backup_list_new();
    return TRUE;
}

/* --- names --- */

static gboolean restore_damaged(const Backup *backup, const char *file, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s/%s: damaged: %s", backup->source, file, why);
    return FALSE;
}

/* What came of uploads is in no backup: neither they nor what they count on is to take room in the restored folder. */
static gboolean restore_no_uploads(Database *catalogue, GError **error)
{
    Connection *writer = database_begin(catalogue, error);
    return writer != NULL &&
           database_end(catalogue, upload_rows_clear(writer, error) && leases_clear(writer, error), error);
}

/* The log goes as far as its catalogue: a backup that was broken off may have brought a newer one. CORRUPT where one of
 * the two is damaged. */
static gboolean restore_log(Backup *backup, const char *catalogue, GError **error)
{
    g_autofree char *to = backup_path(backup->target, "names.log");
    if (!g_file_test(catalogue, G_FILE_TEST_EXISTS)) {
        return restore_damaged(backup, "catalogue.sqlite", "it can't be read", error);
    }
    g_autoptr(Database) copy = database_open(catalogue, DATABASE_PLAIN, schema_migrations, schema_count, error);
    g_autoptr(Connection) reader = copy == NULL ? NULL : database_reader(copy, error);
    EventMark mark;
    LogMarkKind kind;
    if (reader == NULL || !logmark_get(reader, &mark, &kind, error)) {
        return FALSE;
    }
    backup->report->event = mark.number;
    g_autofree char *complaint = row_check_first(reader), *from = log_of(backup, &mark);
    if (complaint != NULL) {
        return restore_damaged(backup, "catalogue.sqlite", complaint, error);
    }
    if (from == NULL) {
        return restore_damaged(backup, "names.log", "it lacks the catalogue's last event", error);
    }
    if (!restore_no_uploads(copy, error)) {
        return FALSE;
    }
    if (backup->force) {
        return restore_bring(backup, from, to, error) && database_settle(copy, error) &&
               (truncate(to, (off_t)mark.end) == 0 || ingot_error_set_errno(error, errno, "%s", to));
    }
    return backup_bring_part(from, to, mark.end, error) && database_settle(copy, error);
}

/* Catalogue and log as they are, where one of them is damaged: what opens the folder says how it is mended. */
static gboolean restore_log_anyway(Backup *backup, const char *complaint, GError **error)
{
    g_autofree char *from = backup_path(backup->source, "names.log"), *to = backup_path(backup->target, "names.log");
    backup_tell_damage(backup, complaint);
    return !g_file_test(from, G_FILE_TEST_EXISTS) || restore_bring(backup, from, to, error);
}

static gboolean restore_names(Backup *backup, const char *part, GError **error)
{
    g_autofree char *from = backup_path(backup->source, "catalogue.sqlite");
    g_autoptr(GError) problem = NULL;
    if (!restore_bring(backup, from, part, error)) {
        return FALSE;
    }
    if (restore_log(backup, part, &problem)) {
        return restore_kept_logs(backup, error);
    }
    if (backup->force && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        return restore_log_anyway(backup, problem->message, error) && restore_kept_logs(backup, error);
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s; nothing is restored; " WAY_ROUND, problem->message);
    } else {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return FALSE;
}

/* Without its users a registry would be open: those that can't be read are not left out. */
static gboolean restore_users(Backup *backup, GError **error)
{
    g_autofree char *from = backup_path(backup->source, BACKUP_USERS), *to = backup_path(backup->target, BACKUP_USERS);
    if (!g_file_test(from, G_FILE_TEST_EXISTS) || backup_bring(from, to, FALSE, error)) {
        return TRUE;
    }
    g_prefix_error(error,
                   "nothing is restored (to do without the users, remove %s from the backup, and force it): ", from);
    return FALSE;
}

/* --- the folder --- */

/* The folder was empty: all that is in it came with this restore. */
static void restore_undo(const Backup *backup, gboolean is_new)
{
    if (is_new) {
        ingot_file_remove_tree(backup->target, NULL);
        return;
    }
    g_autoptr(GDir) dir = g_dir_open(backup->target, 0, NULL);
    for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = backup_path(backup->target, name);
        ingot_file_remove_tree(path, NULL);
    }
}

/* Names first: damage among them is said before the packs are copied. A restore that fails leaves nothing. */
static gboolean restore_files(Backup *backup, gboolean is_new, GError **error)
{
    g_autofree char *part = backup_path(backup->target, "catalogue.sqlite.part");
    g_autofree char *to = backup_path(backup->target, "catalogue.sqlite");
    gboolean ok = restore_names(backup, part, error) && restore_users(backup, error) && restore_packs(backup, error) &&
                  (rename(part, to) == 0 || errno == ENOENT || ingot_error_set_errno(error, errno, "%s", to)) &&
                  backup_flush(backup->target, error);
    if (!ok) {
        restore_undo(backup, is_new);
    }
    return ok;
}

static gboolean restore_check(Backup *backup, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(Storage) storage = storage_open(backup->target, &problem);
    const ScrubOptions options = {.tell = backup->tell, .user = backup->user};
    ScrubReport scrub;
    if (storage == NULL && backup->force && problem != NULL) {
        backup_tell_damage(backup, problem->message); /* the command that mends it is in it */
        return TRUE;
    }
    if (storage == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    gboolean ok = storage_scrub(storage, &options, &scrub, error);
    backup->report->damaged += ok ? scrub.damaged + scrub.inconsistencies : 0;
    if (ok && backup->force && scrub.inconsistencies > 0) {
        g_autofree char *word = ingot_text_word(backup->target);
        g_autofree char *line = g_strdup_printf("`ingotd rebuild --data %s` makes the catalogue again from the packs"
                                                " and the log of events",
                                                word);
        backup->tell(line, backup->user);
    }
    return ok;
}

gboolean storage_restore(const char *folder, const char *data, gboolean force,
                         void (*tell)(const char *line, gpointer user), gpointer user, BackupReport *report,
                         GError **error)
{
    memset(report, 0, sizeof *report);
    Backup backup = {.source = folder, .target = data, .force = force, .report = report, .tell = tell, .user = user};
    g_autofree char *catalogue = backup_path(folder, "catalogue.sqlite");
    if (!backup_folder_is(folder) || !g_file_test(catalogue, G_FILE_TEST_EXISTS)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: not a whole backup of ingotd", folder);
        return FALSE;
    }
    if (!backup_folder_is_empty(data)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s: not empty; a backup is restored to a new folder",
                    data);
        return FALSE;
    }
    gboolean is_new = !g_file_test(data, G_FILE_TEST_EXISTS);
    gboolean ok = restore_read_list(&backup, error) && restore_verify(&backup, error) &&
                  ingot_file_make_folder(data, error) &&
                  (!is_new || chmod(data, 0700) == 0 || ingot_error_set_errno(error, errno, "%s", data)) &&
                  backup_open(&backup, error) && restore_files(&backup, is_new, error) && restore_check(&backup, error);
    backup_close(&backup);
    return ok;
}
