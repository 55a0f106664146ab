/* Disk files from elsewhere: the input is one. Whatever it is, its kind is told or refused by name, and so is what it
 * is tied to in each format that it could be said to have. A VMDK's descriptor that is taken means to QEMU the same
 * extents; a VHD that is taken is no larger than its file. */
#include <ingot/error.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../registry/image/qemuvmdk.h"
#include "fuzz.h"
#include "image/asmeant.h"
#include "image/magic.h"
#include "image/tables.h"
#include "image/ties.h"
#include "image/vhdfooter.h"
#include "image/vmdkfile.h"

static void check_error(gboolean ok, const GError *error)
{
    g_assert(ok == (error == NULL));
    if (!ok) {
        g_assert_error(error, INGOT_ERROR, INGOT_ERROR_INVALID);
        g_assert(g_utf8_validate(error->message, -1, NULL));
        g_assert(g_str_has_prefix(error->message, "input: "));
    }
}

static void check_probe(const IngotPart *part)
{
    g_autoptr(GError) error = NULL;
    const char *format = magic_probe(part, "input", &error);
    check_error(format != NULL, error);
    g_assert(format == NULL || magic_format(format) != NULL);
}

static void check_ties(const IngotPart *part, const char *format)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) extents = ingot_ties_extents(part, "input", format, &error);
    check_error(extents != NULL, error);
    for (guint i = 0; extents != NULL && extents[i] != NULL; i++) {
        g_assert(strchr(extents[i], '/') == NULL && strchr(extents[i], ':') == NULL && extents[i][0] != '.');
    }
}

static void check_tables(const Reader *reader, const char *format)
{
    g_autoptr(GError) error = NULL;
    gboolean ok = tables_check(reader, format, &error);
    check_error(ok, error);
}

static void check_vhd(const Reader *reader)
{
    g_autoptr(GError) error = NULL;
    VhdFooter footer;
    gboolean ok = vhd_footer_read(reader, &footer, &error);
    check_error(ok, error);
    if (ok && !footer.differencing) {
        g_assert(footer.size > 0 && footer.size % 512 == 0);
        g_assert(!footer.by_geometry || !footer.undisputed);
    }
}

static void check_vmdk(const Reader *reader)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *parent = NULL, *text = reader_text(reader, 0, 1u << 20);
    g_autoptr(GArray) extents = vmdk_file_extents(reader, &parent, &error);
    check_error(extents != NULL, error);
    gboolean is_text = strncmp(text, "KDMV", 4) != 0 && strncmp(text, "COWD", 4) != 0;
    if (extents != NULL && parent == NULL && is_text) {
        g_assert(extents->len > 0 && qemu_vmdk_agrees(text, extents));
    }
}

static void check_plain(const char *path, const char *format)
{
    g_autoptr(GError) error = NULL;
    gboolean plain, ok = as_meant_is_plain(path, format, &plain, &error);
    g_assert(ok == (error == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const formats[] = {"raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi"};
    int fd = memfd_create("disk", MFD_CLOEXEC);
    g_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    const IngotPart whole = {.path = path}, part = {path, size / 2, size - size / 2};
    check_probe(&whole);
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        check_ties(&whole, formats[i]);
        check_plain(path, formats[i]);
    }
    if (part.length > 0) {
        check_probe(&part);
    }
    const Reader reader = {"input", fd, 0, G_MAXUINT64, NULL};
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        check_tables(&reader, formats[i]);
    }
    check_vhd(&reader);
    check_vmdk(&reader);
    close(fd);
    return 0;
}
