#include "format/input.h"

#include <ingot/manifest.h>

guint input_count(const IngotFormatInput *input)
{
    guint all = ingot_disk_count(input->disk);
    g_return_val_if_fail(input->number < all && input->count <= all - input->number, 1);
    return input->count == 0 ? all - input->number : input->count;
}

IngotFormatInput input_of(const IngotFormatInput *input, guint k)
{
    IngotFormatInput one = *input;
    one.number += k;
    one.count = 1;
    return one;
}

const IngotIndex *input_index(const IngotFormatInput *input)
{
    return ingot_disk_index(ingot_disk_member(input->disk, input->number));
}

guint64 input_base(const IngotFormatInput *input)
{
    return ingot_disk_base(input->disk, input->number);
}

const json_t *input_config(const IngotFormatInput *input)
{
    return ingot_config_disk(input->config, input->number);
}

char *input_file(const IngotFormatInput *input, const char *ending)
{
    return ingot_disk_count(input->disk) == 1 ? g_strdup_printf("disk.%s", ending)
                                              : g_strdup_printf("disk%u.%s", input->number, ending);
}
