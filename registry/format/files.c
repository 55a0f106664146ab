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
#include "format/input.h"

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

static gboolean refuse_folder(const char *path, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                "%s: is there already; what is written is a folder of files: give the name of a new one", path);
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

/* Puts the files into a folder that has no name yet. */
typedef gboolean (*FolderFill)(const char *folder, gpointer user, GError **error);

static gboolean write_folder(const char *path, FolderFill fill, gpointer user, GError **error)
{
    if (!format_folder_check(path, error)) {
        return FALSE;
    }
    g_autofree char *whole = g_canonicalize_filename(path, NULL), *parent = g_path_get_dirname(whole);
    g_autofree char *made = g_build_filename(parent, ".ingot-XXXXXX", NULL);
    if (g_mkdtemp_full(made, 0777) == NULL) {
        return ingot_error_set_errno(error, errno, "%s: cannot make a folder beside it", path);
    }
    if (fill(made, user, error) && name_folder(made, path, error)) {
        return TRUE;
    }
    ingot_file_remove_tree(made, NULL);
    return FALSE;
}

/* --- files that are laid out --- */

typedef struct {
    const GPtrArray *files;
    IngotDisk *disk;
    IngotProgress *progress;
} Laid;

static gboolean fill_laid(const char *folder, gpointer user, GError **error)
{
    const Laid *laid = user;
    for (guint i = 0; i < laid->files->len; i++) {
        const IngotFormatFile *file = g_ptr_array_index(laid->files, i);
        g_autofree char *path = g_build_filename(folder, file->name, NULL);
        if (!ingot_layout_export(file->layout, laid->disk, path, laid->progress, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean ingot_format_write(const GPtrArray *files, IngotDisk *disk, const char *path, IngotProgress *progress,
                            GError **error)
{
    const IngotFormatFile *first = g_ptr_array_index(files, 0);
    Laid laid = {files, disk, progress};
    return files->len == 1 ? ingot_layout_export(first->layout, disk, path, progress, error)
                           : write_folder(path, fill_laid, &laid, error);
}

/* --- files that are written while they are laid out --- */

typedef struct {
    const IngotFormat *format;
    const IngotFormatInput *input;
    IngotProgress *progress;
} Each;

/* A file for each disk. */
static gboolean fill_each(const char *folder, gpointer user, GError **error)
{
    const Each *each = user;
    for (guint k = 0; k < input_count(each->input); k++) {
        const IngotFormatInput one = input_of(each->input, k);
        g_autofree char *name = input_file(&one, each->format->ending), *path = g_build_filename(folder, name, NULL);
        if (!ingot_format_export_file(each->format, &one, NULL, path, NULL, each->progress, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean ingot_format_export(const IngotFormat *format, const IngotFormatInput *input, const char *path,
                             IngotProgress *progress, GError **error)
{
    if (format->codec != NULL) {
        Each each = {format, input, progress};
        return ingot_format_is_folder(format, input)
                   ? ingot_format_can(format, input, error) && write_folder(path, fill_each, &each, error)
                   : ingot_format_export_file(format, input, NULL, path, NULL, progress, error);
    }
    g_autoptr(GPtrArray) files = ingot_format_files(format, input, error);
    return files != NULL && ingot_format_write(files, input->disk, path, progress, error);
}
