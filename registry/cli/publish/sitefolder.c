/* A folder as a site. Its lock, an flock(2) of the folder itself, is held for the moment of a change. */
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/newfile.h"
#include "base/process.h"
#include "cli/publish/site.h"

#define COPY_STEP ((size_t)16 << 20) /* bytes between two looks at whether to go on */

typedef struct {
    Site site;
    char *path;
    IngotProgress *progress;
} SiteFolder;

static char *folder_name(const Site *site, const char *path)
{
    return g_build_filename(((const SiteFolder *)site)->path, path, NULL);
}

static gboolean folder_find(Site *site, const char *path, gboolean *there, guint64 *size, GError **error)
{
    g_autofree char *name = folder_name(site, path);
    struct stat st;
    *there = stat(name, &st) == 0;
    if (!*there) {
        return errno == ENOENT || ingot_error_set_errno(error, errno, "%s", name);
    }
    *size = (guint64)st.st_size;
    return S_ISREG(st.st_mode) || ingot_error_set_errno(error, EISDIR, "%s: not a file, and in the way", name);
}

static gboolean folder_read(Site *site, const char *path, gsize limit, GBytes **bytes, char **version, GError **error)
{
    gboolean there;
    guint64 size;
    *bytes = NULL;
    *version = NULL;
    if (!folder_find(site, path, &there, &size, error)) {
        return FALSE;
    }
    g_autofree char *name = folder_name(site, path);
    *bytes = there ? ingot_file_read(name, limit, error) : NULL;
    *version = *bytes == NULL ? NULL : g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, *bytes);
    return !there || *bytes != NULL;
}

static gboolean make_parents(const char *name, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(name);
    return ingot_file_make_folder(parent, error);
}

static gboolean folder_replace(Site *site, const char *path, const char *type, GBytes *bytes, const char *version,
                               gboolean *moved, GError **error)
{
    (void)type;
    const SiteFolder *folder = (const SiteFolder *)site;
    g_auto(IngotFd) fd = ingot_file_open(folder->path, O_RDONLY | O_DIRECTORY, 0, error);
    g_autoptr(GBytes) now = NULL;
    g_autofree char *version_now = NULL, *name = folder_name(site, path);
    if (fd < 0 || !ingot_lock_wait(fd, TRUE, folder->path, error) ||
        !folder_read(site, path, G_MAXSSIZE, &now, &version_now, error)) {
        return FALSE;
    }
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    *moved = g_strcmp0(version, version_now) != 0;
    return *moved || (make_parents(name, error) && ingot_file_replace(name, data, size, 0644, error));
}

/* Shares the bytes where the file system can. */
static gboolean copy_bytes(const SiteFolder *folder, int from, int to, const SiteObject *object, const char *name,
                           GError **error)
{
    guint64 left = object->size;
    while (left > 0) {
        ssize_t moved = copy_file_range(from, NULL, to, NULL, (size_t)MIN(left, COPY_STEP), 0);
        if (moved < 0) {
            return ingot_error_set_errno(error, errno, "%s: cannot be written", name);
        }
        if (moved == 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: shorter than it was", object->path);
            return FALSE;
        }
        left -= (guint64)moved;
        ingot_progress_add(folder->progress, (guint64)moved);
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean copy_there(const SiteFolder *folder, int from, const SiteObject *object, const char *name,
                           GError **error)
{
    g_autoptr(IngotNewFile) file = ingot_newfile_open(name, 0644, error);
    return file != NULL && copy_bytes(folder, from, ingot_newfile_fd(file), object, name, error) &&
           (fsync(ingot_newfile_fd(file)) == 0 || ingot_error_set_errno(error, errno, "%s: cannot sync", name)) &&
           ingot_newfile_name(file, error) && ingot_file_sync_folder(name, error);
}

/* A file that may be moved is, where it lies on the same file system. */
static gboolean folder_put(Site *site, const char *path, const SiteObject *object, GError **error)
{
    const SiteFolder *folder = (const SiteFolder *)site;
    g_autofree char *name = folder_name(site, path);
    g_auto(IngotFd) from = ingot_file_open(object->path, O_RDONLY, 0, error);
    if (from < 0 || !make_parents(name, error)) {
        return FALSE;
    }
    if (object->gives && fsync(from) == 0 && rename(object->path, name) == 0) {
        ingot_progress_add(folder->progress, object->size);
        return ingot_file_sync_folder(name, error);
    }
    return copy_there(folder, from, object, name, error);
}

static void folder_free(Site *site)
{
    SiteFolder *folder = (SiteFolder *)site;
    g_free(folder->path);
    g_free(folder);
}

Site *site_folder_open(const SiteOptions *options, GError **error)
{
    static const SiteKind kind = {.find = folder_find,
                                  .read = folder_read,
                                  .put = folder_put,
                                  .replace = folder_replace,
                                  .name = folder_name,
                                  .free = folder_free};
    if (!ingot_file_make_folder(options->place, error)) {
        return NULL;
    }
    SiteFolder *folder = g_new0(SiteFolder, 1);
    *folder = (SiteFolder){.site = {.kind = &kind}, .path = g_strdup(options->place), .progress = options->progress};
    return &folder->site;
}
