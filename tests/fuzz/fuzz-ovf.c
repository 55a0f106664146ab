/* The texts of a bundle: the input is an OVF descriptor, the manifest of its package, a *.vmx, Hyper-V's XML, UTM's
 * property list and a Vagrantfile, all at once. */
#include <ingot/error.h>
#include <string.h>

#include "bundle/boxfile.h"
#include "bundle/checksums.h"
#include "bundle/hyperv.h"
#include "bundle/ovf.h"
#include "bundle/utm.h"
#include "bundle/vmx.h"
#include "fuzz.h"

static void check_error(const GError *error)
{
    g_assert_error(error, INGOT_ERROR, INGOT_ERROR_INVALID);
    g_assert(g_utf8_validate(error->message, -1, NULL));
}

static void try_ovf(const char *text, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Ovf) ovf = ovf_parse(text, size, "input", &error);
    g_assert((ovf == NULL) == (error != NULL));
    if (ovf == NULL) {
        check_error(error);
        return;
    }
    for (guint i = 0; i < ovf->files->len; i++) {
        const OvfFile *file = g_ptr_array_index(ovf->files, i);
        g_assert(file->id != NULL && file->href != NULL);
    }
    for (guint i = 0; i < ovf->disks->len; i++) {
        const OvfDisk *disk = g_ptr_array_index(ovf->disks, i);
        g_assert(disk->id != NULL && disk->capacity <= G_MAXINT64);
    }
    g_assert(ovf->drives->len + ovf->unused->len == ovf->disks->len);
    for (guint i = 0; i < ovf->drives->len; i++) {
        const OvfDrive *drive = &g_array_index(ovf->drives, OvfDrive, i);
        g_assert(g_ptr_array_find(ovf->disks, drive->disk, NULL) && !g_ptr_array_find(ovf->unused, drive->disk, NULL));
    }
}

static void try_checksums(const char *text, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) all = checksums_parse(text, size, "input", &error);
    g_assert((all == NULL) == (error != NULL));
    if (all == NULL) {
        check_error(error);
        return;
    }
    for (guint i = 0; i < all->len; i++) {
        const Checksum *checksum = g_ptr_array_index(all, i);
        g_assert(strlen(checksum->hex) == 2 * (gsize)g_checksum_type_get_length(checksum->type));
        g_assert(*checksum->file != '\0' && g_utf8_validate(checksum->file, -1, NULL));
    }
}

static void try_hyperv(const char *text, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Hyperv) machine = hyperv_parse(text, size, "input", &error);
    g_assert((machine == NULL) == (error != NULL));
    if (machine == NULL) {
        check_error(error);
        return;
    }
    g_assert(machine->generation <= 2);
    for (guint i = 0; i < machine->disks->len; i++) {
        g_assert(strpbrk(g_ptr_array_index(machine->disks, i), "/\\") == NULL);
    }
}

static void try_utm(const char *text, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Utm) utm = utm_parse(text, size, "input", &error);
    g_assert((utm == NULL) == (error != NULL));
    if (utm == NULL) {
        check_error(error);
        return;
    }
    for (guint i = 0; i < utm->disks->len; i++) {
        g_assert(((const UtmDisk *)g_ptr_array_index(utm->disks, i))->file != NULL);
    }
}

static void try_vmx(const char *text, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Vmx) vmx = vmx_parse(text, size, "input", &error);
    g_assert((vmx == NULL) == (error != NULL));
    if (vmx == NULL) {
        check_error(error);
        return;
    }
    for (guint i = 0; i < vmx->disks->len; i++) {
        const VmxDisk *disk = g_ptr_array_index(vmx->disks, i);
        g_assert(disk->bus != NULL && g_utf8_validate(disk->file, -1, NULL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_ovf((const char *)data, size);
    try_checksums((const char *)data, size);
    try_hyperv((const char *)data, size);
    try_utm((const char *)data, size);
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(BoxFile) said = boxfile_read(text);
    g_assert(said.architecture == NULL || strchr(said.architecture, '\n') == NULL);
    try_vmx((const char *)data, size);
    return 0;
}
