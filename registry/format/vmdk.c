/* VMDK, monolithicSparse ("Virtual Disk Format 5.0", part "Hosted Sparse Extents"): a header, the descriptor as text, a
 * grain directory that names grain tables, those, and the grains of 64 KiB. Little-endian, all places in sectors. */
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "format/all.h"
#include "format/extents.h"
#include "format/identity.h"

#define SECTOR 512u
#define GRAIN 128u /* sectors */
#define GRAIN_SIZE (GRAIN * SECTOR)
#define TABLE_ENTRIES 512u /* of a grain table */
#define TABLE_SECTORS 4u
#define DESCRIPTOR_SECTORS 20u
#define SIZE_LIMIT (G_GUINT64_CONSTANT(2) << 40) /* bytes: a place is 32 bits of sectors */

typedef struct {
    guint32 magic, version, flags;
    guint64 capacity, grain, descriptor, descriptor_size;
    guint32 table_entries;
    guint64 redundant_directory, directory, overhead;
    guint8 unclean;
    guint8 line_ends[4];
    guint16 compression;
    guint8 rest[433];
} __attribute__((packed)) Header;
G_STATIC_ASSERT(sizeof(Header) == SECTOR);

typedef struct {
    guint64 capacity; /* sectors */
    guint64 tables;
    guint64 directory, first_table, overhead; /* sectors */
} Parts;

static Parts parts_of(guint64 disk_size)
{
    Parts parts = {.capacity = extents_divide_up(disk_size, GRAIN_SIZE) * GRAIN};
    parts.tables = extents_divide_up(parts.capacity / GRAIN, TABLE_ENTRIES);
    parts.directory = 1 + DESCRIPTOR_SECTORS;
    parts.first_table = parts.directory + extents_divide_up(parts.tables * sizeof(guint32), SECTOR);
    parts.overhead = extents_divide_up(parts.first_table + parts.tables * TABLE_SECTORS, GRAIN) * GRAIN;
    return parts;
}

static void add_header(IngotLayout *layout, const Parts *parts)
{
    Header header = {.magic = GUINT32_TO_LE(0x564d444bu),
                     .version = GUINT32_TO_LE(1),
                     .flags = GUINT32_TO_LE(1),
                     .line_ends = {'\n', ' ', '\r', '\n'}};
    header.capacity = GUINT64_TO_LE(parts->capacity);
    header.grain = GUINT64_TO_LE((guint64)GRAIN);
    header.descriptor = GUINT64_TO_LE((guint64)1);
    header.descriptor_size = GUINT64_TO_LE((guint64)DESCRIPTOR_SECTORS);
    header.table_entries = GUINT32_TO_LE(TABLE_ENTRIES);
    header.directory = GUINT64_TO_LE(parts->directory);
    header.overhead = GUINT64_TO_LE(parts->overhead);
    ingot_layout_add_bytes(layout, &header, sizeof header);
}

static void add_descriptor(IngotLayout *layout, const IngotFormatInput *input, const Parts *parts)
{
    guint8 uuid[16];
    guint32 cid;
    identity_uuid(ingot_disk_index(input->disk), "vmdk", uuid);
    memcpy(&cid, uuid, sizeof cid);
    g_autofree char *text = g_strdup_printf(
        "# Disk DescriptorFile\nversion=1\nCID=%08x\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\n\n"
        "# Extent description\nRW %" G_GUINT64_FORMAT " SPARSE \"disk.vmdk\"\n\n"
        "# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"10\"\nddb.geometry.cylinders = \"%" G_GUINT64_FORMAT
        "\"\nddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\nddb.adapterType = \"lsilogic\"\n",
        cid, parts->capacity, MIN(parts->capacity / (255 * 63), 65535));
    gsize size = strlen(text);
    ingot_layout_add_bytes(layout, text, size);
    ingot_layout_add_zeros(layout, DESCRIPTOR_SECTORS * SECTOR - size);
}

static void add_tables(IngotLayout *layout, const Parts *parts, const GArray *extents)
{
    g_autofree guint32 *directory = g_new0(guint32, parts->tables);
    g_autofree guint32 *tables = g_new0(guint32, parts->tables * TABLE_ENTRIES);
    guint64 place = parts->overhead;
    for (guint64 i = 0; i < parts->tables; i++) {
        directory[i] = GUINT32_TO_LE((guint32)(parts->first_table + i * TABLE_SECTORS));
    }
    for (guint i = 0; i < extents->len; i++) {
        const Extent *extent = &g_array_index(extents, Extent, i);
        for (guint64 k = 0; k < extent->count; k++) {
            tables[extent->first + k] = GUINT32_TO_LE((guint32)place);
            place += GRAIN;
        }
    }
    ingot_layout_add_bytes(layout, directory, parts->tables * sizeof *directory);
    ingot_layout_pad(layout, SECTOR);
    ingot_layout_add_bytes(layout, tables, parts->tables * TABLE_ENTRIES * sizeof *tables);
    ingot_layout_pad(layout, (guint64)GRAIN * SECTOR);
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    guint64 size = ingot_disk_index(input->disk)->disk_size;
    Parts parts = parts_of(size);
    if (size > SIZE_LIMIT - parts.overhead * SECTOR) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a sparse VMDK holds less than 2 TiB: use another format");
        return NULL;
    }
    g_autoptr(GArray) extents = extents_find(ingot_disk_index(input->disk), GRAIN_SIZE);
    IngotLayout *layout = ingot_layout_new();
    add_header(layout, &parts);
    add_descriptor(layout, input, &parts);
    add_tables(layout, &parts, extents);
    extents_add(layout, extents, GRAIN_SIZE, size);
    GPtrArray *list = ingot_format_files_new();
    ingot_format_files_add(list, "disk.vmdk", layout);
    return list;
}

const IngotFormat format_vmdk = {"vmdk", "VMware Workstation and Fusion, VirtualBox (monolithicSparse)", files};
