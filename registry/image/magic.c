#include "image/magic.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "image/reader.h"

#define SECTOR 512u
#define HEAD (68u << 10) /* bytes: up to the superblock of Btrfs */
#define CD_AT 32769u     /* of the first volume descriptor */

static const char *const formats[] = {"raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi"};

typedef struct {
    const char *magic;
    guint8 size;
    guint32 offset;
    const char *is;   /* the format, or what people call it */
    const char *qemu; /* its name in qemu-img, which makes another of it; else NULL */
} Magic;

#define MAGIC(text, offset, is, qemu)                                                                                  \
    {                                                                                                                  \
        text, sizeof(text) - 1, offset, is, qemu                                                                       \
    }

static const Magic taken[] = {
    MAGIC("QFI\xfb", 0, "qcow2", NULL), MAGIC("KDMV", 0, "vmdk", NULL),    MAGIC("COWD", 0, "vmdk", NULL),
    MAGIC("vhdxfile", 0, "vhdx", NULL), MAGIC("conectix", 0, "vpc", NULL), MAGIC("\x7f\x10\xda\xbe", 64, "vdi", NULL),
};

static const Magic others[] = {
    MAGIC("QFI\xfb\0\0\0\1", 0, "a qcow disk of version 1", "qcow"),
    MAGIC("QED\0", 0, "a QED disk", "qed"),
    MAGIC("WithoutFreeSpace", 0, "a Parallels disk", "parallels"),
    MAGIC("WithouFreSpacExt", 0, "a Parallels disk", "parallels"),
    MAGIC("Bochs Virtual HD Image", 0, "a Bochs disk", "bochs"),
    MAGIC("#!/bin/sh\n#V2.0 Format\n", 0, "a cloop disk", "cloop"),
    MAGIC("LUKS\xba\xbe", 0, "an encrypted disk (LUKS)", NULL),
    MAGIC("\xbe\xba\xfe\xca\0\0\0\0", 0, "the data of a VMDK (seSparse); its descriptor, a text, is what to give",
          NULL),
    MAGIC("EVF\x09\x0d\x0a\xff\0", 0, "an EnCase image", NULL),
    MAGIC("AFF10\r\n", 0, "an AFF image", NULL),
    MAGIC("partclone-image", 0, "a partclone image", NULL),
    MAGIC("sprs", 0, "a sparse image of macOS", NULL),
    MAGIC("\x3a\xff\x26\xed", 0, "a sparse image of Android", NULL),
    MAGIC("MSWIM\0\0\0", 0, "a Windows image (WIM)", NULL),
    MAGIC("7z\xbc\xaf\x27\x1c", 0, "a 7z archive, to be unpacked first", NULL),
    MAGIC("Rar!\x1a\x07", 0, "a RAR archive, to be unpacked first", NULL),
    MAGIC("xar!", 0, "a xar archive, to be unpacked first", NULL),
    MAGIC("MSCF\0\0\0\0", 0, "a cabinet, to be unpacked first", NULL),
    MAGIC("\x04\x22\x4d\x18", 0, "compressed with lz4, to be unpacked first", NULL),
    MAGIC("\x89LZO\0\r\n\x1a\n", 0, "compressed with lzop, to be unpacked first", NULL),
    MAGIC("LZIP\1", 0, "compressed with lzip, to be unpacked first", NULL),
    MAGIC("\x5d\0\0\x80\0\xff\xff", 0, "compressed with lzma, to be unpacked first", NULL),
    MAGIC("\x7f"
          "ELF",
          0, "a program (ELF)", NULL),
    MAGIC("%PDF-", 0, "a PDF", NULL),
    MAGIC("<?xml", 0, "a text (XML)", NULL),
    MAGIC("<!DOCTYPE", 0, "a text (HTML)", NULL),
};

/* What lies at these places begins a disk. */
static const Magic begins[] = {
    MAGIC("\x55\xaa", 510, NULL, NULL),          /* a boot sector, a partition table */
    MAGIC("EFI PART", 512, NULL, NULL),          /* GPT */
    MAGIC("EFI PART", 4096, NULL, NULL),         /* with sectors of 4 KiB */
    MAGIC("PM\0\0", 512, NULL, NULL),            /* Apple's partition map */
    MAGIC("\x53\xef", 1080, NULL, NULL),         /* ext2, ext3, ext4 */
    MAGIC("\x10\x20\xf5\xf2", 1024, NULL, NULL), /* F2FS */
    MAGIC("XFSB", 0, NULL, NULL),
    MAGIC("_BHRfS_M", 65600, NULL, NULL), /* Btrfs */
    MAGIC("LABELONE", 512, NULL, NULL),   /* LVM */
    MAGIC("SWAPSPACE2", 4086, NULL, NULL),
};

static const Magic *find(const Magic *table, guint count, const guint8 *head)
{
    for (guint i = 0; i < count; i++) {
        if (memcmp(head + table[i].offset, table[i].magic, table[i].size) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

const char *magic_format(const char *word)
{
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (strcmp(word, formats[i]) == 0) {
            return formats[i];
        }
    }
    return NULL;
}

const char *magic_named(const char *name)
{
    static const char *const suffixes[][2] = {
        {".vmdk", "vmdk"}, {".qcow2", "qcow2"}, {".vdi", "vdi"}, {".vhdx", "vhdx"}, {".vhd", "vpc"},
    };
    g_autofree char *lower = g_ascii_strdown(name, -1);
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        if (g_str_has_suffix(lower, suffixes[i][0])) {
            return suffixes[i][1];
        }
    }
    return NULL;
}

/* A VMDK's descriptor is a text: comments and empty lines, and then its version. */
static gboolean is_descriptor(const guint8 *head)
{
    static const char title[] = "# Disk DescriptorFile", blank[] = " \t\r\n";
    g_autofree char *text = g_strndup((const char *)head, 4096);
    const char *line = text;
    for (;;) {
        line += strspn(line, blank);
        if (*line != '#') {
            break;
        }
        if (g_ascii_strncasecmp(line, title, sizeof title - 1) == 0) {
            return TRUE;
        }
        line += strcspn(line, "\n");
    }
    return g_str_has_prefix(line, "version=") && g_ascii_isdigit(line[8]);
}

static gboolean has_at_end(const Reader *reader, gsize back, const char *magic)
{
    char bytes[8];
    guint64 end = (reader_end(reader) + SECTOR - 1) / SECTOR * SECTOR; /* old footers have one byte less */
    return end >= back && reader_bytes(reader, end - back, bytes, strlen(magic)) == strlen(magic) &&
           memcmp(bytes, magic, strlen(magic)) == 0;
}

static gboolean is_device(const Reader *reader)
{
    struct stat info;
    return fstat(reader->fd, &info) == 0 && S_ISBLK(info.st_mode);
}

static gboolean is_raw(const Reader *reader, const guint8 *head)
{
    gboolean zeros = head[0] == 0 && memcmp(head, head + 1, HEAD - 1) == 0;
    return is_device(reader) || zeros || g_str_has_suffix(reader->name, ".raw") ||
           find(begins, G_N_ELEMENTS(begins), head) != NULL;
}

/* Always NULL. */
static const char *refuse(const char *name, const Magic *other, GError **error)
{
    if (other->qemu == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s", name, other->is);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: %s, which is not taken; make a qcow2 of it with `qemu-img convert -f %s -O qcow2`", name,
                    other->is, other->qemu);
    }
    return NULL;
}

static const char *refuse_unknown(const char *name, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "%s: not a disk of a known format, nor one that begins with a boot sector, a partition table or a file "
                "system; if it is a raw disk, that has to be said (--format raw, in a recipe source.image.format: raw)",
                name);
    return NULL;
}

static const char *refuse_named(const char *name, GError **error)
{
    g_set_error(
        error, INGOT_ERROR, INGOT_ERROR_INVALID,
        "%s: not what its name says: no mark of a %s is where it should be, which may be for it is cut short, or "
        "longer than it was; if it is a raw disk, that has to be said (--format raw, in a recipe "
        "source.image.format: raw)",
        name, strrchr(name, '.') + 1);
    return NULL;
}

/* Images for both media begin with a boot sector; a Windows disk has nothing where a CD begins. */
static gboolean is_cd(const guint8 *head)
{
    return memcmp(head + CD_AT, "CD001", 5) == 0 && !(head[510] == 0x55 && head[511] == 0xaa);
}

static const char *judge(const Reader *reader, const guint8 *head, GError **error)
{
    static const Magic cd = {.is = "an image of a CD or DVD (ISO 9660), not of a machine's disk"};
    static const Magic dmg = {.is = "a disk image of macOS (DMG)", .qemu = "dmg"};
    const Magic *other = find(others, G_N_ELEMENTS(others), head), *known = find(taken, G_N_ELEMENTS(taken), head);
    if (other != NULL) {
        return refuse(reader->name, other, error);
    }
    if (known != NULL) {
        return known->is;
    }
    if (is_descriptor(head)) {
        return "vmdk";
    }
    /* A fixed VHD has its cookie in the last sector alone. */
    if (has_at_end(reader, SECTOR, "conectix") && reader_end(reader) > SECTOR) {
        return "vpc";
    }
    if (has_at_end(reader, SECTOR, "koly")) {
        return refuse(reader->name, &dmg, error);
    }
    if (is_cd(head)) {
        return refuse(reader->name, &cd, error);
    }
    if (magic_named(reader->name) != NULL && !is_device(reader)) {
        return refuse_named(reader->name, error);
    }
    return is_raw(reader, head) ? "raw" : refuse_unknown(reader->name, error);
}

const char *magic_probe(const IngotPart *part, const char *name, GError **error)
{
    g_auto(Reader) reader = {0};
    if (!reader_open(&reader, part, name, error)) {
        return NULL;
    }
    g_autofree guint8 *head = g_malloc(HEAD);
    reader_bytes(&reader, 0, head, HEAD);
    const char *format = judge(&reader, head, error);
    return reader_stands_by(&reader, format != NULL, error) ? format : NULL;
}
