#include "server/storage/backupfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/packs/splitter.h"

gboolean backup_flush(const char *path, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    return fd >= 0 && (fsync(fd) == 0 || errno == EINVAL || ingot_error_set_errno(error, errno, "%s", path));
}

gboolean backup_bring(const char *from, const char *path, gboolean may_link, GError **error)
{
    if (may_link && link(from, path) == 0) {
        return TRUE;
    }
    g_autofree char *part = g_strconcat(path, ".part", NULL);
    struct stat st;
    if (stat(from, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", from);
    }
    return ingot_file_copy(from, part, error) && backup_flush(part, error) &&
           (rename(part, path) == 0 || ingot_error_set_errno(error, errno, "%s", path));
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
}
