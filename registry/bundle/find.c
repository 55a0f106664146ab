#include "bundle/find.h"

#include <string.h>

#include "bundle/refuse.h"

static void disk_clear(gpointer data)
{
    FoundDisk *disk = data;
    g_free(disk->name);
    g_ptr_array_unref(disk->files);
}

Found *found_new(void)
{
    Found *found = g_new0(Found, 1);
    found->disks = g_array_new(FALSE, FALSE, sizeof(FoundDisk));
    g_array_set_clear_func(found->disks, disk_clear);
    found->notes = g_ptr_array_new_with_free_func(g_free);
    return found;
}

void found_free(Found *found)
{
    if (found != NULL) {
        g_array_unref(found->disks);
        g_ptr_array_unref(found->notes);
        g_free(found->vagrantfile);
        g_free(found->info);
        g_free(found);
    }
}

FoundDisk *found_add(Found *found, const char *name, const ParcelMember *file)
{
    FoundDisk disk = {.name = g_strdup(name), .files = g_ptr_array_new()};
    if (file != NULL) {
        g_ptr_array_add(disk.files, (gpointer)file);
    }
    g_array_append_val(found->disks, disk);
    return &g_array_index(found->disks, FoundDisk, found->disks->len - 1);
}

/* At the top, else in the one folder that the archive was made of. */
static const ParcelMember *find_metadata(const Parcel *parcel)
{
    const ParcelMember *top = parcel_find(parcel, "metadata.json");
    g_autoptr(GPtrArray) texts = parcel_texts(parcel, "metadata.json");
    if (top != NULL && top->text != NULL) {
        return top;
    }
    const ParcelMember *only = texts->len == 1 ? g_ptr_array_index(texts, 0) : NULL;
    return only != NULL && g_str_has_suffix(only->name, "/metadata.json") ? only : NULL;
}

static gboolean refuse_descriptors(const Parcel *parcel, const GPtrArray *descriptors, GError **error)
{
    g_autofree char *list = parcel_list_members(descriptors);
    return bundle_refuse(parcel->name, error, "it has several descriptors (%s), an image is one machine", list);
}

static gboolean refuse_unknown(const Parcel *parcel, GError **error)
{
    g_autofree char *list = parcel_list_members(parcel->members);
    return bundle_refuse(parcel->name, error,
                         "neither an OVA (it has no *.ovf) nor a Vagrant box (it has no metadata.json), nor a machine "
                         "of VMware's (*.vmx), Hyper-V's (*.vmcx) or UTM's (*.utm/config.plist): it holds %s",
                         parcel->members->len == 0 ? "nothing (a disk that is compressed is to be unpacked first)"
                                                   : list);
}

/* The one file that was given is what describes the machine. */
static gboolean look_beside(const Parcel *parcel, const ParcelMember *file, Found *found, GError **error)
{
    gboolean is_xml = strchr("\xef< \t\r\n", file->text[0]) != NULL;
    return (is_xml ? find_in_ovf : find_in_vmx)(parcel, file, found, error);
}

static gboolean look(const Parcel *parcel, Found *found, GError **error)
{
    if (!parcel->listed) {
        return look_beside(parcel, g_ptr_array_index(parcel->members, 0), found, error);
    }
    const ParcelMember *metadata = find_metadata(parcel);
    g_autoptr(GPtrArray) descriptors = parcel_texts(parcel, ".ovf"), machines = parcel_texts(parcel, ".vmx");
    g_autoptr(GPtrArray) exported = parcel_with_suffix(parcel, ".vmcx"), old = parcel_texts(parcel, ".xml");
    g_autoptr(GPtrArray) lists = parcel_texts(parcel, "config.plist");
    if (metadata != NULL) {
        return find_in_box(parcel, metadata, found, error);
    }
    if (descriptors->len + machines->len > 1 && descriptors->len != 1) {
        return refuse_descriptors(parcel, descriptors->len > 1 ? descriptors : machines, error);
    }
    if (descriptors->len == 1) {
        return find_in_ovf(parcel, g_ptr_array_index(descriptors, 0), found, error);
    }
    if (machines->len == 1) {
        return find_in_vmx(parcel, g_ptr_array_index(machines, 0), found, error);
    }
    if (lists->len == 1) {
        return find_in_utm(parcel, g_ptr_array_index(lists, 0), found, error);
    }
    return exported->len + old->len > 0 ? find_in_hyperv(parcel, found, error) : refuse_unknown(parcel, error);
}

Found *find_machine(const Parcel *parcel, GError **error)
{
    g_autoptr(Found) found = found_new();
    if (!look(parcel, found, error)) {
        return NULL;
    }
    g_assert(found->disks->len > 0);
    return g_steal_pointer(&found);
}
