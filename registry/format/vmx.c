/* vmx: a folder that VMware Workstation, Player and Fusion open: the description and the disks (monolithicSparse). */
#include "format/vmx.h"

#include <string.h>

#include "format/all.h"
#include "format/attach.h"
#include "format/guest.h"
#include "format/input.h"
#include "format/vmdk.h"

/* The bridges are what devices on PCI Express hang on. */
static const char hardware[] = "numvcpus = \"2\"\n"
                               "memsize = \"1024\"\n"
                               "pciBridge0.present = \"TRUE\"\n"
                               "pciBridge4.present = \"TRUE\"\n"
                               "pciBridge4.virtualDev = \"pcieRootPort\"\n"
                               "pciBridge4.functions = \"8\"\n"
                               "vmci0.present = \"TRUE\"\n";

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

/* --- disks --- */

static const char *const bus_names[] = {
    [ATTACH_SATA] = "sata", [ATTACH_SCSI] = "scsi", [ATTACH_IDE] = "ide", [ATTACH_NVME] = "nvme"};

static char *place_of(const Attach *attach)
{
    return g_strdup_printf("%s%u:%u", bus_names[attach->bus], attach->controller, attach->unit);
}

static void add_file_names(GString *out, const IngotFormatInput *input, const Attach *attach)
{
    for (guint k = 0; k < input_count(input); k++) {
        const IngotFormatInput one = input_of(input, k);
        g_autofree char *file = input_file(&one, format_vmdk.ending);
        g_autofree char *place = place_of(&attach[k]), *key = g_strconcat(place, ".fileName", NULL);
        add_value(out, key, file);
    }
}

static gboolean is_first(const Attach *attach, guint k)
{
    for (guint i = 0; i < k; i++) {
        if (attach[i].bus == attach[k].bus && attach[i].controller == attach[k].controller) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Controllers, each before the first disk on it. IDE's are always there. */
static void add_places(GString *out, const Attach *attach, guint count)
{
    for (guint k = 0; k < count; k++) {
        g_autofree char *place = place_of(&attach[k]);
        g_autofree char *controller = g_strndup(place, strcspn(place, ":"));
        if (attach[k].bus != ATTACH_IDE && is_first(attach, k)) {
            g_string_append_printf(out, "%s.present = \"TRUE\"\n", controller);
        }
        if (attach[k].bus == ATTACH_SCSI && is_first(attach, k)) {
            g_string_append_printf(out, "%s.virtualDev = \"lsilogic\"\n", controller);
        }
        g_string_append_printf(out, "%s.present = \"TRUE\"\n", place);
    }
}

char *vmx_describe(const IngotFormatInput *input)
{
    gboolean arm = guest_is_arm(input);
    guint count = input_count(input);
    g_autofree char *name = guest_name(input);
    g_autofree Attach *attach = attach_disks(input, TRUE);
    GString *out = g_string_new(".encoding = \"UTF-8\"\n");
    add_value(out, "displayName", name);
    add_value(out, "guestOS", guest_system(input)->vmware);
    add_value(out, "firmware", guest_boots_by_bios(input) ? "bios" : "efi");
    add_file_names(out, input, attach);
    /* Machines for arm64 are newer, and so is their network adapter. */
    g_string_append_printf(out, "config.version = \"8\"\nvirtualHW.version = \"%s\"\n", arm ? "20" : "14");
    g_string_append(out, hardware);
    add_places(out, attach, count);
    g_string_append_printf(out,
                           "ethernet0.present = \"TRUE\"\nethernet0.virtualDev = \"%s\"\n"
                           "ethernet0.connectionType = \"nat\"\nethernet0.addressType = \"generated\"\n",
                           arm ? "e1000e" : "e1000");
    return g_string_free(out, FALSE);
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    g_autoptr(GPtrArray) list = ingot_format_files(&format_vmdk, input, error);
    if (list == NULL) {
        return NULL;
    }
    g_autofree char *file = guest_file(input, ".vmx");
    g_autofree char *text = vmx_describe(input);
    IngotLayout *layout = ingot_layout_new();
    ingot_layout_add_bytes(layout, text, strlen(text));
    ingot_format_files_add(list, file, layout);
    return g_steal_pointer(&list);
}

const IngotFormat format_vmx = {
    "vmx", "VMware Workstation, Player and Fusion: a folder to open", vmdk_can_machine, files, NULL, ATTACH_DISKS_MAX,
    NULL};
