/* Vagrant's box for its provider libvirt: a tar of metadata.json, a Vagrantfile, and the disk as qcow2. It is not
 * compressed (the qcow2 leaves out what is empty), so it is a layout around a layout around the disk. */
#include <ingot/error.h>
#include <string.h>

#include "format/all.h"
#include "format/extents.h"
#include "format/tar.h"

#define GIB (1u << 30)

static const char vagrantfile[] = "Vagrant.configure(\"2\") do |config|\n"
                                  "  config.vm.provider :libvirt do |libvirt|\n"
                                  "    libvirt.disk_bus = \"virtio\"\n"
                                  "    libvirt.memory = 1024\n"
                                  "    libvirt.cpus = 2\n"
                                  "  end\n"
                                  "  # What the box is made from has its own way to share files.\n"
                                  "  config.vm.synced_folder \".\", \"/vagrant\", disabled: true\n"
                                  "end\n";

/* An image that boots by UEFI alone would find no firmware in this box. */
static gboolean boots_by_bios(const json_t *config)
{
    const json_t *firmware = json_object_get(config, "firmware");
    for (size_t i = 0; i < json_array_size(firmware); i++) {
        if (g_strcmp0(json_string_value(json_array_get(firmware, i)), "bios") == 0) {
            return TRUE;
        }
    }
    return json_array_size(firmware) == 0;
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    if (!boots_by_bios(input->config)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "the image boots by UEFI alone, a box for libvirt by BIOS: use another format");
        return NULL;
    }
    g_autoptr(GPtrArray) inner = format_qcow2.files(input, error);
    if (inner == NULL) {
        return NULL;
    }
    const IngotFormatFile *disk = g_ptr_array_index(inner, 0);
    g_autoptr(json_t) metadata =
        json_pack("{s:s, s:s, s:I}", "provider", "libvirt", "format", "qcow2", "virtual_size",
                  (json_int_t)extents_divide_up(ingot_disk_index(input->disk)->disk_size, GIB));
    g_autofree char *text = ingot_json_pretty(metadata);
    IngotLayout *layout = ingot_layout_new();
    tar_add_text(layout, "metadata.json", text);
    tar_add_text(layout, "Vagrantfile", vagrantfile);
    tar_add(layout, "box.img", disk->layout);
    tar_end(layout);
    GPtrArray *list = ingot_format_files_new();
    ingot_format_files_add(list, "libvirt.box", layout);
    return list;
}

const IngotFormat format_vagrant_libvirt = {"vagrant-libvirt", "Vagrant with the provider libvirt", files};
