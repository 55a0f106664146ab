#include "server/storage/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "server/catalogue/counters.h"
#include "server/catalogue/holdings.h"
#include "server/catalogue/logmark.h"
#include "server/catalogue/repositories.h"
#include "server/catalogue/rowcheck.h"
#include "server/storage/condense.h"
#include "server/storage/recovery.h"
#include "server/storage/witness.h"

#define BESIDE ".new" /* ends the names of what is made beside what is there */

void rebuild_lost(Rebuild *rebuild, const char *format, ...)
{
    rebuild->report->lost++;
    if (rebuild->options->tell == NULL) {
        return;
    }
    va_list values;
    va_start(values, format);
    g_autofree char *line = g_strdup_vprintf(format, values);
    va_end(values);
    rebuild->options->tell(line, rebuild->options->user);
}

void rebuild_doubts(Rebuild *rebuild, gint64 pack)
{
    g_hash_table_add(rebuild->doubtful, g_memdup2(&pack, sizeof pack));
}

static gboolean count_all(Rebuild *rebuild, GError **error)
{
    Counters counters;
    NameCounts names;
    RebuildReport *report = rebuild->report;
    if (!counters_read(rebuild->change.writer, &counters, error) ||
        !repositories_count(rebuild->change.writer, &names, error)) {
        return FALSE;
    }
    report->pieces = counters.pieces;
    report->repositories = names.repositories;
    report->manifests = names.manifests;
    report->tags = names.tags;
    return TRUE;
}

static gboolean keep_nameless(Rebuild *rebuild, GError **error)
{
    if (rebuild->report->lost == 0) {
        return TRUE;
    }
    g_autoptr(GArray) list = holdings_loose(rebuild->change.writer, error);
    gboolean ok = list != NULL;
    for (guint i = 0; ok && i < list->len; i++) {
        const IngotDigest *digest = &g_array_index(list, IngotDigest, i);
        gint64 blob = names_blob(rebuild->change.writer, digest, error);
        ok = blob > 0 && names_link(&rebuild->change, LOST_FOUND, blob, digest, error);
    }
    return ok;
}

static gboolean run(Rebuild *rebuild, GError **error)
{
    if (!change_begin(rebuild->storage, &rebuild->change, error)) {
        return FALSE;
    }
    gboolean ok = salvage_packs(rebuild, error) && redo_events(rebuild, error) && salvage_name_damage(rebuild, error) &&
                  rebuild_spare(rebuild, error) && count_all(rebuild, error) && keep_nameless(rebuild, error);
    return change_end(&rebuild->change, ok, error);
}

/* Without a source the target goes as well: it would be taken for a part of what stands beside it. */
static gboolean move(const char *folder, const char *from, const char *to, GError **error)
{
    g_autofree char *source = g_build_filename(folder, from, NULL), *target = g_build_filename(folder, to, NULL);
    return rename(source, target) == 0 || (errno == ENOENT && (unlink(target) == 0 || errno == ENOENT)) ||
           ingot_error_set_errno(error, errno, "%s", target);
}

static gboolean sync_folder(const char *folder, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(folder, O_RDONLY | O_DIRECTORY, 0, error);
    return fd >= 0 && (fsync(fd) == 0 || errno == EINVAL || ingot_error_set_errno(error, errno, "%s", folder));
}

/* The same where a rebuild that was killed has moved the catalogue before: what is left of its log follows it, and what
 * is kept stays. */
static gboolean move_rest(const char *folder, const char *from, const char *to, GError **error)
{
    g_autofree char *source = g_build_filename(folder, from, NULL), *target = g_build_filename(folder, to, NULL);
    return (g_file_test(target, G_FILE_TEST_EXISTS) ? unlink(source) : rename(source, target)) == 0 ||
           errno == ENOENT || ingot_error_set_errno(error, errno, "%s", target);
}

static gboolean put_aside(const char *folder, GError **error)
{
    static const char *const names[][2] = {{"catalogue.sqlite", "catalogue.sqlite.old"},
                                           {"catalogue.sqlite-wal", "catalogue.sqlite.old-wal"},
                                           {"catalogue.sqlite-shm", "catalogue.sqlite.old-shm"}};
    g_autofree char *path = g_build_filename(folder, names[0][0], NULL);
    gboolean is_there = g_file_test(path, G_FILE_TEST_EXISTS), ok = TRUE;
    for (guint i = 1; is_there && i < G_N_ELEMENTS(names); i++) {
        g_autofree char *old = g_build_filename(folder, names[i][1], NULL);
        unlink(old); /* of the one before */
    }
    for (guint i = 0; ok && i < G_N_ELEMENTS(names); i++) {
        ok = is_there ? move(folder, names[i][0], names[i][1], error)
                      : move_rest(folder, names[i][0], names[i][1], error);
    }
    return ok;
}

/* The old catalogue is out of the way, with SQLite's log of it, before the new one has its name: one catalogue with the
 * other's log would be neither. Wherever the power goes, the log of events is whole, and all can be done once more. */
static gboolean put_in_place(const char *folder, GError **error)
{
    return put_aside(folder, error) && sync_folder(folder, error) &&
           move(folder, "catalogue.sqlite" BESIDE, "catalogue.sqlite", error) && sync_folder(folder, error);
}

/* --- the log --- */

static gboolean catalogue_is_whole(Storage *storage, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL) {
        return FALSE;
    }
    g_autofree char *complaint = row_check_first(reader);
    if (complaint != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s/catalogue.sqlite: damaged (%s), so no log can be made of it", storage->path, complaint);
    }
    return complaint == NULL;
}

static gboolean pass_over(const Event *event, gpointer user, GError **error)
{
    (void)event, (void)user, (void)error;
    return TRUE;
}

/* Events that the catalogue does not know, beyond those of the one transaction that a crash leaves: it is an older one
 * that was put back, and the log has what came since. Where the log lacks the catalogue's own last event, nothing
 * tells one transaction from more: any that is newer counts. */
static gboolean log_knows_no_more(const char *path, const char *log, EventMark mark, GError **error)
{
    GError *problem = NULL;
    gboolean moved, tail;
    EventMark last;
    if (!eventlog_locate(log, &mark, &moved, error)) {
        return FALSE;
    }
    if (eventlog_check(log, &mark, &tail, &problem)) {
        return TRUE;
    }
    if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    if (!eventlog_read(log, G_MAXUINT64, pass_over, NULL, &last, error)) {
        return FALSE;
    }
    if (last.number > mark.number) {
        g_autofree char *word = ingot_text_word(path);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: the catalogue ends with event %" G_GUINT64_FORMAT ", and the log goes on to %" G_GUINT64_FORMAT
                    ": `ingotd rebuild --data %s` makes the catalogue fit the log; --force would lose what it has more",
                    path, mark.number, last.number, word);
    }
    return last.number <= mark.number;
}

static gboolean begin_log_anew(Storage *storage, gboolean force, EventMark *mark, GError **error)
{
    Change change;
    LogMarkKind kind;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    gboolean ok = logmark_get(change.writer, mark, &kind, error);
    if (ok && kind != LOGMARK_KNOWN) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s/catalogue.sqlite: does not know its last event, so no log can be made of it", storage->path);
        ok = FALSE;
    }
    ok = ok && (force || log_knows_no_more(storage->path, storage->events, *mark, error));
    return change_end(&change, ok && condense_now(&change, mark, NULL, error), error);
}

gboolean storage_rebuild_events(const char *path, gboolean force, guint64 *number, GError **error)
{
    g_autofree char *file = g_build_filename(path, "catalogue.sqlite", NULL);
    if (!g_file_test(file, G_FILE_TEST_EXISTS)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: not there, so no log can be made of it", file);
        return FALSE;
    }
    g_autoptr(IngotLock) lock = storage_lock(path, FALSE, error);
    Storage *storage = lock == NULL ? NULL : storage_open_bare(path, error);
    EventMark mark = {0};
    gboolean ok = storage != NULL && catalogue_is_whole(storage, error) && begin_log_anew(storage, force, &mark, error);
    *number = mark.number;
    storage_close(storage);
    return ok;
}

/* --- the catalogue --- */

/* Whether the catalogue that is there is whole and its log shorter than it was when the catalogue was written. */
static gboolean knows_more(const char *path)
{
    EventMark mark;
    LogMarkKind kind;
    struct stat st = {0};
    g_autofree char *file = g_build_filename(path, "catalogue.sqlite", NULL);
    Storage *storage = g_file_test(file, G_FILE_TEST_EXISTS) ? storage_open_bare(path, NULL) : NULL;
    gboolean more = FALSE;
    if (storage != NULL && catalogue_is_whole(storage, NULL)) {
        g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
        gboolean moved, known = reader != NULL && logmark_get(reader, &mark, &kind, NULL) && kind == LOGMARK_KNOWN &&
                                eventlog_locate(storage->events, &mark, &moved, NULL);
        more = known && ((stat(storage->events, &st) != 0 && errno == ENOENT) || (guint64)st.st_size < mark.end);
    }
    storage_close(storage);
    return more;
}

gboolean storage_rebuild(const char *path, const RebuildOptions *options, RebuildReport *report, GError **error)
{
    memset(report, 0, sizeof *report);
    g_autofree char *packs = g_build_filename(path, "packs", NULL);
    if (!g_file_test(packs, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: not there: no data folder of ingotd", packs);
        return FALSE;
    }
    g_autoptr(IngotLock) lock = storage_lock(path, FALSE, error);
    if (lock != NULL && !options->force && knows_more(path)) {
        g_autofree char *word = ingot_text_word(path);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: the catalogue is whole, and the log lacks what it knows: `ingotd rebuild --events --data %s` "
                    "begins a log anew with all of it; --force would lose that",
                    path, word);
        return FALSE;
    }
    Storage *storage = lock == NULL ? NULL : storage_open_beside(path, BESIDE, error);
    g_autoptr(Replay) replay = replay_new();
    Rebuild rebuild = {.storage = storage, .options = options, .report = report, .replay = replay};
    replay->anew = TRUE;
    g_autoptr(GPtrArray) tail = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) doubtful = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_autoptr(GHashTable) bereft = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    rebuild.tail = tail;
    rebuild.doubtful = doubtful;
    rebuild.bereft = bereft;
    rebuild.witnessed = lock != NULL && witness_read(path, &rebuild.witness);
    gboolean ok = storage != NULL && run(&rebuild, error) && database_settle(storage->catalogue, error);
    storage_close(storage);
    return ok && put_in_place(path, error);
}
