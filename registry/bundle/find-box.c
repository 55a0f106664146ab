#include <string.h>

#include "base/json.h"
#include "bundle/boxfile.h"
#include "bundle/find.h"
#include "bundle/refuse.h"
#include "image/architecture.h"

#define GIB (G_GUINT64_CONSTANT(1) << 30)

typedef struct {
    const Parcel *parcel;
    const ParcelMember *file; /* metadata.json */
    const char *provider;
    const json_t *metadata;
} Box;

/* The one of them, or an error that names what is there in its place. */
static const ParcelMember *only(const Box *box, const GPtrArray *members, const char *what, GError **error)
{
    if (members->len == 1) {
        return g_ptr_array_index(members, 0);
    }
    g_autofree char *list = parcel_list_members(members->len == 0 ? box->parcel->members : members);
    if (members->len == 0) {
        bundle_refuse(box->parcel->name, error, "a box for %s without %s: it holds %s", box->provider, what, list);
    } else {
        bundle_refuse(box->parcel->name, error, "the box has %u of %s (%s), an image is one machine", members->len,
                      what, list);
    }
    return NULL;
}

/* --- libvirt and QEMU --- */

/* A number of GiB, which some write as a text, or with a fraction; 0: none. */
static guint64 read_size(const json_t *size)
{
    const char *text = json_string_value(size);
    double number = text != NULL ? g_ascii_strtod(text, NULL) : json_number_value(size);
    return number > 0 && number < (double)GIB ? (guint64)(number * (double)GIB) : 0;
}

static const char *read_format(const json_t *from)
{
    const char *format = json_string_value(json_object_get(from, "format"));
    return g_strcmp0(format, "raw") == 0 ? "raw" : g_strcmp0(format, "qcow2") == 0 ? "qcow2" : NULL;
}

static FoundDisk *add_libvirt(const Box *box, const char *path, Found *found, GError **error)
{
    g_autofree char *name = path == NULL ? NULL : parcel_beside(box->file, path);
    const ParcelMember *member = name == NULL ? NULL : parcel_need(box->parcel, name, "metadata.json", error);
    if (path == NULL) {
        bundle_refuse(box->parcel->name, error, "metadata.json has a disk without a path");
    }
    return member == NULL ? NULL : found_add(found, name, member);
}

/* {"format": "qcow2", "virtual_size": GIB} with box.img, or {"disks": [{"path": NAME, "format": "qcow2"}, ...]}. */
static gboolean find_libvirt(const Box *box, Found *found, GError **error)
{
    const json_t *disks = json_object_get(box->metadata, "disks");
    const char *format = read_format(box->metadata);
    if (disks != NULL && json_array_size(disks) == 0) {
        return bundle_refuse(box->parcel->name, error, "metadata.json names no disk");
    }
    for (size_t i = 0; i < json_array_size(disks); i++) {
        const json_t *one = json_array_get(disks, i);
        FoundDisk *disk = add_libvirt(box, json_string_value(json_object_get(one, "path")), found, error);
        if (disk == NULL) {
            return FALSE;
        }
        disk->format = json_object_get(one, "format") == NULL ? format : read_format(one);
    }
    if (disks != NULL) {
        return TRUE;
    }
    FoundDisk *disk = add_libvirt(box, "box.img", found, error);
    if (disk != NULL) {
        disk->format = format;
        disk->capacity = read_size(json_object_get(box->metadata, "virtual_size"));
    }
    return disk != NULL;
}

/* --- the others --- */

static gboolean find_virtualbox(const Box *box, Found *found, GError **error)
{
    g_autoptr(GPtrArray) descriptors = parcel_texts(box->parcel, ".ovf");
    const ParcelMember *descriptor = only(box, descriptors, "a *.ovf", error);
    return descriptor != NULL && find_in_ovf(box->parcel, descriptor, found, error);
}

static gboolean find_vmware(const Box *box, Found *found, GError **error)
{
    g_autoptr(GPtrArray) machines = parcel_texts(box->parcel, ".vmx");
    const ParcelMember *machine = only(box, machines, "a *.vmx", error);
    return machine != NULL && find_in_vmx(box->parcel, machine, found, error);
}

static gboolean find_hyperv(const Box *box, Found *found, GError **error)
{
    return find_in_hyperv(box->parcel, found, error);
}

static gboolean find_utm(const Box *box, Found *found, GError **error)
{
    g_autoptr(GPtrArray) configs = parcel_texts(box->parcel, "config.plist");
    const ParcelMember *config = only(box, configs, "a config.plist", error);
    return config != NULL && find_in_utm(box->parcel, config, found, error);
}

static const struct {
    const char *name;
    gboolean (*find)(const Box *box, Found *found, GError **error);
    const char *as; /* what its boxes are called today, where that is another name */
} providers[] = {
    {"libvirt", find_libvirt, NULL},
    {"qemu", find_libvirt, NULL},
    {"virtualbox", find_virtualbox, NULL},
    {"vmware", find_vmware, "vmware_desktop"},
    {"vmware_desktop", find_vmware, NULL},
    {"vmware_fusion", find_vmware, "vmware_desktop"},
    {"vmware_workstation", find_vmware, "vmware_desktop"},
    {"hyperv", find_hyperv, NULL},
    {"utm", find_utm, NULL},
};

static gboolean refuse_provider(const Box *box, GError **error)
{
    g_autoptr(GPtrArray) known = g_ptr_array_new();
    for (guint i = 0; i < G_N_ELEMENTS(providers); i++) {
        g_ptr_array_add(known, (char *)providers[i].name);
    }
    g_autofree char *list = parcel_list_names(known);
    return bundle_refuse(box->parcel->name, error,
                         "a box for the provider '%.100s', whose disk Ingot cannot read (known are %s)", box->provider,
                         list);
}

/* --- what the box says besides --- */

static gboolean take_architecture(const Box *box, const char *whose, const char *said, Found *found, GError **error)
{
    found->architecture = architecture_word(said);
    return found->architecture != NULL ||
           bundle_refuse(box->parcel->name, error, "%s says architecture '%.50s', which is not known", whose, said);
}

/* Its architecture, which Vagrant has known since 2.4. "unknown" is its word for none. */
static gboolean read_architecture(const Box *box, Found *found, GError **error)
{
    const char *said = json_string_value(json_object_get(box->metadata, "architecture"));
    return said == NULL || strcmp(said, "unknown") == 0 || take_architecture(box, "metadata.json", said, found, error);
}

static char *text_beside(const Box *box, const char *name)
{
    g_autofree char *path = parcel_beside(box->file, name);
    const ParcelMember *member = parcel_find(box->parcel, path);
    gboolean is_text = member != NULL && member->text != NULL && strlen(member->text) == member->text_size &&
                       g_utf8_validate(member->text, -1, NULL);
    return is_text ? g_strdup(member->text) : NULL;
}

/* What its Vagrantfile sets counts where nothing else says it. */
static gboolean read_vagrantfile(const Box *box, Found *found, GError **error)
{
    g_autofree char *text = text_beside(box, "Vagrantfile");
    if (text == NULL) {
        return TRUE;
    }
    g_auto(BoxFile) said = boxfile_read(text);
    found->uefi = found->uefi || (said.uefi && !found->bios);
    if (found->architecture == NULL && said.architecture != NULL &&
        !take_architecture(box, "its Vagrantfile", said.architecture, found, error)) {
        return FALSE;
    }
    if (!said.own) {
        found->vagrantfile = g_steal_pointer(&text);
    }
    return TRUE;
}

static gboolean find_in_known(const Box *box, Found *found, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(providers); i++) {
        if (strcmp(providers[i].name, box->provider) != 0) {
            continue;
        }
        found->provider = providers[i].as == NULL ? providers[i].name : providers[i].as;
        return providers[i].find(box, found, error) && read_architecture(box, found, error);
    }
    return refuse_provider(box, error);
}

gboolean find_in_box(const Parcel *parcel, const ParcelMember *metadata, Found *found, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(json_t) root = ingot_json_parse(metadata->text, metadata->text_size, metadata->name, &problem);
    Box box = {.parcel = parcel, .file = metadata, .metadata = root};
    if (root == NULL) {
        return bundle_refuse(parcel->name, error, "%s", problem->message);
    }
    box.provider = json_string_value(json_object_get(root, "provider"));
    if (box.provider == NULL) {
        return bundle_refuse(parcel->name, error, "%s names no provider", metadata->name);
    }
    if (!find_in_known(&box, found, error) || !read_vagrantfile(&box, found, error)) {
        return FALSE;
    }
    found->info = text_beside(&box, "info.json");
    return TRUE;
}
