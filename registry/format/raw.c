/* raw: the disk as it is. */
#include "format/all.h"

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    (void)error;
    IngotLayout *layout = ingot_layout_new();
    ingot_layout_add_disk(layout, 0, ingot_disk_index(input->disk)->disk_size);
    return ingot_format_files_one("disk.raw", layout);
}

const IngotFormat format_raw = {"raw", "the disk as it is, for dd and for any hypervisor", NULL, files, NULL};
