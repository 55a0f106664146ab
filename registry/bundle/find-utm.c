#include "bundle/find.h"
#include "bundle/refuse.h"
#include "bundle/utm.h"

gboolean find_in_utm(const Parcel *parcel, const ParcelMember *config, Found *found, GError **error)
{
    g_autofree char *name = g_strdup_printf("%s: %s", parcel->name, config->name);
    g_autoptr(Utm) utm = utm_parse(config->text, config->text_size, name, error);
    if (utm == NULL) {
        return FALSE;
    }
    if (utm->disks->len == 0) {
        return bundle_refuse(name, error, "it names no disk");
    }
    for (guint i = 0; i < utm->disks->len; i++) {
        const UtmDisk *disk = g_ptr_array_index(utm->disks, i);
        g_autofree char *file = g_strconcat("Data/", disk->file, NULL), *path = parcel_beside(config, file);
        const ParcelMember *member = parcel_need(parcel, path, config->name, error);
        if (member == NULL) {
            return FALSE;
        }
        found_add(found, path, member)->bus = disk->bus;
    }
    found->uefi = utm->uefi;
    found->bios = utm->bios;
    found->architecture = utm->architecture;
    return TRUE;
}
