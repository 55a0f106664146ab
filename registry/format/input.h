/* What a view is made from, disk by disk: which of an image's disks it is about, and where they stand among all. */
#pragma once

#include <ingot/format.h>

/* How many disks it is about. */
guint input_count(const IngotFormatInput *input);
/* The same for one of them alone, the k-th. */
IngotFormatInput input_of(const IngotFormatInput *input, guint k);
/* Of its first disk, which is the only one for those who write a disk: its index, its place in the joined disk, and
 * what the image's config says of it (NULL: nothing). */
const IngotIndex *input_index(const IngotFormatInput *input);
guint64 input_base(const IngotFormatInput *input);
const json_t *input_config(const IngotFormatInput *input);
/* The name of that disk's file: "disk.qcow2", "disk1.qcow2" of an image of several. Free it. */
char *input_file(const IngotFormatInput *input, const char *ending);
