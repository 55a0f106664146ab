#include <ingot/format.h>

#include "base/command.h"
#include "cli/unpack.h"
#include "format/all.h"

static char *unpack_one(IngotDisk *disk, guint number, IngotWorkdir *workdir, GError **error)
{
    g_autofree char *name = g_strdup_printf("disk%u.raw", number);
    g_autofree char *path = ingot_workdir_file(workdir, name);
    const IngotFormatInput input = {.disk = ingot_disk_member(disk, number)};
    return ingot_format_export(&format_raw, &input, path, ingot_command_progress(), error) ? g_steal_pointer(&path)
                                                                                           : NULL;
}

char **unpack_disks(const IngotImage *image, IngotWorkdir *workdir, GError **error)
{
    g_autoptr(IngotDisk) disk = ingot_image_disk(image, error);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    IngotProgress *progress = ingot_command_progress();
    if (disk == NULL) {
        return NULL;
    }
    ingot_progress_begin(progress, ingot_image_size(image), "unpack %s", image->entry->name);
    for (guint i = 0; i < ingot_disk_count(disk); i++) {
        char *path = unpack_one(disk, i, workdir, error);
        if (path == NULL) {
            return NULL;
        }
        g_ptr_array_add(paths, path);
    }
    ingot_progress_end(progress, NULL);
    ingot_image_remember(image, disk);
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&paths), FALSE);
}
