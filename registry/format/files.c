/* The files of a format: the list of them, and writing it as one file or as a folder. */
#include <errno.h>
#include <ingot/error.h>
#include <ingot/format.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "format/all.h"

static void file_free(gpointer data)
{
    IngotFormatFile *file = data;
    g_free(file->name);
    ingot_layout_unref(file->layout);
    g_free(file);
}

GPtrArray *ingot_format_files_new(void)
{
    return g_ptr_array_new_with_free_func(file_free);
}

void ingot_format_files_add(GPtrArray *files, const char *name, IngotLayout *layout)
{
    IngotFormatFile *file = g_new0(IngotFormatFile, 1);
    file->name = g_strdup(name);
    file->layout = layout;
    g_ptr_array_add(files, file);
}

GPtrArray *ingot_format_files_one(const char *name, IngotLayout *layout)
{
    GPtrArray *files = ingot_format_files_new();
    ingot_format_files_add(files, name, layout);
    return files;
}

const IngotFormatFile *ingot_format_file(const GPtrArray *files, const char *name, GError **error)
{
    for (guint i = 0; i < files->len; i++) {
        const IngotFormatFile *file = g_ptr_array_index(files, i);
        if (strcmp(file->name, name) == 0) {
            return file;
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "the format has no file of that name");
    return NULL;
}

static gboolean write_all(const GPtrArray *files, IngotDisk *disk, const char *folder, IngotProgress *progress,
                          GError **error)
{
    for (guint i = 0; i < files->len; i++) {
        const IngotFormatFile *file = g_ptr_array_index(files, i);
        g_autofree char *path = g_build_filename(folder, file->name, NULL);
        if (!ingot_layout_export(file->layout, disk, path, i == 0 ? progress : NULL, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean refuse_folder(const char *path, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                "%s: is there already; the format is a folder of files: give the name of a new one", path);
    return FALSE;
}

/* Another one may have made its own meanwhile. */
static gboolean name_folder(const char *made, const char *path, GError **error)
{
    if (rename(made, path) == 0) {
        return TRUE;
    }
    return errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR ? refuse_folder(path, error)
                                                                     : ingot_error_set_errno(error, errno, "%s", path);
}

/* Without the slashes at the end that a shell completes a folder's name with. */
static char *folder_name(const char *path)
{
    gsize size = strlen(path);
    while (size > 1 && path[size - 1] == '/') {
        size--;
    }
    return g_strndup(path, size);
}

/* A link is there too, wherever it leads. */
gboolean format_folder_check(const char *path, GError **error)
{
    g_autofree char *name = folder_name(path), *parent = g_path_get_dirname(name);
    struct stat there;
    if (lstat(name, &there) == 0) {
        return refuse_folder(path, error);
    }
    return access(parent, W_OK | X_OK) == 0 ||
           ingot_error_set_errno(error, errno, "%s: no folder can be made in %s", path, parent);
}

static gboolean write_folder(const GPtrArray *files, IngotDisk *disk, const char *path, IngotProgress *progress,
                             GError **error)
{
    if (!format_folder_check(path, error)) {
        return FALSE;
    }
    g_autofree char *whole = g_canonicalize_filename(path, NULL), *parent = g_path_get_dirname(whole);
    g_autofree char *made = g_build_filename(parent, ".ingot-XXXXXX", NULL);
    if (g_mkdtemp_full(made, 0777) == NULL) {
        return ingot_error_set_errno(error, errno, "%s: cannot make a folder beside it", path);
    }
    if (write_all(files, disk, made, progress, error) && name_folder(made, path, error)) {
        return TRUE;
    }
    ingot_file_remove_tree(made, NULL);
    return FALSE;
}

gboolean ingot_format_write(const GPtrArray *files, IngotDisk *disk, const char *path, IngotProgress *progress,
                            GError **error)
{
    const IngotFormatFile *first = g_ptr_array_index(files, 0);
    return files->len == 1 ? ingot_layout_export(first->layout, disk, path, progress, error)
                           : write_folder(files, disk, path, progress, error);
}
