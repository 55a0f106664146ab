/* raw: the disk as it is. */
#include "format/all.h"
#include "format/input.h"

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    (void)error;
    g_autofree char *file = input_file(input, "raw");
    IngotLayout *layout = ingot_layout_new();
    ingot_layout_add_disk(layout, input_base(input), input_index(input)->disk_size);
    return ingot_format_files_one(file, layout);
}

const IngotFormat format_raw = {"raw", "the disk as it is, for dd and for any hypervisor", NULL, files, NULL, 0, "raw"};
