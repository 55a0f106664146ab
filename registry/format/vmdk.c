/* VMDK, monolithicSparse: header, descriptor, a grain directory that names grain tables, those, and the grains. */
#include "format/vmdk.h"

#include <ingot/error.h>
#include <string.h>

#include "format/all.h"
#include "format/extents.h"
#include "format/guest.h"
#include "format/identity.h"
#include "format/input.h"

#define SIZE_LIMIT (G_GUINT64_CONSTANT(2) << 40) /* bytes */

guint64 vmdk_capacity(const IngotIndex *index)
{
    return extents_divide_up(index->disk_size, VMDK_GRAIN_SIZE) * VMDK_GRAIN;
}

guint64 vmdk_tables(const IngotIndex *index)
{
    return extents_divide_up(vmdk_capacity(index) / VMDK_GRAIN, VMDK_TABLE_ENTRIES);
}

VmdkHeader vmdk_header(const IngotIndex *index)
{
    VmdkHeader header = {.magic = GUINT32_TO_LE(VMDK_MAGIC), .line_ends = {'\n', ' ', '\r', '\n'}};
    header.capacity = GUINT64_TO_LE(vmdk_capacity(index));
    header.grain = GUINT64_TO_LE((guint64)VMDK_GRAIN);
    header.descriptor = GUINT64_TO_LE((guint64)1);
    header.descriptor_size = GUINT64_TO_LE((guint64)VMDK_DESCRIPTOR_SECTORS);
    header.table_entries = GUINT32_TO_LE(VMDK_TABLE_ENTRIES);
    return header;
}

void vmdk_add_descriptor(IngotLayout *layout, const IngotFormatInput *input, const char *type)
{
    g_autofree char *file = input_file(input, "vmdk");
    guint64 capacity = vmdk_capacity(input_index(input));
    guint8 uuid[16];
    guint32 cid;
    identity_uuid(input, "vmdk", uuid);
    memcpy(&cid, uuid, sizeof cid);
    g_autofree char *text = g_strdup_printf(
        "# Disk DescriptorFile\nversion=1\nCID=%08x\nparentCID=ffffffff\ncreateType=\"%s\"\n\n"
        "# Extent description\nRW %" G_GUINT64_FORMAT " SPARSE \"%s\"\n\n"
        "# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"10\"\nddb.geometry.cylinders = \"%" G_GUINT64_FORMAT
        "\"\nddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\nddb.adapterType = \"lsilogic\"\n",
        cid, type, capacity, file, MIN(capacity / (255ul * 63), 65535));
    gsize size = strlen(text);
    ingot_layout_add_bytes(layout, text, size);
    ingot_layout_add_zeros(layout, VMDK_DESCRIPTOR_SECTORS * VMDK_SECTOR - size);
}

/* Where the parts of a monolithicSparse are, in sectors. */
typedef struct {
    guint64 tables; /* how many */
    guint64 directory, first_table, overhead;
} Parts;

static Parts parts_of(const IngotIndex *index)
{
    Parts parts = {.tables = vmdk_tables(index), .directory = 1 + VMDK_DESCRIPTOR_SECTORS};
    parts.first_table = parts.directory + extents_divide_up(parts.tables * sizeof(guint32), VMDK_SECTOR);
    parts.overhead = extents_divide_up(parts.first_table + parts.tables * VMDK_TABLE_SECTORS, VMDK_GRAIN) * VMDK_GRAIN;
    return parts;
}

gboolean vmdk_can(const IngotFormatInput *input, GError **error)
{
    const IngotIndex *index = input_index(input);
    if (index->disk_size > SIZE_LIMIT - parts_of(index).overhead * VMDK_SECTOR) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a sparse VMDK holds less than 2 TiB: use another format");
        return FALSE;
    }
    return TRUE;
}

gboolean vmdk_can_machine(const IngotFormatInput *input, GError **error)
{
    return guest_can_machine(input, error) && vmdk_can(input, error);
}

static void add_header(IngotLayout *layout, const IngotIndex *index, const Parts *parts)
{
    VmdkHeader header = vmdk_header(index);
    header.version = GUINT32_TO_LE(1);
    header.flags = GUINT32_TO_LE(1);
    header.directory = GUINT64_TO_LE(parts->directory);
    header.overhead = GUINT64_TO_LE(parts->overhead);
    ingot_layout_add_bytes(layout, &header, sizeof header);
}

static void add_tables(IngotLayout *layout, const Parts *parts, const GArray *extents)
{
    g_autofree guint32 *directory = g_new0(guint32, parts->tables);
    g_autofree guint32 *tables = g_new0(guint32, parts->tables * VMDK_TABLE_ENTRIES);
    guint64 place = parts->overhead;
    for (guint64 i = 0; i < parts->tables; i++) {
        directory[i] = GUINT32_TO_LE((guint32)(parts->first_table + i * VMDK_TABLE_SECTORS));
    }
    for (guint i = 0; i < extents->len; i++) {
        const Extent *extent = &g_array_index(extents, Extent, i);
        for (guint64 k = 0; k < extent->count; k++) {
            tables[extent->first + k] = GUINT32_TO_LE((guint32)place);
            place += VMDK_GRAIN;
        }
    }
    ingot_layout_add_bytes(layout, directory, parts->tables * sizeof *directory);
    ingot_layout_pad(layout, VMDK_SECTOR);
    ingot_layout_add_bytes(layout, tables, parts->tables * VMDK_TABLE_ENTRIES * sizeof *tables);
    ingot_layout_pad(layout, VMDK_GRAIN_SIZE);
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    (void)error;
    g_autofree char *file = input_file(input, "vmdk");
    const IngotIndex *index = input_index(input);
    Parts parts = parts_of(index);
    g_autoptr(GArray) extents = extents_find(index, VMDK_GRAIN_SIZE);
    IngotLayout *layout = ingot_layout_new();
    add_header(layout, index, &parts);
    vmdk_add_descriptor(layout, input, "monolithicSparse");
    add_tables(layout, &parts, extents);
    extents_add(layout, extents, VMDK_GRAIN_SIZE, input);
    return ingot_format_files_one(file, layout);
}

const IngotFormat format_vmdk = {
    "vmdk", "VMware Workstation and Fusion, VirtualBox (monolithicSparse)", vmdk_can, files, NULL, 0, "vmdk"};
