#include "image/ties.h"

#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "image/reader.h"
#include "image/tables.h"
#include "image/vhdfooter.h"
#include "image/vhdxparent.h"
#include "image/vmdkfile.h"

#define SECTOR 512u
#define NAME_MAX_BYTES 1024u        /* of a backing file's name: more than QEMU takes */
#define QCOW2_HEADER_MAX (2u << 20) /* it lies in the first cluster */
#define QCOW2_EXTERNAL_DATA 4u      /* a bit of the incompatible features */
#define QCOW2_DATA_NAME 0x44415441u /* the header extension with the data file's name */
#define VDI_DIFFERENCING 4u
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
    if (be32(head + 32) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: it is encrypted; make an open one of it with `%s` and its key", reader->name, QEMU_IMG);
        return FALSE;
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
    VhdFooter footer;
    if (!vhd_footer_read(reader, &footer, error)) {
        return FALSE;
    }
    if (!footer.differencing) {
        return TRUE;
    }
    g_autofree char *other = reader_wide_text(reader, footer.header + 64, VHD_NAME, "UTF-16BE");
    return refuse(reader, "stands on", other, HYPER_V, error);
}

static gboolean check_vhdx(const Reader *reader, GError **error)
{
    g_autofree char *other = vhdx_parent(reader);
    return other == NULL || refuse(reader, "stands on", other, HYPER_V, error);
}

/* VirtualBox knows a parent by its UUID alone, and calls a disk that has one a differencing one. */
static gboolean check_vdi(const Reader *reader, GError **error)
{
    guint8 head[SECTOR], none[16] = {0};
    reader_bytes(reader, 0, head, sizeof head);
    if (le32(head + 76) != VDI_DIFFERENCING && memcmp(head + 424, none, sizeof none) == 0) {
        return TRUE;
    }
    return refuse(reader, "stands on", "its parent in VirtualBox", "VBoxManage clonemedium", error);
}

/* A name that means a file beside the disk and nothing else, also to QEMU, which knows "nbd:..." and the like. */
static gboolean is_plain(const char *name)
{
    return *name != '\0' && *name != '.' && strpbrk(name, "/:") == NULL && g_utf8_validate(name, -1, NULL);
}

static gboolean check_names(const Reader *reader, const GArray *extents, GError **error)
{
    for (guint i = 0; i < extents->len; i++) {
        const char *name = g_array_index(extents, VmdkExtent, i).name;
        if (!is_plain(name)) {
            g_autofree char *shown = ingot_text_head(name, NAME_MAX_BYTES);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "%s: names the extent '%s', which does not lie beside it", reader->name, shown);
            return FALSE;
        }
    }
    return TRUE;
}

static GArray *read_vmdk(const Reader *reader, GError **error)
{
    g_autofree char *parent = NULL;
    g_autoptr(GArray) extents = vmdk_file_extents(reader, &parent, error);
    gboolean ok = extents != NULL && (parent == NULL || refuse(reader, "stands on", parent, QEMU_IMG, error)) &&
                  check_names(reader, extents, error);
    return ok ? g_steal_pointer(&extents) : NULL;
}

/* --- the whole --- */

/* The extents of a VMDK, an empty array for any other disk. */
static GArray *find_ties(const Reader *reader, const char *format, GError **error)
{
    if (strcmp(format, "vmdk") == 0) {
        return read_vmdk(reader, error);
    }
    gboolean ok = strcmp(format, "qcow2") == 0  ? check_qcow2(reader, error)
                  : strcmp(format, "vpc") == 0  ? check_vhd(reader, error)
                  : strcmp(format, "vhdx") == 0 ? check_vhdx(reader, error)
                  : strcmp(format, "vdi") == 0  ? check_vdi(reader, error)
                                                : TRUE;
    return ok ? g_array_new(FALSE, FALSE, sizeof(VmdkExtent)) : NULL;
}

char **ingot_ties_extents(const IngotPart *part, const char *name, const char *format, GError **error)
{
    g_auto(Reader) reader = {0};
    if (!reader_open(&reader, part, name, error)) {
        return NULL;
    }
    g_autoptr(GArray) extents = find_ties(&reader, format, error);
    if (!reader_stands_by(&reader, extents != NULL, error) || extents == NULL) {
        return NULL;
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < extents->len; i++) {
        const char *extent = g_array_index(extents, VmdkExtent, i).name;
        if (!g_ptr_array_find_with_equal_func(names, extent, g_str_equal, NULL)) {
            g_ptr_array_add(names, g_strdup(extent));
        }
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

gboolean ingot_ties_check(const IngotPart *part, const char *name, const char *format, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(part->path);
    g_auto(Reader) reader = {0};
    if (!reader_open(&reader, part, name, error)) {
        return FALSE;
    }
    g_autoptr(GArray) extents = find_ties(&reader, format, error);
    gboolean ok = extents != NULL && tables_check(&reader, format, error);
    if (!reader_stands_by(&reader, ok, error) || extents == NULL) {
        return FALSE;
    }
    for (guint i = 0; i < extents->len; i++) {
        if (!vmdk_file_check_extent(name, folder, &g_array_index(extents, VmdkExtent, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean ingot_ties_check_alone(const char *path, const char *name, const char *format, GError **error)
{
    const IngotPart whole = {.path = path};
    g_auto(GStrv) extents = ingot_ties_extents(&whole, name, format, error);
    if (extents != NULL && extents[0] != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a description of a disk that lies in other files (%s), which one digest does not tell of: "
                    "make one file of them with `%s -O qcow2`",
                    name, extents[0], QEMU_IMG);
        return FALSE;
    }
    return extents != NULL && ingot_ties_check(&whole, name, format, error);
}
