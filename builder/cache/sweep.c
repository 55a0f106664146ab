#include "cache/sweep.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "bundle/download.h"

#define DAY ((gint64)24 * 3600)
#define RECORD_AGE (90 * DAY)

static gint64 sweep_age(const char *path, gint64 now)
{
    struct stat st;
    return lstat(path, &st) == 0 ? now - st.st_mtim.tv_sec : 0;
}

/* Calls visit for each name in a folder, which may be missing. */
typedef struct {
    const char *folder;
    gint64 now;
    gboolean all;
} Sweep;
static void sweep_each(const Sweep *sweep, void (*visit)(const Sweep *sweep, const char *name))
{
    g_autoptr(GDir) names = g_dir_open(sweep->folder, 0, NULL);
    const char *name;
    while (names != NULL && (name = g_dir_read_name(names)) != NULL) {
        visit(sweep, name);
    }
}

/* --- sources --- */

static gboolean sweep_is_leftover(const Sweep *sweep, const char *path, const char *name)
{
    return g_str_has_suffix(name, ".making") ||
           (g_str_has_suffix(name, ".part") && (sweep->all || sweep_age(path, sweep->now) > DAY));
}

/* In the folder of a source whose lock is held. */
static void sweep_inside(const Sweep *sweep, const char *name)
{
    g_autofree char *path = g_build_filename(sweep->folder, name, NULL);
    if (sweep_is_leftover(sweep, path, name)) {
        ingot_file_remove_tree(path, NULL);
    }
}

/* Locks and the record of a check, of a source that is not in the cache. */
static gboolean sweep_is_alone(const Sweep *sweep, const char *source, const char *path, const char *name)
{
    return !g_file_test(source, G_FILE_TEST_EXISTS) && sweep_age(path, sweep->now) > RECORD_AGE &&
           (g_str_has_suffix(name, INGOT_DOWNLOAD_USE) || g_str_has_suffix(name, INGOT_DOWNLOAD_CHECKED) ||
            g_str_has_suffix(name, ".lock"));
}

/* NAME is a source, NAME.lock the lock of whoever makes it, NAME.* what belongs to it. */
static void sweep_source(const Sweep *sweep, const char *name)
{
    g_autofree char *path = g_build_filename(sweep->folder, name, NULL);
    g_autofree char *source = g_strndup(path, strlen(sweep->folder) + 1 + strcspn(name, "."));
    gboolean folder = strchr(name, '.') == NULL && g_file_test(path, G_FILE_TEST_IS_DIR);
    if (!folder && !sweep_is_leftover(sweep, path, name) && !sweep_is_alone(sweep, source, path, name)) {
        return;
    }
    g_autofree char *lock_path = g_strconcat(source, ".lock", NULL);
    gboolean had_lock = g_file_test(lock_path, G_FILE_TEST_EXISTS);
    g_autoptr(IngotLock) lock = ingot_lock_take(lock_path, TRUE, FALSE, NULL);
    if (lock == NULL) {
        return;
    }
    if (folder) {
        const Sweep inside = {.folder = path, .now = sweep->now, .all = sweep->all};
        sweep_each(&inside, sweep_inside);
    } else if (!g_str_has_suffix(name, INGOT_DOWNLOAD_USE)) {
        ingot_file_remove_tree(path, NULL);
    } else {
        g_autoptr(IngotLock) use = ingot_lock_take(path, TRUE, FALSE, NULL);
        if (use != NULL) {
            g_remove(path);
        }
    }
    if (!had_lock) {
        g_remove(lock_path);
    }
}

/* --- small files --- */

static void sweep_turn(const Sweep *sweep, const char *name)
{
    g_autofree char *path = g_build_filename(sweep->folder, name, NULL);
    g_autoptr(IngotLock) lock = sweep_age(path, sweep->now) > DAY ? ingot_lock_take(path, TRUE, FALSE, NULL) : NULL;
    if (lock != NULL) {
        g_remove(path);
    }
}

static void sweep_record(const Sweep *sweep, const char *name)
{
    g_autofree char *path = g_build_filename(sweep->folder, name, NULL);
    if (sweep_age(path, sweep->now) > RECORD_AGE) {
        g_remove(path);
    }
}

void sweep_leftovers(const char *cache, gint64 now, gboolean all)
{
    static const struct {
        const char *folder;
        void (*visit)(const Sweep *sweep, const char *name);
    } rooms[] = {{"sources", sweep_source}, {"turns", sweep_turn}, {"images", sweep_record}, {"plans", sweep_record}};
    for (guint i = 0; i < G_N_ELEMENTS(rooms); i++) {
        g_autofree char *folder = g_build_filename(cache, rooms[i].folder, NULL);
        const Sweep sweep = {.folder = folder, .now = now, .all = all};
        sweep_each(&sweep, rooms[i].visit);
    }
}
