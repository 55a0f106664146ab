/* VMDK, streamOptimized: made to be read from front to end. Header and descriptor, then each grain deflated behind a
 * marker that tells its place on the disk, each grain table behind the grains that it lists, the directory of those,
 * the header again with the directory's place, and an empty marker. */
#include <libdeflate.h>
#include <string.h>

#include "format/all.h"
#include "format/input.h"
#include "format/measure.h"
#include "format/segments.h"
#include "format/vmdk.h"

#define LEVEL 2                /* against 6: half as long, 3 % larger */
#define AT_END G_MAXUINT64     /* the directory's place, in the first header */
#define FLAGS 0x30001u         /* line ends can be checked; grains are compressed; there are markers */
#define COMPRESSION_DEFLATE 1u /* RFC 1950 */
#define OVERHEAD 128u          /* sectors before the first grain */
/* Deflate stores what it can't compress, 5 bytes more for each 64 KiB or less. */
#define GRAIN_BOUND (VMDK_GRAIN_SIZE + 2 * VMDK_SECTOR)

/* --- a grain --- */

typedef struct {
    guint64 place; /* of the grain on the disk, sectors */
    guint32 size;  /* of what follows, bytes */
} __attribute__((packed)) GrainMarker;

const char *vmdk_stream_codec(void)
{
    return "libdeflate-" LIBDEFLATE_VERSION_STRING "-" G_STRINGIFY(LEVEL);
}

static gpointer codec_start(void)
{
    return libdeflate_alloc_compressor(LEVEL);
}

static void codec_end(gpointer state)
{
    libdeflate_free_compressor(state);
}

/* Marker, deflated bytes, zeros up to the next sector. */
static guint32 codec_encode(gpointer state, guint64 offset, const void *data, void *out)
{
    GrainMarker marker = {.place = GUINT64_TO_LE(offset / VMDK_SECTOR)};
    guint8 *body = (guint8 *)out + sizeof marker;
    gsize size = libdeflate_zlib_compress(state, data, VMDK_GRAIN_SIZE, body, GRAIN_BOUND - sizeof marker);
    gsize end = sizeof marker + size, whole = extents_divide_up(end, VMDK_SECTOR) * VMDK_SECTOR;
    g_assert(size > 0 && whole <= GRAIN_BOUND);
    marker.size = GUINT32_TO_LE((guint32)size);
    memcpy(out, &marker, sizeof marker);
    memset((guint8 *)out + end, 0, whole - end);
    return (guint32)whole;
}

static const Codec grain_codec = {.name = vmdk_stream_codec,
                                  .block = VMDK_GRAIN_SIZE,
                                  .bound = GRAIN_BOUND,
                                  .start = codec_start,
                                  .end = codec_end,
                                  .encode = codec_encode};

/* --- the file --- */

typedef enum { MARKER_END, MARKER_TABLE, MARKER_DIRECTORY, MARKER_FOOTER } MarkerKind;

static void add_marker(IngotLayout *layout, MarkerKind kind, guint64 sectors)
{
    struct {
        guint64 sectors; /* that follow */
        guint32 zero, kind;
        guint8 rest[VMDK_SECTOR - 16];
    } __attribute__((packed)) marker = {.sectors = GUINT64_TO_LE(sectors), .kind = GUINT32_TO_LE(kind)};
    ingot_layout_add_bytes(layout, &marker, sizeof marker);
}

static void add_header(IngotLayout *layout, const IngotIndex *index, guint64 directory)
{
    VmdkHeader header = vmdk_header(index);
    header.version = GUINT32_TO_LE(3);
    header.flags = GUINT32_TO_LE(FLAGS);
    header.directory = GUINT64_TO_LE(directory);
    header.overhead = GUINT64_TO_LE((guint64)OVERHEAD);
    header.compression = GUINT16_TO_LE(COMPRESSION_DEFLATE);
    ingot_layout_add_bytes(layout, &header, sizeof header);
}

static guint32 place_of(const IngotLayout *layout)
{
    return (guint32)(ingot_layout_size(layout) / VMDK_SECTOR);
}

/* The table of grains that is being filled. */
typedef struct {
    guint64 number;
    gboolean used;
    guint32 entries[VMDK_TABLE_ENTRIES];
} Table;

/* Its place goes to the directory. */
static void end_table(IngotLayout *layout, Table *table, guint32 *directory)
{
    if (table->used) {
        add_marker(layout, MARKER_TABLE, VMDK_TABLE_SECTORS);
        directory[table->number] = GUINT32_TO_LE(place_of(layout));
        ingot_layout_add_bytes(layout, table->entries, sizeof table->entries);
    }
    memset(table, 0, sizeof *table);
}

static void add_grains(IngotLayout *layout, const GArray *extents, guint64 base, const guint32 *sizes,
                       guint32 *directory)
{
    Table table = {0};
    for (guint i = 0; i < extents->len; i++) {
        const Extent *extent = &g_array_index(extents, Extent, i);
        for (guint64 grain = extent->first; grain < extent->first + extent->count; grain++) {
            if (grain / VMDK_TABLE_ENTRIES != table.number) {
                end_table(layout, &table, directory);
                table.number = grain / VMDK_TABLE_ENTRIES;
            }
            table.used = TRUE;
            table.entries[grain % VMDK_TABLE_ENTRIES] = GUINT32_TO_LE(place_of(layout));
            layout_add_coded(layout, &grain_codec, base + grain * VMDK_GRAIN_SIZE, *sizes++);
        }
    }
    end_table(layout, &table, directory);
}

/* Where grains are, as add_grains has them. */
typedef struct {
    guint64 at;     /* where the one before has ended, bytes */
    guint64 table;  /* of that */
    gboolean begun; /* there was one */
} Grains;

static guint64 next_grain(gpointer state, guint64 grain, guint32 size)
{
    Grains *grains = state;
    if (grains->begun && grain / VMDK_TABLE_ENTRIES != grains->table) {
        grains->at += (1 + VMDK_TABLE_SECTORS) * VMDK_SECTOR; /* a marker and the table */
    }
    grains->begun = TRUE;
    grains->table = grain / VMDK_TABLE_ENTRIES;
    guint64 place = grains->at;
    grains->at += size;
    return place;
}

static IngotLayout *lay_out(const IngotFormatInput *input, const GArray *extents, const guint32 *sizes)
{
    const IngotIndex *index = input_index(input);
    IngotLayout *layout = ingot_layout_new();
    guint64 tables = vmdk_tables(index), sectors = extents_divide_up(tables * sizeof(guint32), VMDK_SECTOR);
    g_autofree guint32 *directory = g_new0(guint32, tables);
    add_header(layout, index, AT_END);
    vmdk_add_descriptor(layout, input, "streamOptimized");
    ingot_layout_pad(layout, (guint64)OVERHEAD * VMDK_SECTOR);
    add_grains(layout, extents, input_base(input), sizes, directory);
    add_marker(layout, MARKER_DIRECTORY, sectors);
    guint64 place = place_of(layout);
    ingot_layout_add_bytes(layout, directory, tables * sizeof *directory);
    ingot_layout_pad(layout, VMDK_SECTOR);
    add_marker(layout, MARKER_FOOTER, 1);
    add_header(layout, index, place);
    add_marker(layout, MARKER_END, 0);
    return layout;
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    g_autofree char *file = input_file(input, "vmdk");
    g_autoptr(GArray) extents = extents_find(input_index(input), VMDK_GRAIN_SIZE);
    Grains grains = {.at = OVERHEAD * VMDK_SECTOR};
    const MeasurePlaces places = {.next = next_grain, .state = &grains};
    g_autofree guint32 *sizes = measure_blocks(input, &grain_codec, extents, &places, error);
    return sizes == NULL ? NULL : ingot_format_files_one(file, lay_out(input, extents, sizes));
}

const IngotFormat format_vmdk_stream = {"vmdk-stream",
                                        "VMware ESXi and vSphere, for import: compressed (streamOptimized)",
                                        vmdk_can,
                                        files,
                                        vmdk_stream_codec,
                                        0,
                                        "vmdk"};
