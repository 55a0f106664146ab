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

/* Bytes between two looks at whether to go on. */
#define SHARE_STEP ((size_t)16 << 20)
#define PASS_STEP ((size_t)1 << 20)

typedef struct {
    Site site;
    char *path;
    IngotProgress *progress;
} SiteFolder;

/* An object on its way into its file. */
typedef struct {
    const SiteObject *object;
    int from, to;
    const char *name; /* of the new file, for errors */
} SiteCopy;

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

/* The next bytes, shared where the file system can do that; 0: not by the kernel alone, as between two file systems. */
static guint64 share_bytes(int from, int to, guint64 at, guint64 left)
{
    off_t source = (off_t)at, target = (off_t)at;
    ssize_t moved = copy_file_range(from, &source, to, &target, (size_t)MIN(left, SHARE_STEP), 0);
    return moved > 0 ? (guint64)moved : 0;
}

/* They are read and written, which says what is wrong where they can't be. */
static guint64 pass_bytes(const SiteCopy *copy, guint64 at, guint64 left, GError **error)
{
    gsize size = (gsize)MIN(left, PASS_STEP);
    g_autofree guint8 *buffer = g_malloc(size);
    return ingot_file_pread(copy->from, buffer, size, at, copy->object->path, error) &&
                   ingot_file_pwrite(copy->to, buffer, size, at, copy->name, error)
               ? size
               : 0;
}

static gboolean copy_bytes(const SiteFolder *folder, const SiteCopy *copy, GError **error)
{
    gboolean shares = TRUE;
    for (guint64 at = 0; at < copy->object->size;) {
        guint64 left = copy->object->size - at, moved = shares ? share_bytes(copy->from, copy->to, at, left) : 0;
        if (moved == 0) {
            shares = FALSE;
            moved = pass_bytes(copy, at, left, error);
        }
        if (moved == 0 || !ingot_interrupt_check(error)) {
            return FALSE;
        }
        at += moved;
        ingot_progress_add(folder->progress, moved);
    }
    return TRUE;
}

static gboolean copy_there(const SiteFolder *folder, int from, const SiteObject *object, const char *name,
                           GError **error)
{
    g_autoptr(IngotNewFile) file = ingot_newfile_open(name, 0644, error);
    if (file == NULL) {
        return FALSE;
    }
    const SiteCopy copy = {.object = object, .from = from, .to = ingot_newfile_fd(file), .name = name};
    return copy_bytes(folder, &copy, error) &&
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
