/* Restoring: a data folder made of a backup, once each of its files is what the backup brought. */
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/logmark.h"
#include "server/catalogue/rowcheck.h"
#include "server/catalogue/schema.h"
#include "server/events/checkpoint.h"
#include "server/storage/backupfiles.h"
#include "server/storage/scrub.h"

static gboolean restore_packs(Backup *backup, GError **error)
{
    g_autoptr(GArray) list = packs_list(backup->from, error);
    g_autofree char *folder = backup_path(backup->target, "packs");
    for (guint i = 0; list != NULL && i < list->len; i++) {
        gint64 number = g_array_index(list, gint64, i);
        g_autofree char *from = packs_path(backup->from, number), *to = packs_path(backup->to, number);
        struct stat st;
        if (!backup_bring(from, to, FALSE, error)) {
            return FALSE;
        }
        backup->report->bytes += stat(to, &st) == 0 ? (guint64)st.st_size : 0;
        backup->report->copied++;
    }
    if (list == NULL) {
        return FALSE;
    }
    backup->report->packs = list->len;
    return backup_flush(folder, error);
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
        if (!backup_bring(kept[i], to, FALSE, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Each file of the list is what the backup brought, or nothing is restored. */
static gboolean restore_verify(Backup *backup, GError **error)
{
    g_autoptr(GList) names = backup_list_names(backup->before);
    for (const GList *one = names; one != NULL; one = one->next) {
        if (!backup_list_check(backup->before, backup->source, one->data, error)) {
            g_prefix_error(error, "nothing is restored: ");
            return FALSE;
        }
    }
    return TRUE;
}

/* The log goes as far as its catalogue: a backup that was broken off may have brought a newer one. */
static gboolean restore_log(Backup *backup, const char *catalogue, GError **error)
{
    g_autofree char *to = backup_path(backup->target, "names.log");
    g_autoptr(Database) copy = database_open(catalogue, DATABASE_PLAIN, schema_migrations, schema_count, error);
    g_autoptr(Connection) reader = copy == NULL ? NULL : database_reader(copy, error);
    EventMark mark;
    LogMarkKind kind;
    if (reader == NULL || !logmark_get(reader, &mark, &kind, error)) {
        return FALSE;
    }
    backup->report->event = mark.number;
    g_autofree char *complaint = row_check_first(reader), *from = log_of(backup, &mark);
    if (complaint != NULL || from == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s/%s: damaged: %s; nothing is restored", backup->source,
                    complaint != NULL ? "catalogue.sqlite" : "names.log",
                    complaint != NULL ? complaint : "it lacks the catalogue's last event");
        return FALSE;
    }
    return backup_bring_part(from, to, mark.end, error) && restore_kept_logs(backup, error) &&
           database_settle(copy, error);
}

static gboolean restore_files(Backup *backup, GError **error)
{
    g_autofree char *from = backup_path(backup->source, "catalogue.sqlite");
    g_autofree char *part = backup_path(backup->target, "catalogue.sqlite.part");
    g_autofree char *to = backup_path(backup->target, "catalogue.sqlite");
    g_autofree char *users = backup_path(backup->source, "users.sqlite"),
                    *own = backup_path(backup->target, "users.sqlite");
    return restore_packs(backup, error) && backup_bring(from, part, FALSE, error) && restore_log(backup, part, error) &&
           (!g_file_test(users, G_FILE_TEST_EXISTS) || backup_bring(users, own, FALSE, error)) &&
           (rename(part, to) == 0 || ingot_error_set_errno(error, errno, "%s", to)) &&
           backup_flush(backup->target, error);
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
    if (!backup_read_list(&backup, folder, error) || !restore_verify(&backup, error)) {
        backup_close(&backup);
        return FALSE;
    }
    gboolean is_new = !g_file_test(data, G_FILE_TEST_EXISTS);
    gboolean ok = ingot_file_make_folder(data, error) &&
                  (!is_new || chmod(data, 0700) == 0 || ingot_error_set_errno(error, errno, "%s", data)) &&
                  backup_open(&backup, error) && restore_files(&backup, error);
    backup_close(&backup);
    return ok && restore_check(&backup, error);
}
