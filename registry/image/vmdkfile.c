#include "image/vmdkfile.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "image/tables.h"

#define SECTOR 512u
#define DESCRIPTOR_MAX ((1u << 20) - 1) /* bytes of a text that QEMU reads */

static gboolean refuse(const char *disk, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s", disk, why);
    return FALSE;
}

static gboolean has_magic(const guint8 *head, const char *magic)
{
    return memcmp(head, magic, 4) == 0;
}

/* A head that says it has no data: QEMU reads a descriptor where it tells. */
static gboolean is_descriptor_in_head(const guint8 *head)
{
    return has_magic(head, "KDMV") && le64(head + 12) == 0;
}

static GArray *extents_none(void)
{
    return g_array_new(FALSE, FALSE, sizeof(VmdkExtent));
}

/* The text that names extents; QEMU looks for the parent in `beside`. */
static GArray *read_text(const Reader *reader, const char *text, const char *beside, char **parent, GError **error)
{
    gboolean there;
    *parent = vmdk_text_parent(beside, &there);
    if (*parent == NULL && beside != text) {
        *parent = vmdk_text_parent(text, &(gboolean){FALSE});
    }
    if (*parent != NULL) {
        return extents_none();
    }
    if (!there) {
        refuse(reader->name, "the VMDK's descriptor has no parentCID", error);
        return NULL;
    }
    return vmdk_text_extents(text, reader->name, error);
}

/* A disk in one file: QEMU looks for its descriptor in the second sector, others where the head tells. */
static GArray *read_whole(const Reader *reader, const guint8 *head, char **parent, GError **error)
{
    gboolean there;
    guint64 at = le64(head + 28) <= G_MAXINT64 / SECTOR ? le64(head + 28) * SECTOR : SECTOR;
    g_autofree char *second = reader_text(reader, SECTOR, DESCRIPTOR_MAX);
    g_autofree char *told = has_magic(head, "KDMV") ? reader_text(reader, at, DESCRIPTOR_MAX) : g_strdup("");
    if (is_descriptor_in_head(head)) {
        return read_text(reader, told, second, parent, error);
    }
    *parent = vmdk_text_parent(second, &there);
    if (*parent == NULL) {
        *parent = vmdk_text_parent(told, &(gboolean){FALSE});
    }
    if (*parent == NULL && !there) {
        refuse(reader->name,
               "an extent of a VMDK, without the descriptor that says what disk it is a part of: that is the file to "
               "give",
               error);
        return NULL;
    }
    if (*parent == NULL && vmdk_text_count(second) > 1) {
        refuse(reader->name, "a VMDK of several extents whose descriptor lies in the first: QEMU reads that one alone",
               error);
        return NULL;
    }
    return extents_none();
}

GArray *vmdk_file_extents(const Reader *reader, char **parent, GError **error)
{
    guint8 head[SECTOR];
    *parent = NULL;
    reader_bytes(reader, 0, head, sizeof head);
    if (has_magic(head, "KDMV") || has_magic(head, "COWD")) {
        return read_whole(reader, head, parent, error);
    }
    g_autofree char *text = reader_text(reader, 0, DESCRIPTOR_MAX);
    return read_text(reader, text, text, parent, error);
}

/* --- the files of extents --- */

typedef struct {
    const char *disk;
    const VmdkExtent *extent;
} Check;

static gboolean refuse_extent(const Check *check, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: its extent '%s' is %s", check->disk, check->extent->name,
                why);
    return FALSE;
}

static gboolean check_sectors(const Check *check, guint64 sectors, GError **error)
{
    if (sectors == check->extent->sectors) {
        return TRUE;
    }
    g_autofree char *why =
        g_strdup_printf("of %" G_GUINT64_FORMAT " sectors, not of %" G_GUINT64_FORMAT " as the descriptor says",
                        sectors, check->extent->sectors);
    return refuse_extent(check, why, error);
}

/* QEMU goes by the heads of such files, not by their line. */
static gboolean check_head(const Check *check, const guint8 *head, GError **error)
{
    if (check->extent->kind == VMDK_SESPARSE) {
        return le64(head) == 0xcafebabe ? check_sectors(check, le64(head + 16), error)
                                        : refuse_extent(check, "not a seSparse file", error);
    }
    if (is_descriptor_in_head(head)) {
        return refuse_extent(check, "a descriptor of further ones", error);
    }
    return has_magic(head, "KDMV")   ? check_sectors(check, le64(head + 12), error)
           : has_magic(head, "COWD") ? check_sectors(check, le32(head + 12), error)
                                     : refuse_extent(check, "not a sparse file (KDMV, COWD)", error);
}

static gboolean check_tables(const Check *check, const Reader *reader, GError **error)
{
    g_autofree char *name = g_strdup_printf("%s: its extent '%s'", check->disk, check->extent->name);
    const Reader named = {name, reader->fd, reader->offset, reader->length, reader->problem};
    return tables_check(&named, "vmdk", error);
}

/* QEMU would read zeros behind the file's end. */
static gboolean check_length(const Check *check, guint64 bytes, GError **error)
{
    return (check->extent->offset + check->extent->sectors) * SECTOR <= bytes ||
           refuse_extent(check, "cut short: the file holds less than the descriptor says", error);
}

gboolean vmdk_file_check_extent(const char *disk, const char *folder, const VmdkExtent *extent, GError **error)
{
    const Check check = {disk, extent};
    g_autofree char *file = g_build_filename(folder, extent->name, NULL);
    struct stat info;
    if (lstat(file, &info) != 0) {
        return refuse_extent(&check, errno == ENOENT ? "missing" : g_strerror(errno), error);
    }
    if (!S_ISREG(info.st_mode)) {
        return refuse_extent(&check, "no regular file", error);
    }
    g_auto(IngotFd) fd = ingot_file_open(file, O_RDONLY | O_NOFOLLOW, 0, error);
    if (fd < 0) {
        g_prefix_error(error, "%s: ", disk);
        return FALSE;
    }
    guint8 head[SECTOR];
    int problem = 0;
    const Reader reader = {.name = file, .fd = fd, .length = G_MAXUINT64, .problem = &problem};
    reader_bytes(&reader, 0, head, sizeof head);
    gboolean ok = extent->kind == VMDK_FLAT ? check_length(&check, reader_end(&reader), error)
                                            : check_head(&check, head, error) && check_tables(&check, &reader, error);
    return reader_stands_by(&reader, ok, error);
}
