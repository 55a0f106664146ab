/* vmx: a folder that VMware Workstation, Player and Fusion open: the description and the disk (monolithicSparse). */
#include "format/vmx.h"

#include <string.h>

#include "format/all.h"
#include "format/guest.h"
#include "format/vmdk.h"

/* The bridges are what devices on PCI Express hang on. */
static const char hardware[] = "config.version = \"8\"\n"
                               "virtualHW.version = \"14\"\n"
                               "numvcpus = \"2\"\n"
                               "memsize = \"1024\"\n"
                               "pciBridge0.present = \"TRUE\"\n"
                               "pciBridge4.present = \"TRUE\"\n"
                               "pciBridge4.virtualDev = \"pcieRootPort\"\n"
                               "pciBridge4.functions = \"8\"\n"
                               "vmci0.present = \"TRUE\"\n"
                               "sata0.present = \"TRUE\"\n"
                               "sata0:0.present = \"TRUE\"\n"
                               "ethernet0.present = \"TRUE\"\n"
                               "ethernet0.virtualDev = \"e1000\"\n"
                               "ethernet0.connectionType = \"nat\"\n"
                               "ethernet0.addressType = \"generated\"\n";

/* Within quotes, these stand as |XX. */
static void add_value(GString *out, const char *key, const char *value)
{
    g_string_append_printf(out, "%s = \"", key);
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '"' || *at == '|' || (guchar)*at < ' ') {
            g_string_append_printf(out, "|%02X", (guchar)*at);
        } else {
            g_string_append_c(out, *at);
        }
    }
    g_string_append(out, "\"\n");
}

char *vmx_describe(const IngotFormatInput *input, const char *disk)
{
    g_autofree char *name = guest_name(input);
    GString *out = g_string_new(".encoding = \"UTF-8\"\n");
    add_value(out, "displayName", name);
    add_value(out, "guestOS", guest_system(input)->vmware);
    add_value(out, "firmware", guest_boots_by_bios(input) ? "bios" : "efi");
    add_value(out, "sata0:0.fileName", disk);
    g_string_append(out, hardware);
    return g_string_free(out, FALSE);
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    GPtrArray *list = ingot_format_files(&format_vmdk, input, error);
    const IngotFormatFile *disk = list == NULL ? NULL : g_ptr_array_index(list, 0);
    if (disk == NULL) {
        return NULL;
    }
    g_autofree char *file = guest_file(input, ".vmx");
    g_autofree char *text = vmx_describe(input, disk->name);
    IngotLayout *layout = ingot_layout_new();
    ingot_layout_add_bytes(layout, text, strlen(text));
    ingot_format_files_add(list, file, layout);
    return list;
}

const IngotFormat format_vmx = {"vmx", "VMware Workstation, Player and Fusion: a folder to open", vmdk_can, files,
                                NULL};
