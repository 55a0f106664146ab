/* VHD, fixed ("Virtual Hard Disk Image Format Specification", version 1.0): the disk, then a footer of 512 bytes,
 * big-endian. Azure asks for whole MiB, so the disk is filled up with zeros to one. */
#include <ingot/error.h>
#include <string.h>

#include "format/all.h"
#include "format/extents.h"
#include "format/identity.h"
#include "format/input.h"

#define MIB (1u << 20)
#define SIZE_MAX_VHD (G_GUINT64_CONSTANT(2040) << 30) /* bytes: what its geometry and its readers take */
#define FIXED 2u
#define VERSION 0x00010000u
#define RESERVED 2u                /* the feature bit that is always set */
#define CREATOR_SYSTEM 0x5769326bu /* "Wi2k": Hyper-V takes no other for its own */

typedef struct {
    char cookie[8];
    guint32 features, version;
    guint64 data_offset;
    guint32 time;
    char creator[4];
    guint32 creator_version, creator_system;
    guint64 original_size, size;
    guint16 cylinders;
    guint8 heads, sectors;
    guint32 type, checksum;
    guint8 uuid[16], saved;
    guint8 rest[427];
} __attribute__((packed)) Footer;
G_STATIC_ASSERT(sizeof(Footer) == 512);

/* The specification's own steps ("CHS Calculation"). */
static void set_geometry(Footer *footer, guint64 size)
{
    guint64 total = MIN(size / 512, 65535ull * 16 * 255), per_head;
    guint heads, sectors;
    if (total >= 65535ull * 16 * 63) {
        sectors = 255;
        heads = 16;
        per_head = total / sectors;
    } else {
        sectors = 17;
        per_head = total / sectors;
        heads = MAX((guint)((per_head + 1023) / 1024), 4);
        if (per_head >= heads * 1024ull || heads > 16) {
            sectors = 31;
            heads = 16;
            per_head = total / sectors;
        }
        if (per_head >= heads * 1024ull) {
            sectors = 63;
            heads = 16;
            per_head = total / sectors;
        }
    }
    footer->cylinders = GUINT16_TO_BE((guint16)(per_head / heads));
    footer->heads = (guint8)heads;
    footer->sectors = (guint8)sectors;
}

/* The one's complement of the sum of all bytes, the checksum's taken as zeros. */
static guint32 checksum(const Footer *footer)
{
    guint32 sum = 0;
    for (gsize i = 0; i < sizeof *footer; i++) {
        sum += ((const guint8 *)footer)[i];
    }
    return GUINT32_TO_BE(~sum);
}

static guint64 size_of(const IngotFormatInput *input)
{
    return extents_divide_up(input_index(input)->disk_size, MIB) * MIB;
}

static gboolean can(const IngotFormatInput *input, GError **error)
{
    if (size_of(input) > SIZE_MAX_VHD) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "a VHD holds at most 2040 GiB, the disk has %" G_GUINT64_FORMAT " GiB: use another format",
                    size_of(input) >> 30);
        return FALSE;
    }
    return TRUE;
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    (void)error;
    g_autofree char *file = input_file(input, "vhd");
    guint64 size = size_of(input);
    Footer footer = {.cookie = "conectix", .creator = "win ", .data_offset = G_MAXUINT64};
    footer.features = GUINT32_TO_BE(RESERVED);
    footer.version = footer.creator_version = GUINT32_TO_BE(VERSION);
    footer.creator_system = GUINT32_TO_BE(CREATOR_SYSTEM);
    footer.original_size = footer.size = GUINT64_TO_BE(size);
    footer.type = GUINT32_TO_BE(FIXED);
    set_geometry(&footer, size);
    identity_uuid(input, "vhd", footer.uuid);
    footer.checksum = checksum(&footer);
    IngotLayout *layout = ingot_layout_new();
    ingot_layout_add_disk(layout, input_base(input), input_index(input)->disk_size);
    ingot_layout_add_zeros(layout, size - input_index(input)->disk_size);
    ingot_layout_add_bytes(layout, &footer, sizeof footer);
    return ingot_format_files_one(file, layout);
}

const IngotFormat format_vhd = {"vhd", "Azure, Hyper-V of the first generation (fixed size)", can, files, NULL, 0,
                                "vhd"};
