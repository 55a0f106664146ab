#include "image/vhdfooter.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"

#define SECTOR 512u
#define CHECKSUM_AT 64u
#define GEOMETRY_MAX (G_GUINT64_CONSTANT(65535) * 16 * 255) /* sectors: says that it could not be told */
#define SECTORS_MAX G_GUINT64_CONSTANT(0xff000000)          /* that a VHD can have */

enum { FIXED = 2, DYNAMIC = 3, DIFFERENCING = 4 };

typedef struct {
    const Reader *reader;
    guint8 bytes[SECTOR];
    guint64 end;      /* of the file: where the last sector ends */
    gboolean at_head; /* the copy at the beginning */
    guint64 size, geometry;
} Raw;

static gboolean refuse(const Reader *reader, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
static gboolean refuse(const Reader *reader, GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *why = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s", reader->name, why);
    return FALSE;
}

/* The complement of the sum of all bytes but its own. */
static gboolean is_sum_right(const guint8 *bytes)
{
    guint32 sum = 0;
    for (guint i = 0; i < SECTOR; i++) {
        sum += i >= CHECKSUM_AT && i < CHECKSUM_AT + 4 ? 0 : bytes[i];
    }
    return be32(bytes + CHECKSUM_AT) == ~sum;
}

/* QEMU too takes the copy at the beginning, if there is one. The oldest footers have 511 bytes: the file ends within
 * its last sector. */
static gboolean raw_find(Raw *raw, GError **error)
{
    const Reader *reader = raw->reader;
    raw->end = (reader_end(reader) + SECTOR - 1) / SECTOR * SECTOR;
    reader_bytes(reader, 0, raw->bytes, SECTOR);
    raw->at_head = memcmp(raw->bytes, "conectix", 8) == 0;
    if (!raw->at_head && raw->end >= SECTOR) {
        reader_bytes(reader, raw->end - SECTOR, raw->bytes, SECTOR);
    }
    if (memcmp(raw->bytes, "conectix", 8) != 0) {
        return refuse(reader, error, "not a VHD: it has no footer (or is cut short)");
    }
    return is_sum_right(raw->bytes) || refuse(reader, error, "the footer of the VHD is damaged: its checksum is wrong");
}

/* The place and the kind must agree: QEMU takes a footer at the beginning for that of a dynamic disk, and one at the
 * end alone for that of a fixed one. */
static gboolean check_kind(const Raw *raw, guint32 kind, GError **error)
{
    if (kind != FIXED && kind != DYNAMIC && kind != DIFFERENCING) {
        return refuse(raw->reader, error, "a VHD of kind %u, which there is not", kind);
    }
    if (raw->at_head && kind == FIXED) {
        return refuse(raw->reader, error, "a fixed VHD has no footer at its beginning");
    }
    return raw->at_head || kind == FIXED ||
           refuse(raw->reader, error, "the copy of the VHD's footer at its beginning is missing or damaged");
}

static gboolean check_size(const Raw *raw, GError **error)
{
    if (raw->size == 0 || raw->size % SECTOR != 0) {
        return refuse(raw->reader, error, "a VHD of %" G_GUINT64_FORMAT " bytes: not a multiple of 512 above 0",
                      raw->size);
    }
    g_autofree char *size = ingot_text_size(raw->size);
    return raw->size / SECTOR <= SECTORS_MAX ||
           refuse(raw->reader, error, "a VHD of %s, more than the 2040 GiB that one can have", size);
}

/* How much of a disk the file can hold. */
static gboolean find_room(const Raw *raw, const VhdFooter *footer, guint64 *room, GError **error)
{
    guint8 header[SECTOR];
    if (!raw->at_head) {
        *room = raw->end - SECTOR;
        return TRUE;
    }
    reader_bytes(raw->reader, footer->header, header, sizeof header);
    if (memcmp(header, "cxsparse", 8) != 0) {
        return refuse(raw->reader, error, "the header of the dynamic VHD is missing or damaged");
    }
    *room = (guint64)be32(header + 28) * be32(header + 32);
    return TRUE;
}

static gboolean is_one_of(const guint8 *creator, const char *const *names, gsize size)
{
    for (; *names != NULL; names++) {
        if (memcmp(creator, *names, size) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Whether every QEMU takes the bytes: where the geometry is the same, could not be told, or comes from one of those
 * programs. */
static gboolean is_undisputed(const Raw *raw)
{
    static const char *const four[] = {"win ", "qem2", "d2v ", "CTXS", NULL}, *const three[] = {"tap", NULL};
    return raw->geometry == raw->size || raw->geometry == GEOMETRY_MAX * SECTOR ||
           is_one_of(raw->bytes + 28, four, 4) || is_one_of(raw->bytes + 28, three, 3);
}

static void choose_size(const Raw *raw, guint64 room, VhdFooter *footer)
{
    static const char *const by_geometry[] = {"vpc ", "qemu", NULL};
    footer->undisputed = is_undisputed(raw);
    footer->by_geometry = !footer->undisputed && is_one_of(raw->bytes + 28, by_geometry, 4) &&
                          raw->geometry > raw->size && raw->geometry <= room;
    footer->size = footer->by_geometry ? raw->geometry : raw->size;
}

gboolean vhd_footer_read(const Reader *reader, VhdFooter *footer, GError **error)
{
    Raw raw = {.reader = reader};
    guint64 room = 0;
    if (!raw_find(&raw, error)) {
        return FALSE;
    }
    guint32 kind = be32(raw.bytes + 60);
    *footer = (VhdFooter){.differencing = kind == DIFFERENCING, .header = be64(raw.bytes + 16)};
    raw.size = be64(raw.bytes + 48);
    raw.geometry = (guint64)be16(raw.bytes + 56) * raw.bytes[58] * raw.bytes[59] * SECTOR;
    if (!check_kind(&raw, kind, error)) {
        return FALSE;
    }
    if (footer->differencing) {
        return TRUE;
    }
    if (!check_size(&raw, error) || !find_room(&raw, footer, &room, error)) {
        return FALSE;
    }
    if (room < raw.size) {
        g_autofree char *has = ingot_text_size(room), *size = ingot_text_size(raw.size);
        return refuse(reader, error, "a VHD of %s, but its file holds %s: it is cut short", size, has);
    }
    choose_size(&raw, room, footer);
    return TRUE;
}
