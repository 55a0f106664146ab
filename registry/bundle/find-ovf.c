#include <string.h>

#include "bundle/find.h"
#include "bundle/ovf.h"
#include "bundle/refuse.h"

static const OvfFile *find_file(const Ovf *ovf, const char *id)
{
    for (guint i = 0; id != NULL && i < ovf->files->len; i++) {
        const OvfFile *file = g_ptr_array_index(ovf->files, i);
        if (strcmp(file->id, id) == 0) {
            return file;
        }
    }
    return NULL;
}

/* What a disk is called: its file, else its id. */
static const char *call(const Ovf *ovf, const OvfDisk *disk)
{
    const OvfFile *file = find_file(ovf, disk->file_id);
    return file == NULL ? disk->id : file->href;
}

static gboolean refuse_many(const Ovf *ovf, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < ovf->disks->len; i++) {
        g_ptr_array_add(names, (char *)call(ovf, g_ptr_array_index(ovf->disks, i)));
    }
    g_autofree char *list = parcel_list_names(names);
    return bundle_refuse(name, error, "the machine has %u disks (%s), an image has one", ovf->disks->len, list);
}

/* A name is a URI: "my%20disk.vmdk". */
static const ParcelMember *need_file(const Parcel *parcel, const OvfFile *file, const char *whose, GError **error)
{
    g_autofree char *plain = g_uri_unescape_string(file->href, NULL);
    const ParcelMember *member = plain == NULL ? NULL : parcel_find(parcel, plain);
    return member != NULL && member->file ? member : parcel_need(parcel, file->href, whose, error);
}

static gboolean check_disk(const Ovf *ovf, const OvfDisk *disk, const char *name, GError **error)
{
    const OvfFile *file = find_file(ovf, disk->file_id);
    if (disk->file_id == NULL) {
        return bundle_refuse(name, error, "the disk '%.100s' has no file: it is empty", disk->id);
    }
    if (file == NULL) {
        return bundle_refuse(name, error,
                             "the disk '%.100s' is in the file '%.100s', which is not among the references", disk->id,
                             disk->file_id);
    }
    if (disk->parent != NULL) {
        return bundle_refuse(name, error, "the disk '%.200s' stands on another one ('%.100s')", file->href,
                             disk->parent);
    }
    if (file->compression != NULL || file->chunked) {
        return bundle_refuse(name, error, "the disk '%.200s' is %s%.50s, which Ingot does not take", file->href,
                             file->chunked ? "cut into chunks" : "compressed with ",
                             file->chunked ? "" : file->compression);
    }
    return TRUE;
}

gboolean find_in_ovf(const Parcel *parcel, const ParcelMember *descriptor, FoundDisk *found, GError **error)
{
    g_autofree char *name = g_strdup_printf("%s: %s", parcel->name, descriptor->name);
    g_autoptr(Ovf) ovf = ovf_parse(descriptor->text, descriptor->text_size, name, error);
    if (ovf == NULL) {
        return FALSE;
    }
    for (guint i = 0; i < ovf->files->len; i++) {
        if (need_file(parcel, g_ptr_array_index(ovf->files, i), descriptor->name, error) == NULL) {
            return FALSE;
        }
    }
    if (ovf->machines > 1) {
        return bundle_refuse(name, error, "it describes %u machines, an image is one", ovf->machines);
    }
    if (ovf->disks->len == 0) {
        return bundle_refuse(name, error, "it describes no disk");
    }
    if (ovf->disks->len > 1) {
        return refuse_many(ovf, name, error);
    }
    const OvfDisk *disk = g_ptr_array_index(ovf->disks, 0);
    if (!check_disk(ovf, disk, name, error)) {
        return FALSE;
    }
    found->member = need_file(parcel, find_file(ovf, disk->file_id), descriptor->name, error);
    found->capacity = disk->capacity;
    found->uefi = ovf->uefi;
    return found->member != NULL;
}
