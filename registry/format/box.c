/* Vagrant's boxes: a tar of metadata.json, a Vagrantfile with what the machine needs, and the machine as its provider
 * takes it. The tar is not compressed, nor is the qcow2 in it (what is empty is left out): so it is a layout around a
 * layout around the disk, and the same bytes whatever libraries its maker has. Who has the image's last version makes
 * the new box of its own disk from the few chunks that changed. */
#include <string.h>

#include "base/json.h"
#include "format/all.h"
#include "format/attach.h"
#include "format/extents.h"
#include "format/guest.h"
#include "format/identity.h"
#include "format/input.h"
#include "format/ovf.h"
#include "format/streamed.h"
#include "format/tar.h"
#include "format/vmdk.h"
#include "format/vmx.h"

#define GIB (1u << 30)

/* Around what a provider's block says. Ways to share a folder need the provider's programs in the guest. */
static char *vagrantfile(const char *provider, const char *settings, const char *further)
{
    return g_strdup_printf("Vagrant.configure(\"2\") do |config|\n"
                           "  config.vm.provider :%s do |machine|\n%s  end\n%s"
                           "  # What the box is made from has its own way to share files.\n"
                           "  config.vm.synced_folder \".\", \"/vagrant\", disabled: true\n"
                           "end\n",
                           provider, settings, further);
}

/* --- what was taken over of the box that the image was made from --- */

/* VMware's providers have had several names, and read each other's boxes. */
static gboolean is_provider(const char *found, const char *provider)
{
    return found != NULL && (strcmp(found, provider) == 0 ||
                             (g_str_has_prefix(provider, "vmware") && g_str_has_prefix(found, "vmware")));
}

/* NULL: it was no box, or another provider's. The config's own. */
static const json_t *origin_of(const IngotFormatInput *input, const char *provider)
{
    const json_t *origin = json_object_get(input->config, "vagrant");
    return is_provider(json_string_value(json_object_get(origin, "provider")), provider) ? origin : NULL;
}

static void add_info(IngotLayout *layout, const json_t *origin)
{
    const json_t *info = json_object_get(origin, "info");
    if (json_is_object(info)) {
        g_autofree char *text = ingot_json_pretty(info);
        tar_add_text(layout, "info.json", text);
    }
}

/* The box of a provider, as far as what is no machine. metadata is given up; the settings are for an image that brings
 * none. */
static IngotLayout *begin(const IngotFormatInput *input, json_t *metadata, const char *settings)
{
    const char *provider = json_string_value(json_object_get(metadata, "provider"));
    const json_t *origin = origin_of(input, provider);
    const char *own = json_string_value(json_object_get(origin, "vagrantfile"));
    if (strcmp(guest_architecture(input), "amd64") != 0) {
        json_object_set_new(metadata, "architecture", json_string(guest_architecture(input)));
    }
    g_autofree char *text = ingot_json_pretty(metadata);
    IngotLayout *layout = ingot_layout_new();
    tar_add_text(layout, "metadata.json", text);
    tar_add_text(layout, "Vagrantfile", own == NULL ? settings : own);
    add_info(layout, origin);
    json_decref(metadata);
    return layout;
}

static GPtrArray *end(IngotLayout *layout, const char *file)
{
    tar_end(layout);
    return ingot_format_files_one(file, layout);
}

/* --- libvirt and QEMU: the disks as qcow2 --- */

/* The first form of the box has one disk, and says how large it is; the second one has a list, and looks. */
static json_t *qcow2_metadata(const IngotFormatInput *input, const char *provider)
{
    guint64 gib = extents_divide_up(input_index(input)->disk_size, GIB);
    json_t *metadata =
        json_pack("{s:s, s:s, s:I}", "provider", provider, "format", "qcow2", "virtual_size", (json_int_t)gib);
    for (guint k = 0; input_count(input) > 1 && k < input_count(input); k++) {
        g_autofree char *path = g_strdup_printf("box_%u.img", k);
        json_t *list = json_object_get(metadata, "disks");
        if (list == NULL) {
            list = json_array();
            json_object_set_new(metadata, "disks", list);
        }
        json_array_append_new(list, json_pack("{s:s, s:s}", "path", path, "format", "qcow2"));
    }
    return metadata;
}

static GPtrArray *qcow2_box(const IngotFormatInput *input, const char *provider, const char *settings, GError **error)
{
    g_autoptr(GPtrArray) disks = ingot_format_files(&format_qcow2, input, error);
    if (disks == NULL) {
        return NULL;
    }
    g_autofree char *defaults = vagrantfile(provider, settings, ""), *file = g_strdup_printf("%s.box", provider);
    IngotLayout *layout = begin(input, qcow2_metadata(input, provider), defaults);
    for (guint k = 0; k < disks->len; k++) {
        g_autofree char *name = disks->len == 1 ? g_strdup("box.img") : g_strdup_printf("box_%u.img", k);
        tar_add(layout, name, ((const IngotFormatFile *)g_ptr_array_index(disks, k))->layout);
    }
    return end(layout, file);
}

/* The plugin has all disks on one bus. */
static GPtrArray *libvirt_files(const IngotFormatInput *input, GError **error)
{
    static const char *const buses[] = {"scsi", "sata", "ide", NULL};
    const char *bus = guest_bus(input);
    g_autofree char *settings =
        g_strdup_printf("    machine.disk_bus = \"%s\"\n    machine.memory = 1024\n    machine.cpus = 2\n",
                        bus != NULL && g_strv_contains(buses, bus) ? bus : "virtio");
    return qcow2_box(input, "libvirt", settings, error);
}

/* The plugin's own defaults are a Mac's. */
static GPtrArray *qemu_files(const IngotFormatInput *input, GError **error)
{
    gboolean arm = guest_is_arm(input);
    g_autofree char *settings =
        g_strdup_printf("    machine.arch = \"%s\"\n    machine.machine = \"%s\"\n    machine.cpu = \"max\"\n"
                        "    machine.net_device = \"virtio-net-pci\"\n    machine.memory = \"1G\"\n"
                        "    machine.smp = \"2\"\n",
                        arm ? "aarch64" : "x86_64", arm ? "virt" : "q35");
    return qcow2_box(input, "qemu", settings, error);
}

/* How the provider is to start a box of its own that boots otherwise, the box's Vagrantfile says. */
static gboolean is_own_box(const IngotFormatInput *input, const char *provider)
{
    return json_object_get(origin_of(input, provider), "vagrantfile") != NULL;
}

static gboolean libvirt_can(const IngotFormatInput *input, GError **error)
{
    return is_own_box(input, "libvirt") || (guest_can_machine(input, error) && guest_can_bios(input, error));
}

/* Of arm64, each provider that knows it starts it by UEFI. */
static gboolean arm_or_bios(const IngotFormatInput *input, GError **error)
{
    return guest_is_arm(input) || (guest_can_machine(input, error) && guest_can_bios(input, error));
}

static gboolean qemu_can(const IngotFormatInput *input, GError **error)
{
    return is_own_box(input, "qemu") || arm_or_bios(input, error);
}

/* --- VirtualBox: an OVF and compressed VMDKs --- */

/* Vagrant gives the imported machine this address, which the guest has for its own network's. */
static char *base_mac(const IngotFormatInput *input)
{
    guint8 uuid[16];
    identity_uuid(input, "virtualbox", uuid);
    return g_strdup_printf("  config.vm.base_mac = \"080027%02X%02X%02X\"\n", uuid[0], uuid[1], uuid[2]);
}

static IngotLayout *virtualbox_box(const IngotFormatInput *input, const GArray *disks)
{
    g_autofree char *mac = base_mac(input);
    g_autofree char *defaults = vagrantfile("virtualbox", "    machine.memory = 1024\n    machine.cpus = 2\n", mac);
    g_autoptr(GArray) files = ovf_files(disks, "box-disk");
    g_autofree char *ovf = ovf_describe(input, files, "virtualbox-2.2");
    IngotLayout *layout = begin(input, json_pack("{s:s}", "provider", "virtualbox"), defaults);
    tar_add_text(layout, "box.ovf", ovf);
    for (guint k = 0; k < disks->len; k++) {
        tar_add(layout, ovf_file(files, k)->name, streamed_disk(disks, k)->layout);
    }
    return layout;
}

static GPtrArray *virtualbox_files(const IngotFormatInput *input, GError **error)
{
    g_autoptr(GArray) disks = streamed_disks(input, virtualbox_box, FALSE, error);
    return disks == NULL ? NULL : end(virtualbox_box(input, disks), "virtualbox.box");
}

static gboolean virtualbox_can(const IngotFormatInput *input, GError **error)
{
    return arm_or_bios(input, error) && vmdk_can(input, error);
}

/* --- VMware: a .vmx and VMDKs that it can write to --- */

static GPtrArray *vmware_files(const IngotFormatInput *input, GError **error)
{
    g_autoptr(GPtrArray) disks = ingot_format_files(&format_vmdk, input, error);
    if (disks == NULL) {
        return NULL;
    }
    g_autofree char *defaults = vagrantfile(
        "vmware_desktop", "    machine.vmx[\"memsize\"] = \"1024\"\n    machine.vmx[\"numvcpus\"] = \"2\"\n", "");
    g_autofree char *vmx = vmx_describe(input);
    IngotLayout *layout = begin(input, json_pack("{s:s}", "provider", "vmware_desktop"), defaults);
    tar_add_text(layout, "box.vmx", vmx);
    for (guint k = 0; k < disks->len; k++) {
        const IngotFormatFile *disk = g_ptr_array_index(disks, k);
        tar_add(layout, disk->name, disk->layout);
    }
    return end(layout, "vmware_desktop.box");
}

#define LETTERS 26u /* for disks: vda to vdz */

const IngotFormat format_vagrant_libvirt = {
    "vagrant-libvirt", "Vagrant with the provider libvirt", libvirt_can, libvirt_files, NULL, LETTERS, NULL};
const IngotFormat format_vagrant_qemu = {
    "vagrant-qemu", "Vagrant with the provider qemu (plugin vagrant-qemu)", qemu_can, qemu_files, NULL, LETTERS, NULL};
const IngotFormat format_vagrant_virtualbox = {"vagrant-virtualbox",
                                               "Vagrant with the provider virtualbox",
                                               virtualbox_can,
                                               virtualbox_files,
                                               vmdk_stream_codec,
                                               ATTACH_DISKS_MAX,
                                               NULL};
const IngotFormat format_vagrant_vmware = {"vagrant-vmware",
                                           "Vagrant with the provider vmware_desktop",
                                           vmdk_can_machine,
                                           vmware_files,
                                           NULL,
                                           ATTACH_DISKS_MAX,
                                           NULL};
