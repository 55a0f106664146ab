/* raw: the disk as it is. */
#include "format/all.h"

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    (void)error;
    GPtrArray *list = ingot_format_files_new();
    IngotLayout *layout = ingot_layout_new();
    ingot_layout_add_disk(layout, 0, ingot_disk_index(input->disk)->disk_size);
    ingot_format_files_add(list, "disk.raw", layout);
    return list;
}

const IngotFormat format_raw = {"raw", "the disk as it is, for dd and for any hypervisor", files};
