/* Vagrant's boxes: a tar of metadata.json, a Vagrantfile with what the machine needs, and the machine as its provider
 * takes it. The tar is not compressed, nor is the qcow2 in it (what is empty is left out): so it is a layout around a
 * layout around the disk, and the same bytes whatever libraries its maker has. Who has the image's last version makes
 * the new box of its own disk from the few chunks that changed. */
#include <string.h>

#include "base/json.h"
#include "format/all.h"
#include "format/early.h"
#include "format/extents.h"
#include "format/guest.h"
#include "format/identity.h"
#include "format/ovf.h"
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

static IngotLayout *begin(json_t *metadata, const char *vagrantfile)
{
    g_autofree char *text = ingot_json_pretty(metadata);
    IngotLayout *layout = ingot_layout_new();
    tar_add_text(layout, "metadata.json", text);
    tar_add_text(layout, "Vagrantfile", vagrantfile);
    json_decref(metadata);
    return layout;
}

static GPtrArray *end(IngotLayout *layout, const char *file)
{
    tar_end(layout);
    return ingot_format_files_one(file, layout);
}

/* The disk's layout in a format; unref it. */
static IngotLayout *disk_of(const IngotFormat *format, const IngotFormatInput *input, GError **error)
{
    g_autoptr(GPtrArray) files = ingot_format_files(format, input, error);
    return files == NULL ? NULL : ingot_layout_ref(((const IngotFormatFile *)g_ptr_array_index(files, 0))->layout);
}

/* --- libvirt and QEMU: the disk as qcow2 --- */

static GPtrArray *qcow2_box(const IngotFormatInput *input, const char *provider, const char *settings, GError **error)
{
    g_autoptr(IngotLayout) disk = disk_of(&format_qcow2, input, error);
    if (disk == NULL) {
        return NULL;
    }
    guint64 gib = extents_divide_up(ingot_disk_index(input->disk)->disk_size, GIB);
    g_autofree char *defaults = vagrantfile(provider, settings, ""), *file = g_strdup_printf("%s.box", provider);
    IngotLayout *layout =
        begin(json_pack("{s:s, s:s, s:I}", "provider", provider, "format", "qcow2", "virtual_size", (json_int_t)gib),
              defaults);
    tar_add(layout, "box.img", disk);
    return end(layout, file);
}

static GPtrArray *libvirt_files(const IngotFormatInput *input, GError **error)
{
    return qcow2_box(input, "libvirt",
                     "    machine.disk_bus = \"virtio\"\n    machine.memory = 1024\n    machine.cpus = 2\n", error);
}

/* The plugin's own defaults are a Mac's. */
static GPtrArray *qemu_files(const IngotFormatInput *input, GError **error)
{
    return qcow2_box(input, "qemu",
                     "    machine.arch = \"x86_64\"\n    machine.machine = \"q35\"\n    machine.cpu = \"max\"\n"
                     "    machine.net_device = \"virtio-net-pci\"\n    machine.memory = \"1G\"\n"
                     "    machine.smp = \"2\"\n",
                     error);
}

/* --- VirtualBox: an OVF and a compressed VMDK --- */

/* Vagrant gives the imported machine this address, which the guest has for its own network's. */
static char *base_mac(const IngotFormatInput *input)
{
    guint8 uuid[16];
    identity_uuid(ingot_disk_index(input->disk), "virtualbox", uuid);
    return g_strdup_printf("  config.vm.base_mac = \"080027%02X%02X%02X\"\n", uuid[0], uuid[1], uuid[2]);
}

static IngotLayout *virtualbox_box(const IngotFormatInput *input, IngotLayout *disk)
{
    g_autofree char *mac = base_mac(input);
    g_autofree char *defaults = vagrantfile("virtualbox", "    machine.memory = 1024\n    machine.cpus = 2\n", mac);
    g_autofree char *ovf = ovf_describe(input, "box-disk0.vmdk", ingot_layout_size(disk), "virtualbox-2.2");
    IngotLayout *layout = begin(json_pack("{s:s}", "provider", "virtualbox"), defaults);
    tar_add_text(layout, "box.ovf", ovf);
    tar_add(layout, "box-disk0.vmdk", disk);
    return layout;
}

/* The disk comes after what tells its size. */
static void virtualbox_expect_disk(const IngotFormatInput *input)
{
    if (input->early != NULL) {
        g_autoptr(IngotLayout) disk = early_guess(input);
        g_autoptr(IngotLayout) guess = virtualbox_box(input, disk);
        early_expect(input->early, guess, disk);
    }
}

static GPtrArray *virtualbox_files(const IngotFormatInput *input, GError **error)
{
    virtualbox_expect_disk(input);
    g_autoptr(IngotLayout) disk = disk_of(&format_vmdk_stream, input, error);
    return disk == NULL ? NULL : end(virtualbox_box(input, disk), "virtualbox.box");
}

static gboolean virtualbox_can(const IngotFormatInput *input, GError **error)
{
    return guest_can_bios(input, error) && vmdk_can(input, error);
}

/* --- VMware: a .vmx and a VMDK that it can write to --- */

static GPtrArray *vmware_files(const IngotFormatInput *input, GError **error)
{
    g_autoptr(IngotLayout) disk = disk_of(&format_vmdk, input, error);
    if (disk == NULL) {
        return NULL;
    }
    g_autofree char *defaults = vagrantfile(
        "vmware_desktop", "    machine.vmx[\"memsize\"] = \"1024\"\n    machine.vmx[\"numvcpus\"] = \"2\"\n", "");
    g_autofree char *vmx = vmx_describe(input, "disk.vmdk");
    IngotLayout *layout = begin(json_pack("{s:s}", "provider", "vmware_desktop"), defaults);
    tar_add_text(layout, "box.vmx", vmx);
    tar_add(layout, "disk.vmdk", disk);
    return end(layout, "vmware_desktop.box");
}

const IngotFormat format_vagrant_libvirt = {"vagrant-libvirt", "Vagrant with the provider libvirt", guest_can_bios,
                                            libvirt_files, NULL};
const IngotFormat format_vagrant_qemu = {"vagrant-qemu", "Vagrant with the provider qemu (plugin vagrant-qemu)",
                                         guest_can_bios, qemu_files, NULL};
const IngotFormat format_vagrant_virtualbox = {"vagrant-virtualbox", "Vagrant with the provider virtualbox",
                                               virtualbox_can, virtualbox_files, vmdk_stream_codec};
const IngotFormat format_vagrant_vmware = {"vagrant-vmware", "Vagrant with the provider vmware_desktop", vmdk_can,
                                           vmware_files, NULL};
