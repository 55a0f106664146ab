#include "image/bootable.h"

#include <string.h>

#include "image/fat.h"
#include "image/reader.h"
#include "image/smallreads.h"

#define SECTOR 512u
#define CODE_SIZE 440u /* of the first sector, before its disk's number */
#define TABLE 446u
#define TYPE_EFI 0xef
#define TYPE_GPT 0xee
#define ENTRIES_MAX 256u /* of a GPT that are looked at */
#define LEGACY_BOOT 4u   /* attribute of a partition: a BIOS starts it */

typedef struct {
    SmallReads *disk;
    Bootable *found;
    guint kinds; /* bits: for which of `programs` there are any */
} Look;

/* --- the EFI system partition --- */

/* What programs for each processor are called: BOOTX64.EFI, GRUBAA64.EFI. A name that is longer than FAT's short ones
 * is known by its beginning: BOOTRISCV64.EFI is BOOTRI~1.EFI. */
static const struct {
    const char *name, *architecture; /* NULL: machines of several kinds have these */
} programs[] = {
    {"*X64.EFI", "amd64"},         {"*AA64.EFI", "arm64"},        {"*ARM.EFI", "arm"},
    {"*/BOOTRI~?.EFI", "riscv64"}, {"*/GRUBRI~?.EFI", "riscv64"}, {"*/BOOTLO~?.EFI", "loong64"},
    {"*/GRUBLO~?.EFI", "loong64"}, {"*IA32.EFI", NULL},
};

static void on_file(const char *path, gpointer user)
{
    Look *look = user;
    look->found->uefi = look->found->uefi || g_str_has_suffix(path, ".EFI");
    for (guint i = 0; i < G_N_ELEMENTS(programs); i++) {
        look->kinds |= g_pattern_match_simple(programs[i].name, path) ? 1u << i : 0;
    }
}

/* The one architecture that all programs are for; else NULL. */
static const char *only_architecture(guint kinds)
{
    const char *only = NULL;
    for (guint i = 0; i < G_N_ELEMENTS(programs); i++) {
        const char *one = programs[i].architecture;
        if ((kinds & 1u << i) != 0 && (one == NULL || (only != NULL && strcmp(only, one) != 0))) {
            return NULL;
        }
        only = (kinds & 1u << i) != 0 ? one : only;
    }
    return only;
}

static gboolean look_into(Look *look, guint64 start, guint64 size, GError **error)
{
    guint64 all = ingot_blocks_size(look->disk->blocks);
    return start >= all || fat_list_efi(look->disk, start, MIN(size, all - start), on_file, look, error);
}

/* --- a table of the old kind --- */

static gboolean is_zero(const guint8 *bytes, gsize size)
{
    for (gsize i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean look_at_mbr(Look *look, const guint8 *head, GError **error)
{
    look->found->bios = !is_zero(head, CODE_SIZE);
    for (guint i = 0; i < 4; i++) {
        const guint8 *entry = head + TABLE + (gsize)16 * i;
        if (entry[4] == TYPE_EFI &&
            !look_into(look, (guint64)le32(entry + 8) * SECTOR, (guint64)le32(entry + 12) * SECTOR, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- a GPT --- */

/* The types of partitions as they lie on the disk. */
static const guint8 type_efi[] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                  0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
static const guint8 type_bios[] = {0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e,
                                   0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49};

static gboolean look_at_entry(Look *look, const guint8 *entry, guint64 sector, GError **error)
{
    guint64 first = le64(entry + 32), last = le64(entry + 40), most = G_MAXINT64 / sector;
    if (memcmp(entry, type_bios, sizeof type_bios) == 0 || (le64(entry + 48) & LEGACY_BOOT) != 0) {
        look->found->bios = TRUE;
    }
    return memcmp(entry, type_efi, sizeof type_efi) != 0 || last < first || last >= most ||
           look_into(look, first * sector, (last - first + 1) * sector, error);
}

/* Of disks with sectors of 512 bytes and of 4096. */
static gboolean look_at_gpt(Look *look, guint64 sector, GError **error)
{
    guint8 header[SECTOR], entry[128];
    if (!small_read(look->disk, sector, header, sizeof header, error)) {
        return FALSE;
    }
    guint64 entries = le64(header + 72), step = le32(header + 84);
    if (memcmp(header, "EFI PART", 8) != 0 || step < sizeof entry || step > 4096 || entries > G_MAXINT64 / sector) {
        return TRUE;
    }
    for (guint i = 0; i < MIN(le32(header + 80), ENTRIES_MAX); i++) {
        if (!small_read(look->disk, entries * sector + i * step, entry, sizeof entry, error) ||
            !look_at_entry(look, entry, sector, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- the whole --- */

static gboolean has_gpt(const guint8 *head)
{
    gboolean has = FALSE;
    for (guint i = 0; i < 4; i++) {
        has = has || head[TABLE + 16 * i + 4] == TYPE_GPT;
    }
    return has;
}

gboolean bootable_look(IngotBlocks *blocks, Bootable *bootable, GError **error)
{
    SmallReads disk = {.blocks = blocks};
    Look look = {.disk = &disk, .found = bootable};
    guint8 head[SECTOR];
    *bootable = (Bootable){0};
    if (!small_read(&disk, 0, head, sizeof head, error)) {
        return FALSE;
    }
    if (le16(head + 510) != 0xaa55) {
        return TRUE;
    }
    gboolean ok = has_gpt(head) ? look_at_gpt(&look, SECTOR, error) && look_at_gpt(&look, 4096, error)
                                : look_at_mbr(&look, head, error);
    bootable->architecture = only_architecture(look.kinds);
    return ok;
}
