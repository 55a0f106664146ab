#include "server/storage/backupfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "server/packs/splitter.h"

#define STEP (1u << 20)   /* bytes that are copied at once */
#define SECTOR (4u << 10) /* bytes that a disk loses together */

void backup_tell_damage(const Backup *backup, const char *line)
{
    backup->report->damaged++;
    if (g_hash_table_add(backup->told, g_strdup(line))) {
        backup->tell(line, backup->user);
    }
}

IngotLock *backup_lock(const char *folder, GError **error)
{
    g_autofree char *path = backup_path(folder, ".lock");
    GError *problem = NULL;
    IngotLock *lock = ingot_lock_take(path, TRUE, FALSE, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        g_prefix_error(&problem, "another backup to this folder is under way: ");
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return lock;
}

gboolean backup_flush(const char *path, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    return fd >= 0 && (fsync(fd) == 0 || errno == EINVAL || ingot_error_set_errno(error, errno, "%s", path));
}

/* Without somebody to tell it to, a trouble is an error. */
static gboolean copy_trouble(char *text, char **trouble, GError **error)
{
    if (trouble == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s", text);
        g_free(text);
        return FALSE;
    }
    *trouble = text;
    return TRUE;
}

/* Reads bytes, with zeros for each sector that can't be read. How many bytes those are. */
static gsize copy_read(int in, guint8 *buffer, gsize size, guint64 at)
{
    gsize unread = 0;
    if (ingot_file_pread(in, buffer, size, at, "", NULL)) {
        return 0;
    }
    for (gsize done = 0; done < size; done += SECTOR) {
        gsize step = MIN(SECTOR, size - done);
        if (!ingot_file_pread(in, buffer + done, step, at + done, "", NULL)) {
            memset(buffer + done, 0, step);
            unread += step;
        }
    }
    return unread;
}

gboolean backup_copy(const char *from, const char *path, char **trouble, GError **error)
{
    g_autofree char *part = g_strconcat(path, ".part", NULL);
    g_autofree guint8 *buffer = g_malloc(STEP);
    guint64 unread = 0;
    struct stat st;
    g_auto(IngotFd) in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (in < 0 && errno == ENOENT) {
        return ingot_error_set_errno(error, errno, "%s", from);
    }
    if (in < 0 || fstat(in, &st) != 0 || !S_ISREG(st.st_mode)) {
        return copy_trouble(
            g_strdup_printf("%s: can't be read: %s; it is left out", from, in < 0 ? g_strerror(errno) : "not a file"),
            trouble, error);
    }
    g_auto(IngotFd) out = ingot_file_open(part, O_WRONLY | O_CREAT | O_TRUNC, (int)(st.st_mode & 0777), error);
    for (guint64 at = 0; at < (guint64)st.st_size; at += STEP) {
        gsize step = (gsize)MIN(STEP, (guint64)st.st_size - at);
        unread += copy_read(in, buffer, step, at);
        if (out < 0 || !ingot_file_pwrite(out, buffer, step, at, part, error)) {
            return FALSE;
        }
    }
    if (unread > 0 &&
        !copy_trouble(g_strdup_printf("%s: %" G_GUINT64_FORMAT " bytes of it can't be read", from, unread), trouble,
                      error)) {
        return FALSE;
    }
    const struct timespec times[] = {st.st_atim, st.st_mtim};
    return out >= 0 && (futimens(out, times) == 0 || ingot_error_set_errno(error, errno, "%s", part)) &&
           ingot_file_publish(out, part, path, error);
}

gboolean backup_bring(const char *from, const char *path, gboolean may_link, GError **error)
{
    return (may_link && link(from, path) == 0) || backup_copy(from, path, NULL, error);
}

gboolean backup_bring_part(const char *from, const char *path, guint64 size, GError **error)
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

char *backup_path(const char *folder, const char *name)
{
    return g_build_filename(folder, name, NULL);
}

gboolean backup_has_seen(Backup *backup, const char *name)
{
    gboolean seen = backup_list_has(backup->seen, name);
    if (seen) {
        backup_list_take(backup->list, backup->seen, name);
    }
    return seen;
}

gboolean backup_folder_is_empty(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    return dir == NULL || g_dir_read_name(dir) == NULL;
}

gboolean backup_folder_is(const char *path)
{
    g_autofree char *marker = backup_path(path, BACKUP_MARKER);
    return g_file_test(marker, G_FILE_TEST_EXISTS);
}

gboolean backup_open(Backup *backup, GError **error)
{
    g_autofree char *from = backup_path(backup->source, "packs"), *to = backup_path(backup->target, "packs");
    backup->from = packs_open(from, error);
    backup->to = backup->from == NULL ? NULL : packs_open(to, error);
    return backup->to != NULL;
}

gboolean backup_read_list(Backup *backup, const char *folder, GError **error)
{
    backup->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    backup->copied = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    backup->before = backup_list_load(folder, error);
    backup->list = backup_list_new();
    backup->seen = backup_list_new();
    return backup->before != NULL;
}

void backup_close(Backup *backup)
{
    packs_close(backup->from);
    packs_close(backup->to);
    backup_list_free(backup->before);
    backup_list_free(backup->list);
    backup_list_free(backup->seen);
    g_clear_pointer(&backup->copied, g_hash_table_unref);
    g_clear_pointer(&backup->told, g_hash_table_unref);
}
