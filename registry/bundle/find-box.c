#include <string.h>

#include "base/json.h"
#include "bundle/find.h"
#include "bundle/refuse.h"
#include "bundle/vmx.h"

#define GIB (G_GUINT64_CONSTANT(1) << 30)

typedef struct {
    const Parcel *parcel;
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
        bundle_refuse(box->parcel->name, error, "the box has %u of %s (%s), an image is one machine with one disk",
                      members->len, what, list);
    }
    return NULL;
}

static gboolean refuse_disks(const Box *box, const GPtrArray *names, const char *whose, GError **error)
{
    if (names->len == 0) {
        return bundle_refuse(box->parcel->name, error, "%s names no disk", whose);
    }
    g_autofree char *list = parcel_list_names(names);
    return bundle_refuse(box->parcel->name, error, "%s: the machine has %u disks (%s), an image has one", whose,
                         names->len, list);
}

/* {"format": "qcow2", "virtual_size": GIB} with box.img, or {"disks": [{"path": NAME}]}. */
static gboolean find_libvirt(const Box *box, FoundDisk *found, GError **error)
{
    const json_t *disks = json_object_get(box->metadata, "disks");
    const json_t *size = json_object_get(box->metadata, "virtual_size");
    const char *format = json_string_value(json_object_get(box->metadata, "format"));
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (size_t i = 0; i < json_array_size(disks); i++) {
        const char *path = json_string_value(json_object_get(json_array_get(disks, i), "path"));
        g_ptr_array_add(names, (char *)(path == NULL ? "?" : path));
    }
    if (disks != NULL && names->len != 1) {
        return refuse_disks(box, names, "metadata.json", error);
    }
    found->format = g_strcmp0(format, "raw") == 0 ? "raw" : g_strcmp0(format, "qcow2") == 0 ? "qcow2" : NULL;
    if (json_is_integer(size) && json_integer_value(size) > 0 && json_integer_value(size) < (json_int_t)GIB) {
        found->capacity = (guint64)json_integer_value(size) * GIB;
    }
    found->member =
        parcel_need(box->parcel, names->len == 0 ? "box.img" : g_ptr_array_index(names, 0), "metadata.json", error);
    return found->member != NULL;
}

static gboolean find_virtualbox(const Box *box, FoundDisk *found, GError **error)
{
    g_autoptr(GPtrArray) descriptors = parcel_texts(box->parcel, ".ovf");
    const ParcelMember *descriptor = only(box, descriptors, "a *.ovf", error);
    return descriptor != NULL && find_in_ovf(box->parcel, descriptor, found, error);
}

static gboolean find_vmware(const Box *box, FoundDisk *found, GError **error)
{
    g_autoptr(GPtrArray) machines = parcel_texts(box->parcel, ".vmx");
    const ParcelMember *machine = only(box, machines, "a *.vmx", error);
    if (machine == NULL) {
        return FALSE;
    }
    g_autoptr(Vmx) vmx = vmx_parse(machine->text, machine->text_size);
    if (vmx->disks->len != 1) {
        return refuse_disks(box, vmx->disks, machine->name, error);
    }
    found->uefi = vmx->uefi;
    found->member = parcel_need(box->parcel, g_ptr_array_index(vmx->disks, 0), machine->name, error);
    return found->member != NULL;
}

static gboolean find_hyperv(const Box *box, FoundDisk *found, GError **error)
{
    g_autoptr(GPtrArray) disks = parcel_with_suffix(box->parcel, ".vhdx");
    if (disks->len == 0) {
        g_ptr_array_unref(disks);
        disks = parcel_with_suffix(box->parcel, ".vhd");
    }
    found->member = only(box, disks, "a *.vhdx", error);
    return found->member != NULL;
}

static const struct {
    const char *name;
    gboolean (*find)(const Box *box, FoundDisk *found, GError **error);
} providers[] = {
    {"libvirt", find_libvirt},           {"qemu", find_libvirt},
    {"virtualbox", find_virtualbox},     {"vmware", find_vmware},
    {"vmware_desktop", find_vmware},     {"vmware_fusion", find_vmware},
    {"vmware_workstation", find_vmware}, {"hyperv", find_hyperv},
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

gboolean find_in_box(const Parcel *parcel, const ParcelMember *metadata, FoundDisk *found, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(json_t) root = ingot_json_parse(metadata->text, metadata->text_size, metadata->name, &problem);
    Box box = {.parcel = parcel, .metadata = root};
    if (root == NULL) {
        return bundle_refuse(parcel->name, error, "%s", problem->message);
    }
    box.provider = json_string_value(json_object_get(root, "provider"));
    if (box.provider == NULL) {
        return bundle_refuse(parcel->name, error, "%s names no provider", metadata->name);
    }
    for (guint i = 0; i < G_N_ELEMENTS(providers); i++) {
        if (strcmp(providers[i].name, box.provider) == 0) {
            return providers[i].find(&box, found, error);
        }
    }
    return refuse_provider(&box, error);
}
