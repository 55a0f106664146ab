/* VDI 1.1, dynamic, VirtualBox's own (the fields are those of QEMU's block/vdi.c): a header of 512 bytes, the block map
 * (u32 for each MiB of the disk: its place among the blocks, or 0xffffffff), then the blocks. Little-endian. */
#include <ingot/error.h>
#include <string.h>

#include "format/all.h"
#include "format/extents.h"
#include "format/identity.h"
#include "format/input.h"

#define BLOCK (1u << 20) /* bytes */
#define SECTOR 512u
#define SIGNATURE 0xbeda107fu
#define VERSION 0x00010001u
#define HEADER_SIZE 0x190u
#define DYNAMIC 1u
#define UNALLOCATED 0xffffffffu
#define BLOCKS_MAX 0x3fffffffu /* as QEMU takes it */

typedef struct {
    char text[64];
    guint32 signature, version, header_size, type, flags;
    char description[256];
    guint32 map, data, cylinders, heads, sectors, sector_size, unused;
    guint64 disk_size;
    guint32 block_size, block_extra, blocks, allocated;
    guint8 uuid[16], snapshot[16], link[16], parent[16];
    guint8 rest[56];
} __attribute__((packed)) Header;
G_STATIC_ASSERT(sizeof(Header) == SECTOR);

static void add_header(IngotLayout *layout, const IngotFormatInput *input, guint32 blocks, guint32 allocated,
                       guint32 data)
{
    Header header = {.text = "<<< Ingot Virtual Disk Image >>>\n"};
    header.signature = GUINT32_TO_LE(SIGNATURE);
    header.version = GUINT32_TO_LE(VERSION);
    header.header_size = GUINT32_TO_LE(HEADER_SIZE);
    header.type = GUINT32_TO_LE(DYNAMIC);
    header.map = GUINT32_TO_LE(SECTOR);
    header.data = GUINT32_TO_LE(data);
    header.sector_size = GUINT32_TO_LE(SECTOR);
    header.disk_size = GUINT64_TO_LE(extents_divide_up(input_index(input)->disk_size, SECTOR) * SECTOR);
    header.block_size = GUINT32_TO_LE(BLOCK);
    header.blocks = GUINT32_TO_LE(blocks);
    header.allocated = GUINT32_TO_LE(allocated);
    identity_uuid(input, "vdi", header.uuid);
    identity_uuid(input, "vdi snapshot", header.snapshot);
    ingot_layout_add_bytes(layout, &header, sizeof header);
}

static void add_map(IngotLayout *layout, const GArray *extents, guint32 blocks)
{
    g_autofree guint32 *map = g_new(guint32, blocks);
    guint32 place = 0;
    for (guint32 i = 0; i < blocks; i++) {
        map[i] = GUINT32_TO_LE(UNALLOCATED);
    }
    for (guint i = 0; i < extents->len; i++) {
        const Extent *extent = &g_array_index(extents, Extent, i);
        for (guint64 k = 0; k < extent->count; k++) {
            map[extent->first + k] = GUINT32_TO_LE(place);
            place++;
        }
    }
    ingot_layout_add_bytes(layout, map, blocks * sizeof *map);
}

static guint64 count_blocks(const IngotFormatInput *input)
{
    return extents_divide_up(input_index(input)->disk_size, BLOCK);
}

static gboolean can(const IngotFormatInput *input, GError **error)
{
    if (count_blocks(input) > BLOCKS_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a VDI can't hold so large a disk (1 PiB at most)");
        return FALSE;
    }
    return TRUE;
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    (void)error;
    g_autofree char *file = input_file(input, "vdi");
    guint64 blocks = count_blocks(input);
    g_autoptr(GArray) extents = extents_find(input_index(input), BLOCK);
    guint32 data = (guint32)(extents_divide_up(SECTOR + blocks * sizeof(guint32), SECTOR) * SECTOR);
    IngotLayout *layout = ingot_layout_new();
    add_header(layout, input, (guint32)blocks, (guint32)extents_count(extents), data);
    add_map(layout, extents, (guint32)blocks);
    ingot_layout_pad(layout, SECTOR);
    extents_add(layout, extents, BLOCK, input);
    return ingot_format_files_one(file, layout);
}

const IngotFormat format_vdi = {"vdi", "VirtualBox", can, files, NULL, 0, "vdi"};
