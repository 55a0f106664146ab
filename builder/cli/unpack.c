#include <ingot/format.h>

#include "base/command.h"
#include "cli/unpack.h"
#include "format/all.h"

char *unpack_disk(const IngotImage *image, IngotWorkdir *workdir, GError **error)
{
    g_autofree char *path = ingot_workdir_file(workdir, "disk.raw");
    g_autoptr(IngotDisk) disk = ingot_image_only_disk(image, error);
    IngotProgress *progress = ingot_command_progress();
    ingot_progress_begin(progress, ingot_image_size(image), "unpack %s", image->entry->name);
    if (disk == NULL || !ingot_format_export(&format_raw, &(IngotFormatInput){.disk = disk}, path, progress, error)) {
        return NULL;
    }
    ingot_progress_end(progress, NULL);
    ingot_image_remember(image, disk);
    return g_steal_pointer(&path);
}
