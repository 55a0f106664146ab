#include "image/ties.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "image/reader.h"
#include "image/vhdxparent.h"

#define SECTOR 512u
#define NAME_MAX_BYTES 1024u        /* of a backing file's name: more than QEMU takes */
#define DESCRIPTOR_MAX (1u << 20)   /* bytes of a VMDK's text that QEMU reads */
#define EXTENTS_MAX (gsize)4096     /* 8 TiB in extents of 2 GiB */
#define EXTENT_LINE 64u             /* bytes that one may take in the descriptor, on average */
#define QCOW2_HEADER_MAX (2u << 20) /* it lies in the first cluster */
#define QCOW2_EXTERNAL_DATA 4u      /* a bit of the incompatible features */
#define QCOW2_DATA_NAME 0x44415441u /* the header extension with the data file's name */
#define VHD_DIFFERENCING 4u
#define QEMU_IMG "qemu-img convert"
#define HYPER_V "Convert-VHD" /* QEMU can't open these */
#define VHD_NAME 512u         /* bytes of the parent's name */

static gboolean refuse(const Reader *reader, const char *does, const char *other, const char *tool, GError **error)
{
    g_autofree char *shown = ingot_text_head(other, NAME_MAX_BYTES);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s another file (%s); make it whole with `%s`",
                reader->name, does, shown, tool);
    return FALSE;
}

/* The text of a header extension, "" where it has none of that kind. */
static char *qcow2_extension(const Reader *reader, guint32 kind, guint64 at)
{
    guint8 head[8];
    while (at < QCOW2_HEADER_MAX && reader_bytes(reader, at, head, sizeof head) == sizeof head && be32(head) != 0) {
        guint32 length = be32(head + 4);
        if (be32(head) == kind) {
            return reader_text(reader, at + sizeof head, MIN(length, NAME_MAX_BYTES));
        }
        at += sizeof head + ((guint64)length + 7) / 8 * 8;
    }
    return g_strdup("");
}

static gboolean check_qcow2(const Reader *reader, GError **error)
{
    guint8 head[104];
    reader_bytes(reader, 0, head, sizeof head);
    guint64 backing = be64(head + 8);
    if (backing != 0) {
        g_autofree char *other = reader_text(reader, backing, MIN(be32(head + 16), NAME_MAX_BYTES));
        return refuse(reader, "stands on", other, QEMU_IMG, error);
    }
    if (be32(head + 4) >= 3 && (be64(head + 72) & QCOW2_EXTERNAL_DATA) != 0) {
        g_autofree char *other = qcow2_extension(reader, QCOW2_DATA_NAME, be32(head + 100));
        return refuse(reader, "keeps its data in", other, QEMU_IMG, error);
    }
    return TRUE;
}

/* The name is UTF-16, after 64 bytes of the header that the footer tells of. */
static gboolean check_vhd(const Reader *reader, GError **error)
{
    guint8 footer[SECTOR];
    reader_bytes(reader, 0, footer, sizeof footer);
    if (memcmp(footer, "conectix", 8) != 0 || be32(footer + 60) != VHD_DIFFERENCING) {
        return TRUE;
    }
    g_autofree char *other = reader_wide_text(reader, be64(footer + 16) + 64, VHD_NAME, "UTF-16BE");
    return refuse(reader, "stands on", other, HYPER_V, error);
}

static gboolean check_vhdx(const Reader *reader, GError **error)
{
    g_autofree char *other = vhdx_parent(reader);
    return other == NULL || refuse(reader, "stands on", other, HYPER_V, error);
}

/* --- VMDK --- */

/* A name that means a file beside the disk and nothing else, also to QEMU, which knows "nbd:..." and the like. */
static gboolean is_plain(const char *name)
{
    return *name != '\0' && *name != '.' && strpbrk(name, "/:") == NULL && g_utf8_validate(name, -1, NULL);
}

static gboolean refuse_extents(const Reader *reader, const char *why, const char *name, GError **error)
{
    g_autofree char *shown = ingot_text_head(name, NAME_MAX_BYTES);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: names the extent '%s', %s", reader->name, shown, why);
    return FALSE;
}

/* The lines are read as QEMU reads them, with sscanf, so that none means another file to it than to us. */
static gboolean add_extents(const Reader *reader, const char *text, GPtrArray *names, GError **error)
{
    static const char blank[] = " \t\n\v\f\r";
    if (strlen(text) > EXTENTS_MAX * EXTENT_LINE) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a descriptor of more than %" G_GSIZE_FORMAT " bytes",
                    reader->name, EXTENTS_MAX * EXTENT_LINE);
        return FALSE;
    }
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        char type[10], name[512];
        gint64 sectors;
        line += strspn(line, blank);
        if (strncmp(line, "RW", 2) != 0 ||
            sscanf(line, "RW %" G_GINT64_MODIFIER "d %9s \"%511[^\n\r\"]\"", &sectors, type, name) < 3) {
            continue;
        }
        if (!is_plain(name)) {
            return refuse_extents(reader, "which does not lie beside it", name, error);
        }
        if (names->len == EXTENTS_MAX) {
            return refuse_extents(reader, "one too many", name, error);
        }
        if (!g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL)) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    return TRUE;
}

static gboolean check_parent(const Reader *reader, const char *text, GError **error)
{
    static const char key[] = "parentFileNameHint";
    const char *hint = strstr(text, key);
    if (hint == NULL) {
        return TRUE;
    }
    const char *other = hint + strlen(key) + strspn(hint + strlen(key), " =\"");
    g_autofree char *shown = g_strndup(other, strcspn(other, "\"\r\n"));
    return refuse(reader, "stands on", shown, QEMU_IMG, error);
}

/* Whether a VMDK's file has no data of its own, but a descriptor within a head. */
static gboolean is_descriptor_in_head(const guint8 *head)
{
    return memcmp(head, "KDMV", 4) == 0 && le64(head + 12) == 0;
}

static gboolean read_vmdk(const Reader *reader, GPtrArray *names, GError **error)
{
    guint8 head[SECTOR];
    reader_bytes(reader, 0, head, sizeof head);
    if (memcmp(head, "KDMV", 4) != 0) {
        g_autofree char *text = reader_text(reader, 0, DESCRIPTOR_MAX);
        return check_parent(reader, text, error) && add_extents(reader, text, names, error);
    }
    /* QEMU looks for the parent in the second sector, others where the head tells. */
    guint64 at = le64(head + 28) <= G_MAXINT64 / SECTOR ? le64(head + 28) * SECTOR : SECTOR;
    g_autofree char *second = reader_text(reader, SECTOR, DESCRIPTOR_MAX);
    g_autofree char *text = reader_text(reader, at, DESCRIPTOR_MAX);
    return check_parent(reader, second, error) && check_parent(reader, text, error) &&
           (!is_descriptor_in_head(head) || add_extents(reader, text, names, error));
}

static gboolean refuse_extent(const char *disk, const char *name, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: its extent '%s' is %s", disk, name, why);
    return FALSE;
}

static gboolean check_extent(const char *disk, const char *folder, const char *name, GError **error)
{
    g_autofree char *file = g_build_filename(folder, name, NULL);
    struct stat info;
    if (lstat(file, &info) != 0) {
        return refuse_extent(disk, name, errno == ENOENT ? "missing" : g_strerror(errno), error);
    }
    if (!S_ISREG(info.st_mode)) {
        return refuse_extent(disk, name, "no regular file", error);
    }
    g_auto(IngotFd) fd = ingot_file_open(file, O_RDONLY | O_NOFOLLOW, 0, error);
    if (fd < 0) {
        g_prefix_error(error, "%s: ", disk);
        return FALSE;
    }
    guint8 head[SECTOR];
    const Reader reader = {.fd = fd, .length = G_MAXUINT64};
    reader_bytes(&reader, 0, head, sizeof head);
    return !is_descriptor_in_head(head) || refuse_extent(disk, name, "a descriptor of further ones", error);
}

/* --- the whole --- */

char **ingot_ties_extents(const IngotPart *part, const char *name, const char *format, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_auto(IngotFd) fd = ingot_file_open(part->path, O_RDONLY, 0, error);
    if (fd < 0) {
        return NULL;
    }
    const Reader reader = {name, fd, part->offset, part->length == 0 ? G_MAXUINT64 : part->length};
    gboolean ok = strcmp(format, "qcow2") == 0  ? check_qcow2(&reader, error)
                  : strcmp(format, "vpc") == 0  ? check_vhd(&reader, error)
                  : strcmp(format, "vhdx") == 0 ? check_vhdx(&reader, error)
                  : strcmp(format, "vmdk") == 0 ? read_vmdk(&reader, names, error)
                                                : TRUE;
    if (!ok) {
        return NULL;
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

gboolean ingot_ties_check(const char *path, const char *name, const char *format, GError **error)
{
    const IngotPart whole = {.path = path};
    g_autofree char *folder = g_path_get_dirname(path);
    g_auto(GStrv) extents = ingot_ties_extents(&whole, name, format, error);
    if (extents == NULL) {
        return FALSE;
    }
    for (guint i = 0; extents[i] != NULL; i++) {
        if (!check_extent(name, folder, extents[i], error)) {
            return FALSE;
        }
    }
    return TRUE;
}
