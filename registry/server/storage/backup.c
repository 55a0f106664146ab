#include "server/storage/backup.h"

#include <errno.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "server/catalogue/logmark.h"
#include "server/catalogue/rowcheck.h"
#include "server/catalogue/schema.h"
#include "server/events/checkpoint.h"
#include "server/storage/backuppacks.h"

#define TRIES 20 /* catalogues that are copied until all packs of one are had */

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

/* The users, as a copy that is whole, under the name of the next ones. *have FALSE: there are none, or they are damaged
 * and an earlier backup has whole ones, which stay. */
static gboolean users_copy(Backup *backup, gboolean *have, GError **error)
{
    g_autofree char *from = backup_path(backup->source, BACKUP_USERS), *to = backup_path(backup->target, BACKUP_USERS);
    g_autofree char *next = backup_path(backup->target, BACKUP_NEXT_USERS);
    g_autoptr(GError) problem = NULL;
    *have = g_file_test(from, G_FILE_TEST_EXISTS);
    if (!*have) {
        return TRUE;
    }
    if (database_copy(from, next, &problem) && database_check(next, &problem)) {
        return backup_flush(next, error) && backup_list_note(backup->list, backup->target, BACKUP_NEXT_USERS, error);
    }
    if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    g_autofree char *line = g_strdup_printf("%s: damaged: %s", from, problem->message);
    backup_tell_damage(backup, line);
    unlink(next);
    *have = FALSE;
    backup_list_take(backup->list, backup->before, BACKUP_USERS);
    return g_file_test(to, G_FILE_TEST_EXISTS) || backup_bring(from, to, FALSE, error);
}

/* They have their name now; the list tells of both until then, so that a restore knows either. */
static gboolean users_name(Backup *backup, gboolean have, GError **error)
{
    g_autofree char *to = backup_path(backup->target, BACKUP_USERS),
                    *next = backup_path(backup->target, BACKUP_NEXT_USERS);
    if (!have) {
        return TRUE;
    }
    backup_list_rename(backup->list, BACKUP_NEXT_USERS, BACKUP_USERS);
    return rename(next, to) == 0 || ingot_error_set_errno(error, errno, "%s", to);
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

/* A damaged row comes along: rebuild makes it again of what else the backup has. */
static gboolean backup_check_rows(const Backup *backup, Connection *reader)
{
    g_autofree char *complaint = row_check_first(reader);
    if (complaint != NULL) {
        g_autofree char *line = g_strdup_printf("%s/catalogue.sqlite: damaged: %s", backup->source, complaint);
        backup_tell_damage(backup, line);
    }
    return TRUE;
}

/* One catalogue and all that it knows. */
static gboolean backup_once(Backup *backup, gboolean *gone, GError **error)
{
    g_autofree char *from = backup_path(backup->source, "catalogue.sqlite");
    g_autofree char *part = backup_path(backup->target, "catalogue.sqlite.part");
    g_autofree char *packs = backup_path(backup->target, "packs");
    *gone = FALSE;
    *backup->report = (BackupReport){0};
    backup_begin_list(backup);
    if (!database_copy(from, part, error)) {
        return FALSE;
    }
    g_autoptr(Database) copy = database_open(part, DATABASE_PLAIN, schema_migrations, schema_count, error);
    g_autoptr(Connection) reader = copy == NULL ? NULL : database_reader(copy, error);
    EventMark mark;
    LogMarkKind kind;
    gboolean users;
    return reader != NULL && logmark_get(reader, &mark, &kind, error) &&
           backup_packs_bring(backup, reader, gone, error) && backup_flush(packs, error) &&
           kept_logs_bring(backup, error) && users_copy(backup, &users, error) && backup_list(backup, TRUE, error) &&
           backup_log(backup, &mark, gone, error) && users_name(backup, users, error) &&
           backup_check_rows(backup, reader) && database_settle(copy, error) && backup_name(backup, part, error) &&
           backup_drop_former(backup, error) && backup_list(backup, FALSE, error) &&
           backup_packs_drop(backup, reader, error) && kept_logs_drop(backup, error);
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

gboolean storage_backup(const char *data, const char *folder, gboolean quick,
                        void (*tell)(const char *line, gpointer user), gpointer user, BackupReport *report,
                        GError **error)
{
    memset(report, 0, sizeof *report);
    Backup backup = {.source = data, .target = folder, .quick = quick, .report = report, .tell = tell, .user = user};
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
    /* Marked first: a folder that holds no more than a lock would be neither empty nor a backup. */
    gboolean ok = ingot_file_make_folder(folder, error) &&
                  (!is_new || chmod(folder, 0700) == 0 || ingot_error_set_errno(error, errno, "%s", folder)) &&
                  backup_mark(&backup, error);
    g_autoptr(IngotLock) lock = ok ? backup_lock(folder, error) : NULL;
    ok = lock != NULL && backup_open(&backup, error) && backup_read_list(&backup, folder, error) &&
         backup_run(&backup, error);
    backup_close(&backup);
    return ok;
}
