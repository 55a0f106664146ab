/* VHDX, dynamic ([MS-VHDX], version 1): identifier, two headers, two region tables, an empty log, the block allocation
 * table, the metadata, then the blocks of 1 MiB with data. Little-endian; each part stands at a whole MiB. */
#include <ingot/error.h>
#include <string.h>

#include "format/all.h"
#include "format/extents.h"
#include "format/identity.h"
#include "format/input.h"

#define KIB ((gsize)1024)
#define MIB (1u << 20)
#define BLOCK MIB /* bytes of a payload block */
#define SECTOR 512u
#define RATIO 4096u /* payload blocks for each sector bitmap: 2^23 * SECTOR / BLOCK */
#define FULLY_PRESENT 6u
#define SIZE_LIMIT (G_GUINT64_CONSTANT(64) << 40) /* bytes */
#define LOG_SIZE MIB
#define METADATA_SIZE MIB
#define ITEMS_AT (64u * KIB) /* in the metadata region */
#define REQUIRED_ITEM 4u
#define REGIONS 0x69676572u                             /* "regi" */
#define METADATA G_GUINT64_CONSTANT(0x617461646174656d) /* "metadata" */
#define DISK_ITEM 2u

typedef struct {
    guint32 a;
    guint16 b, c;
    guint8 d[8];
} __attribute__((packed)) Guid;

static const Guid bat_region = {0x2dc27766, 0xf623, 0x4200, {0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08}};
static const Guid metadata_region = {0x8b7ca206, 0x4790, 0x4b9a, {0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e}};
static const Guid file_parameters = {0xcaa16737, 0xfa36, 0x4d43, {0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b}};
static const Guid disk_size_item = {0x2fa54224, 0xcd1b, 0x4876, {0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8}};
static const Guid disk_id_item = {0xbeca12ab, 0xb2e6, 0x4523, {0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46}};
static const Guid logical_sector = {0x8141bf1d, 0xa96f, 0x4709, {0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f}};
static const Guid physical_sector = {0xcda348c7, 0x445d, 0x4471, {0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56}};

/* A buffer that is filled from its start. */
typedef struct {
    guint8 *bytes;
    gsize at;
} Writer;

static void put(Writer *writer, guint64 value, guint size)
{
    guint64 little = GUINT64_TO_LE(value);
    memcpy(writer->bytes + writer->at, &little, size);
    writer->at += size;
}

static void put_guid(Writer *writer, const Guid *guid)
{
    put(writer, guid->a, 4);
    put(writer, guid->b, 2);
    put(writer, guid->c, 2);
    memcpy(writer->bytes + writer->at, guid->d, sizeof guid->d);
    writer->at += sizeof guid->d;
}

/* CRC-32C (RFC 3720, appendix B.4), bit by bit: it is for some hundred KiB. */
static guint32 crc32c(const guint8 *bytes, gsize size)
{
    guint32 crc = 0xffffffffu;
    for (gsize i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (guint bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

/* The checksum stands at byte 4 and counts as zeros. */
static void add_summed(IngotLayout *layout, guint8 *bytes, gsize size)
{
    guint32 sum = GUINT32_TO_LE(crc32c(bytes, size));
    memcpy(bytes + 4, &sum, sizeof sum);
    ingot_layout_add_bytes(layout, bytes, size);
    ingot_layout_pad(layout, 64 * KIB);
}

static void add_identifier(IngotLayout *layout)
{
    static const char creator[] = "Ingot";
    guint8 bytes[8 + 2 * sizeof creator] = "vhdxfile";
    for (gsize i = 0; i < sizeof creator; i++) {
        bytes[8 + 2 * i] = (guint8)creator[i]; /* UTF-16 */
    }
    ingot_layout_add_bytes(layout, bytes, sizeof bytes);
    ingot_layout_pad(layout, 64 * KIB);
}

static void add_header(IngotLayout *layout, const IngotFormatInput *input, guint64 sequence)
{
    guint8 bytes[4 * KIB] = "head", uuid[16];
    Writer writer = {.bytes = bytes, .at = 8};
    put(&writer, sequence, 8);
    identity_uuid(input, "vhdx file", uuid);
    memcpy(bytes + writer.at, uuid, sizeof uuid);
    identity_uuid(input, "vhdx data", uuid);
    memcpy(bytes + writer.at + 16, uuid, sizeof uuid);
    writer.at += 48; /* and the log's, of zeros: it is empty */
    put(&writer, 0, 2);
    put(&writer, 1, 2);
    put(&writer, LOG_SIZE, 4);
    put(&writer, MIB, 8);
    add_summed(layout, bytes, sizeof bytes);
}

static void add_regions(IngotLayout *layout, guint64 bat_size)
{
    g_autofree guint8 *bytes = g_malloc0(64 * KIB);
    Writer writer = {.bytes = bytes};
    put(&writer, REGIONS, 4);
    writer.at += 4; /* the checksum */
    put(&writer, 2, 8);
    put_guid(&writer, &bat_region);
    put(&writer, 3 * (guint64)MIB, 8);
    put(&writer, bat_size, 4);
    put(&writer, 1, 4);
    put_guid(&writer, &metadata_region);
    put(&writer, 2 * (guint64)MIB, 8);
    put(&writer, METADATA_SIZE, 4);
    put(&writer, 1, 4);
    add_summed(layout, bytes, 64 * KIB);
}

/* An item's entry in the table, and its value of `size` bytes behind those before. */
static void put_item(Writer *table, Writer *items, const Guid *id, const void *value, guint size, guint32 flags)
{
    put_guid(table, id);
    put(table, items->at, 4);
    put(table, size, 4);
    put(table, flags, 8);
    memcpy(items->bytes + items->at, value, size);
    items->at += size;
}

static void add_metadata(IngotLayout *layout, const IngotFormatInput *input)
{
    g_autofree guint8 *bytes = g_malloc0(ITEMS_AT + 4 * KIB);
    Writer head = {.bytes = bytes}, table = {.bytes = bytes, .at = 32}, items = {.bytes = bytes, .at = ITEMS_AT};
    guint64 parameters = GUINT64_TO_LE((guint64)BLOCK);
    guint64 size = GUINT64_TO_LE(extents_divide_up(input_index(input)->disk_size, SECTOR) * SECTOR);
    guint32 sector = GUINT32_TO_LE(SECTOR);
    guint8 uuid[16];
    put(&head, METADATA, 8);
    put(&head, 0, 2);
    put(&head, 5, 2); /* items */
    identity_uuid(input, "vhdx disk", uuid);
    put_item(&table, &items, &file_parameters, &parameters, 8, REQUIRED_ITEM);
    put_item(&table, &items, &disk_size_item, &size, 8, REQUIRED_ITEM | DISK_ITEM);
    put_item(&table, &items, &disk_id_item, uuid, 16, REQUIRED_ITEM | DISK_ITEM);
    put_item(&table, &items, &logical_sector, &sector, 4, REQUIRED_ITEM | DISK_ITEM);
    put_item(&table, &items, &physical_sector, &sector, 4, REQUIRED_ITEM | DISK_ITEM);
    ingot_layout_add_bytes(layout, bytes, ITEMS_AT + 4 * KIB);
    ingot_layout_pad(layout, MIB);
}

/* An entry for each block, and after every RATIO of them one for a bitmap that dynamic disks do not have. */
static guint64 bat_entries(guint64 blocks)
{
    return blocks + (blocks - 1) / RATIO;
}

static void add_bat(IngotLayout *layout, const GArray *extents, guint64 blocks, guint64 bat_size)
{
    g_autofree guint64 *bat = g_new0(guint64, bat_entries(blocks));
    guint64 place = 3 * (guint64)MIB + bat_size;
    for (guint i = 0; i < extents->len; i++) {
        const Extent *extent = &g_array_index(extents, Extent, i);
        for (guint64 block = extent->first; block < extent->first + extent->count; block++) {
            bat[block + block / RATIO] = GUINT64_TO_LE(place | FULLY_PRESENT);
            place += BLOCK;
        }
    }
    ingot_layout_add_bytes(layout, bat, bat_entries(blocks) * sizeof *bat);
    ingot_layout_pad(layout, MIB);
}

static gboolean can(const IngotFormatInput *input, GError **error)
{
    if (input_index(input)->disk_size > SIZE_LIMIT) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a VHDX holds at most 64 TiB: use another format");
        return FALSE;
    }
    return TRUE;
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    (void)error;
    g_autofree char *file = input_file(input, "vhdx");
    const IngotIndex *index = input_index(input);
    guint64 blocks = extents_divide_up(index->disk_size, BLOCK);
    guint64 bat_size = extents_divide_up(bat_entries(blocks) * sizeof(guint64), MIB) * MIB;
    g_autoptr(GArray) extents = extents_find(index, BLOCK);
    IngotLayout *layout = ingot_layout_new();
    add_identifier(layout);
    add_header(layout, input, 1);
    add_header(layout, input, 2); /* the one in force */
    add_regions(layout, bat_size);
    add_regions(layout, bat_size);
    ingot_layout_pad(layout, MIB);
    ingot_layout_add_zeros(layout, LOG_SIZE);
    add_metadata(layout, input);
    add_bat(layout, extents, blocks, bat_size);
    extents_add(layout, extents, BLOCK, input);
    return ingot_format_files_one(file, layout);
}

const IngotFormat format_vhdx = {"vhdx", "Hyper-V of the second generation", can, files, NULL, 0, "vhdx"};
