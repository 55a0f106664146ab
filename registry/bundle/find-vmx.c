#include "bundle/find.h"
#include "bundle/refuse.h"
#include "bundle/vmx.h"

gboolean find_in_vmx(const Parcel *parcel, const ParcelMember *machine, Found *found, GError **error)
{
    g_autofree char *whole = g_strdup_printf("%s: %s", parcel->name, machine->name);
    g_autoptr(Vmx) vmx = vmx_parse(machine->text, machine->text_size, whole, error);
    if (vmx == NULL) {
        return FALSE;
    }
    if (vmx->disks->len == 0) {
        return bundle_refuse(parcel->name, error, "%s names no disk", machine->name);
    }
    for (guint i = 0; i < vmx->disks->len; i++) {
        const VmxDisk *disk = g_ptr_array_index(vmx->disks, i);
        g_autofree char *name = parcel_beside(machine, disk->file);
        const ParcelMember *member = parcel_need(parcel, name, machine->name, error);
        if (member == NULL) {
            return FALSE;
        }
        found_add(found, name, member)->bus = disk->bus;
    }
    found->uefi = vmx->uefi;
    found->bios = vmx->bios;
    found->architecture = vmx->architecture;
    return TRUE;
}
