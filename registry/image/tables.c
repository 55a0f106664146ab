#include "image/tables.h"

#include <ingot/error.h>
#include <string.h>

#include "base/process.h"
#include "image/asmeant.h"
#include "image/squeezed.h"
#include "image/vhdfooter.h"
#include "image/vhdxitems.h"

#define SECTOR 512u
#define WINDOW (64u << 10)      /* bytes of a table that are read at once: a multiple of any entry's */
#define LOOK 1024u              /* bytes that a look at a smaller table counts as */
#define SHARED_MAX (256u << 20) /* bytes of tables beyond the file's own: a writer may name an empty one many times */
#define SECTORS_MAX (G_MAXINT64 / SECTOR)
#define VDI_BLOCK (1u << 20)
#define MARKER 12u /* bytes before a compressed grain: its place, and its size */
#define NO_GRAIN G_MAXUINT32
#define DEFLATE_RATIO_MAX 1032u /* bytes that one of deflate's can unpack to */
#define ZSTD_BLOCK (128u << 10) /* bytes at most that a block of zstd unpacks to; it has 4 at least */
#define EDGE_MAX (SECTOR + 1)   /* clusters that have bytes in one sector: one may begin before it */

typedef struct Tables Tables;

/* The disk is cut into grains. A table says where they lie, a directory where the tables do. */
struct Tables {
    const Reader *reader;
    guint64 end; /* of the file */
    guint64 directory,
        places;               /* where the directory is, and its entries; without one, where the only table is, and 0 */
    gsize place_width, width; /* bytes of an entry of the directory, and of a table */
    guint64 table;            /* entries of each of the directory's tables */
    guint64 grains, grain, last;  /* how many, bytes of each, bytes that the disk has of the last one */
    guint64 tables_at, grains_at; /* what places count from */
    guint64 reach, read;          /* where the last grain that is named ends; bytes of tables that were read */
    guint64 named;                /* bytes at least that the file must have if no two entries name the same ones */
    guint packed;                 /* bytes at least of a compressed grain; 0: grains are as they are */
    gboolean zeros;               /* 1 stands for a grain of zeros */
    GHashTable *edge;             /* where the compressed clusters begin whose last sector the file ends in; or NULL */
    gboolean zstd;                /* they are compressed by it */
    /* Where the table is that an entry of the directory names; 0: there is none. */
    guint64 (*find_table)(const Tables *tables, const guint8 *entry);
    /* Where the bytes end that an entry of a table names, which holds so many of the disk; 0: there are none. */
    guint64 (*find_end)(const Tables *tables, const guint8 *entry, guint64 size);
};

static void tables_clear(Tables *tables)
{
    g_clear_pointer(&tables->edge, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Tables, tables_clear)

static gboolean refuse(const Tables *tables, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s", tables->reader->name, why);
    return FALSE;
}

static gboolean refuse_cut(const Tables *tables, GError **error)
{
    return refuse(tables, "cut short: its tables name what would lie behind its end", error);
}

static void set_disk(Tables *tables, guint64 size, guint64 grain)
{
    tables->grain = grain;
    tables->grains = size / grain + (size % grain == 0 ? 0 : 1);
    tables->last = size % grain == 0 ? grain : size % grain;
}

/* Of the sizes in sectors, which may be of more bytes than there are numbers. */
static void set_sectors(Tables *tables, guint64 sectors, guint64 grain)
{
    set_disk(tables, sectors, grain);
    tables->grain *= SECTOR;
    tables->last *= SECTOR;
}

static guint64 from_sectors(guint64 sectors)
{
    return MIN(sectors, (guint64)SECTORS_MAX) * SECTOR;
}

/* --- the walk --- */

typedef gboolean (*OnEntry)(Tables *tables, const guint8 *entry, guint64 number, GError **error);

static gboolean walk(Tables *tables, guint64 offset, guint64 count, gsize width, guint64 number, OnEntry on_entry,
                     GError **error)
{
    if (offset > tables->end || count > (tables->end - offset) / width) {
        return refuse_cut(tables, error);
    }
    tables->read += MAX(count * width, (guint64)LOOK);
    if (tables->read > tables->end + SHARED_MAX) {
        return refuse(tables, "its tables lie over one another", error);
    }
    g_autofree guint8 *window = g_malloc(MIN(count * width, (guint64)WINDOW) + 1);
    for (guint64 done = 0; done < count;) {
        guint64 part = MIN(count - done, (guint64)(WINDOW / width));
        if (reader_bytes(tables->reader, offset + done * width, window, part * width) != part * width) {
            return refuse_cut(tables, error);
        }
        for (guint64 i = 0; i < part; i++) {
            if (!on_entry(tables, window + i * width, number + done + i, error)) {
                return FALSE;
            }
        }
        done += part;
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Only qcow2 says it of each. */
static gboolean is_squeezed(const Tables *tables, const guint8 *entry)
{
    return tables->packed > 0 || (tables->edge != NULL && (be64(entry) >> 62 & 1) != 0);
}

/* The fewest bytes that so many can be compressed to. */
static guint64 least_squeezed(const Tables *tables, guint64 size)
{
    return MAX(tables->zstd ? size / ZSTD_BLOCK * 4 : size / DEFLATE_RATIO_MAX, 1);
}

static gboolean on_grain(Tables *tables, const guint8 *entry, guint64 number, GError **error)
{
    (void)error;
    guint64 size = number + 1 == tables->grains ? tables->last : tables->grain;
    guint64 end = tables->find_end(tables, entry, size);
    if (end > 0) {
        guint64 least = is_squeezed(tables, entry) ? least_squeezed(tables, size) : size;
        tables->named = MIN(tables->named + least, (guint64)G_MAXINT64);
    }
    tables->reach = MAX(tables->reach, end);
    return TRUE;
}

/* No writer names bytes twice: a small file would show a disk of any size without a hole, to be read for hours. The
 * last grain may lack its end. */
static gboolean check_named(const Tables *tables, GError **error)
{
    return tables->named <= tables->end + tables->grain ||
           refuse(tables, "its tables name the same bytes again and again", error);
}

static gboolean on_table(Tables *tables, const guint8 *entry, guint64 number, GError **error)
{
    guint64 offset = tables->find_table(tables, entry), first = number * tables->table;
    guint64 count = MIN(tables->table, tables->grains - first);
    return offset == 0 || walk(tables, offset, count, tables->width, first, on_grain, error);
}

/* The last grain's size is told where it lies. */
static guint64 end_of_last(const Tables *tables)
{
    guint8 marker[MARKER];
    if (tables->packed != MARKER || tables->reach > tables->end || tables->reach == 0) {
        return tables->reach;
    }
    reader_bytes(tables->reader, tables->reach - MARKER, marker, sizeof marker);
    return tables->reach + le32(marker + 8);
}

/* What QEMU keeps in memory: it refuses more. */
static gboolean is_first_too_large(guint64 count, gsize width)
{
    return count > AS_MEANT_MEMORY / width;
}

static gboolean walk_all(Tables *tables, GError **error)
{
    if (tables->find_table == NULL) {
        return is_first_too_large(tables->grains, tables->width) ||
               walk(tables, tables->directory, tables->grains, tables->width, 0, on_grain, error);
    }
    guint64 needed = tables->grains / tables->table + (tables->grains % tables->table == 0 ? 0 : 1);
    guint64 count = MIN(tables->places, needed);
    return is_first_too_large(count, tables->place_width) ||
           walk(tables, tables->directory, count, tables->place_width, 0, on_table, error);
}

/* --- qcow2 --- */

static guint64 qcow2_offset(guint64 entry)
{
    return entry & G_GUINT64_CONSTANT(0x00fffffffffffe00);
}

static guint64 qcow2_table(const Tables *tables, const guint8 *entry)
{
    (void)tables;
    return qcow2_offset(be64(entry));
}

/* The sectors are told, of which the last one need not be whole: then the cluster itself is looked at. */
static guint64 qcow2_end_compressed(const Tables *tables, guint64 entry)
{
    guint64 counts = tables->grain / 256, offsets = (G_GUINT64_CONSTANT(1) << 62) / counts;
    guint64 offset = entry % offsets, more = entry / offsets % counts;
    guint64 last = offset / SECTOR * SECTOR + more * SECTOR;
    if (last < tables->end && tables->end - last < SECTOR && g_hash_table_size(tables->edge) <= EDGE_MAX) {
        g_hash_table_add(tables->edge, GSIZE_TO_POINTER(offset));
    }
    return last + 1;
}

static gboolean check_edge(const Tables *tables, GError **error)
{
    GHashTableIter iter;
    gpointer offset;
    if (tables->edge == NULL) {
        return TRUE;
    }
    if (g_hash_table_size(tables->edge) > EDGE_MAX) {
        return refuse(tables, "its clusters lie over one another", error);
    }
    g_hash_table_iter_init(&iter, tables->edge);
    while (g_hash_table_iter_next(&iter, &offset, NULL)) {
        if (!squeezed_is_whole(tables->reader, GPOINTER_TO_SIZE(offset), tables->end, tables->grain, tables->zstd)) {
            return refuse(tables, "cut short: its last compressed cluster is not all there", error);
        }
    }
    return TRUE;
}

static guint64 qcow2_end(const Tables *tables, const guint8 *bytes, guint64 size)
{
    guint64 entry = be64(bytes), offset = qcow2_offset(entry);
    if ((entry >> 62 & 1) != 0) {
        return qcow2_end_compressed(tables, entry);
    }
    if (tables->width == 16) { /* the cluster's 32 parts are there, or not, each by itself */
        guint32 there = be32(bytes + 12);
        guint64 parts = there == 0 ? 0 : 32 - (guint64)__builtin_clz(there);
        size = MIN(size, parts * (tables->grain / 32));
    } else if ((entry & 1) != 0) { /* zeros, whatever lies there */
        return 0;
    }
    return offset == 0 || size == 0 ? 0 : offset + size;
}

static gboolean find_qcow2(Tables *tables, const guint8 *head)
{
    guint32 bits = be32(head + 20);
    if (bits < 9 || bits > 21) {
        return FALSE;
    }
    gboolean extended = be32(head + 4) >= 3 && (be64(head + 72) & 16) != 0;
    set_disk(tables, be64(head + 24), G_GUINT64_CONSTANT(1) << bits);
    tables->directory = be64(head + 40);
    tables->places = be32(head + 36);
    tables->place_width = 8;
    tables->width = extended ? 16 : 8;
    tables->table = tables->grain / tables->width;
    tables->zstd = be32(head + 4) >= 3 && (be64(head + 72) & 8) != 0 && head[104] == 1;
    tables->edge = g_hash_table_new(NULL, NULL);
    tables->find_table = qcow2_table;
    tables->find_end = qcow2_end;
    return TRUE;
}

/* --- VDI and VHD: one table --- */

static guint64 vdi_end(const Tables *tables, const guint8 *entry, guint64 size)
{
    guint64 block = le32(entry);
    return block >= NO_GRAIN - 1 ? 0 : tables->grains_at + block * tables->grain + size;
}

static gboolean find_vdi(Tables *tables, const guint8 *head)
{
    if (le32(head + 376) != VDI_BLOCK) {
        return FALSE;
    }
    set_disk(tables, le64(head + 368), VDI_BLOCK);
    tables->grains = MIN(tables->grains, (guint64)le32(head + 384));
    tables->directory = le32(head + 340);
    tables->grains_at = le32(head + 344);
    tables->width = 4;
    tables->find_end = vdi_end;
    return TRUE;
}

/* A map of the block's sectors comes before them. */
static guint64 vhd_end(const Tables *tables, const guint8 *entry, guint64 size)
{
    guint64 sector = be32(entry), map = (tables->grain / SECTOR / 8 + SECTOR - 1) / SECTOR * SECTOR;
    return sector == NO_GRAIN ? 0 : sector * SECTOR + map + size;
}

static gboolean find_vhd(Tables *tables, const guint8 *head)
{
    VhdFooter footer;
    guint8 header[SECTOR];
    if (memcmp(head, "conectix", 8) != 0 || !vhd_footer_read(tables->reader, &footer, NULL)) {
        return FALSE;
    }
    reader_bytes(tables->reader, footer.header, header, sizeof header);
    if (be32(header + 32) < SECTOR) {
        return FALSE;
    }
    set_disk(tables, footer.size, be32(header + 32));
    tables->grains = MIN(tables->grains, (guint64)be32(header + 28));
    tables->directory = be64(header + 16);
    tables->width = 4;
    tables->find_end = vhd_end;
    return TRUE;
}

/* --- VHDX: whether its blocks are there QEMU looks by itself --- */

static guint64 vhdx_end(const Tables *tables, const guint8 *entry, guint64 size)
{
    (void)tables, (void)size;
    return (le64(entry) & 7) >= 6 ? 1 : 0; /* a block that is there, or a part of one */
}

static gboolean find_vhdx(Tables *tables)
{
    static const guint8 parameters[] = {0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
                                        0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b};
    VhdxRun table, item;
    guint8 block[4];
    if (!vhdx_region(tables->reader, vhdx_region_bat, &table) || !vhdx_item(tables->reader, parameters, &item)) {
        return FALSE;
    }
    reader_bytes(tables->reader, item.offset, block, sizeof block);
    tables->grain = tables->last = le32(block);
    tables->directory = MIN(table.offset, tables->end);
    tables->width = 8;
    tables->grains = MIN(table.size, tables->end - tables->directory) / tables->width;
    tables->find_end = vhdx_end;
    return TRUE;
}

/* --- the sparse files of a VMDK --- */

static guint64 vmdk_table(const Tables *tables, const guint8 *entry)
{
    (void)tables;
    return from_sectors(le32(entry));
}

static guint64 vmdk_end(const Tables *tables, const guint8 *entry, guint64 size)
{
    guint64 sector = le32(entry);
    if (sector == 0 || (tables->zeros && sector == 1)) {
        return 0;
    }
    return sector * SECTOR + (tables->packed > 0 ? tables->packed : size);
}

static gboolean find_cowd(Tables *tables, const guint8 *head)
{
    if (le32(head + 16) == 0) {
        return FALSE;
    }
    set_sectors(tables, le32(head + 12), le32(head + 16));
    tables->directory = from_sectors(le32(head + 20));
    tables->places = le32(head + 24);
    tables->table = 4096;
    return TRUE;
}

/* By limits of QEMU's: it refuses others. */
static gboolean find_kdmv(Tables *tables, const guint8 *head)
{
    guint64 sectors = le64(head + 12), grain = le64(head + 20);
    guint32 flags = le32(head + 8), table = le32(head + 44);
    if (sectors == 0 || grain == 0 || grain > 0x200000 || table == 0 || table > 512) {
        return FALSE;
    }
    set_sectors(tables, sectors, grain);
    tables->directory = from_sectors(le64(head + 56));
    tables->places = G_MAXUINT64;
    tables->table = table;
    tables->zeros = (flags & 1u << 2) != 0;
    tables->packed = (flags & 1u << 16) == 0 ? 0 : (flags & 1u << 17) == 0 ? 1 : MARKER;
    return TRUE;
}

/* What is written as a stream has its head again at the end, before the last sector. */
static gboolean read_footer(const Tables *tables, guint8 *head)
{
    guint64 end = (tables->end + SECTOR - 1) / SECTOR * SECTOR;
    guint64 at = le64(head + 56) == G_MAXUINT64 ? end - MIN(end, (guint64)2 * SECTOR) : 0;
    reader_bytes(tables->reader, at, head, SECTOR);
    return memcmp(head, "KDMV", 4) == 0;
}

static guint64 sesparse_table(const Tables *tables, const guint8 *entry)
{
    guint64 place = le64(entry);
    return place >> 32 == 0x10000000 ? tables->tables_at + (guint64)le32(entry) * tables->table * 8 : 0;
}

static guint64 sesparse_end(const Tables *tables, const guint8 *bytes, guint64 size)
{
    guint64 entry = le64(bytes), number = (entry >> 48 & 0xfff) | (entry & G_GUINT64_CONSTANT(0xffffffffffff)) << 12;
    return entry >> 60 == 3
               ? tables->grains_at + MIN(number, (guint64)G_MAXINT64 / 2 / tables->grain) * tables->grain + size
               : 0;
}

static gboolean find_sesparse(Tables *tables, const guint8 *head)
{
    if (le64(head + 24) != 8 || le64(head + 32) != 64) {
        return FALSE;
    }
    set_sectors(tables, le64(head + 16), 8);
    tables->directory = from_sectors(le64(head + 128));
    tables->places = from_sectors(le64(head + 136)) / 8;
    tables->table = from_sectors(64) / 8;
    tables->tables_at = from_sectors(le64(head + 144));
    tables->grains_at = from_sectors(le64(head + 192));
    tables->place_width = tables->width = 8;
    tables->find_table = sesparse_table;
    tables->find_end = sesparse_end;
    return TRUE;
}

static gboolean find_vmdk(Tables *tables, const guint8 *head)
{
    if (le64(head) == 0xcafebabe) {
        return find_sesparse(tables, head);
    }
    tables->place_width = tables->width = 4;
    tables->find_table = vmdk_table;
    tables->find_end = vmdk_end;
    return memcmp(head, "KDMV", 4) == 0 ? find_kdmv(tables, head)
                                        : memcmp(head, "COWD", 4) == 0 && find_cowd(tables, head);
}

/* --- the whole --- */

gboolean tables_check(const Reader *reader, const char *format, GError **error)
{
    guint8 head[SECTOR];
    g_auto(Tables) tables = {.reader = reader, .end = reader_end(reader)};
    reader_bytes(reader, 0, head, sizeof head);
    gboolean stream = strcmp(format, "vmdk") == 0 && memcmp(head, "KDMV", 4) == 0;
    if (stream && !read_footer(&tables, head)) {
        return refuse(&tables, "cut short: the copy of its head at its end is missing", error);
    }
    gboolean found = strcmp(format, "qcow2") == 0  ? find_qcow2(&tables, head)
                     : strcmp(format, "vdi") == 0  ? find_vdi(&tables, head)
                     : strcmp(format, "vpc") == 0  ? find_vhd(&tables, head)
                     : strcmp(format, "vhdx") == 0 ? find_vhdx(&tables)
                     : strcmp(format, "vmdk") == 0 ? find_vmdk(&tables, head)
                                                   : FALSE;
    return !found || (walk_all(&tables, error) && (end_of_last(&tables) <= tables.end || refuse_cut(&tables, error)) &&
                      check_named(&tables, error) && check_edge(&tables, error));
}
