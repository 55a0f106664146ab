#include "format/ovf.h"

#include "format/guest.h"
#include "format/vmdk.h"

#define CIM "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
#define STREAM "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
#define MEMORY_MIB 1024
#define PROCESSORS 2

/* One of the machine's parts: what the standard's "Item" may say, in the order of its schema; NULL and 0: left out. */
typedef struct {
    const char *on_parent, *units, *automatic, *connection, *description, *name, *resource;
    guint number, parent; /* InstanceID, and that of the one it hangs on */
    const char *subtype;
    guint type; /* CIM_ResourceAllocationSettingData.ResourceType */
    guint quantity;
} Item;

static void add_text(GString *out, const char *element, const char *text)
{
    if (text != NULL) {
        g_autofree char *escaped = g_markup_escape_text(text, -1);
        g_string_append_printf(out, "        <rasd:%s>%s</rasd:%s>\n", element, escaped, element);
    }
}

static void add_number(GString *out, const char *element, guint number)
{
    if (number > 0) {
        g_string_append_printf(out, "        <rasd:%s>%u</rasd:%s>\n", element, number, element);
    }
}

static void add_item(GString *out, const Item *item)
{
    g_string_append(out, "      <Item>\n");
    add_text(out, "AddressOnParent", item->on_parent);
    add_text(out, "AllocationUnits", item->units);
    add_text(out, "AutomaticAllocation", item->automatic);
    add_text(out, "Connection", item->connection);
    add_text(out, "Description", item->description);
    add_text(out, "ElementName", item->name);
    add_text(out, "HostResource", item->resource);
    add_number(out, "InstanceID", item->number);
    add_number(out, "Parent", item->parent);
    add_text(out, "ResourceSubType", item->subtype);
    add_number(out, "ResourceType", item->type);
    add_number(out, "VirtualQuantity", item->quantity);
    g_string_append(out, "      </Item>\n");
}

static void add_items(GString *out)
{
    static const Item items[] = {
        {.units = "hertz * 10^6",
         .description = "Processors",
         .name = "Processors",
         .number = 1,
         .type = 3,
         .quantity = PROCESSORS},
        {.units = "byte * 2^20",
         .description = "Memory",
         .name = "Memory",
         .number = 2,
         .type = 4,
         .quantity = MEMORY_MIB},
        {.description = "SATA controller", .name = "SATA controller 0", .number = 3, .subtype = "AHCI", .type = 20},
        {.on_parent = "0", .name = "Disk 0", .resource = "ovf:/disk/disk0", .number = 4, .parent = 3, .type = 17},
        {.automatic = "true",
         .connection = "NAT",
         .description = "Network adapter",
         .name = "Network adapter 0",
         .number = 5,
         .subtype = "E1000",
         .type = 10},
    };
    for (guint i = 0; i < G_N_ELEMENTS(items); i++) {
        add_item(out, &items[i]);
    }
}

static void add_head(GString *out, const IngotFormatInput *input, const char *file, guint64 size)
{
    g_string_append(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                         "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
                         "          xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
                         "          xmlns:rasd=\"" CIM "CIM_ResourceAllocationSettingData\"\n"
                         "          xmlns:vssd=\"" CIM "CIM_VirtualSystemSettingData\"\n"
                         "          xmlns:vmw=\"http://www.vmware.com/schema/ovf\">\n");
    g_autofree char *files = g_markup_printf_escaped(
        "  <References>\n    <File ovf:href=\"%s\" ovf:id=\"file0\" ovf:size=\"%" G_GUINT64_FORMAT
        "\"/>\n  </References>\n",
        file, size);
    g_string_append(out, files);
    g_string_append_printf(out,
                           "  <DiskSection>\n    <Info>The machine's disk</Info>\n"
                           "    <Disk ovf:capacity=\"%" G_GUINT64_FORMAT "\" ovf:capacityAllocationUnits=\"byte\""
                           " ovf:diskId=\"disk0\" ovf:fileRef=\"file0\" ovf:format=\"" STREAM "\"/>\n"
                           "  </DiskSection>\n",
                           vmdk_capacity(ingot_disk_index(input->disk)) * VMDK_SECTOR);
    g_string_append(out,
                    "  <NetworkSection>\n    <Info>The networks that the machine is on</Info>\n"
                    "    <Network ovf:name=\"NAT\">\n      <Description>A network behind the host's</Description>\n"
                    "    </Network>\n  </NetworkSection>\n");
}

char *ovf_describe(const IngotFormatInput *input, const char *file, guint64 size, const char *family)
{
    const GuestSystem *system = guest_system(input);
    g_autofree char *name = guest_name(input);
    GString *out = g_string_new(NULL);
    add_head(out, input, file, size);
    g_autofree char *machine = g_markup_printf_escaped(
        "  <VirtualSystem ovf:id=\"%s\">\n    <Info>A virtual machine</Info>\n    <Name>%s</Name>\n"
        "    <OperatingSystemSection ovf:id=\"%u\">\n      <Info>The system on its disk</Info>\n"
        "      <Description>%s</Description>\n    </OperatingSystemSection>\n"
        "    <VirtualHardwareSection>\n      <Info>What the machine is made of</Info>\n      <System>\n"
        "        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>\n"
        "        <vssd:InstanceID>0</vssd:InstanceID>\n"
        "        <vssd:VirtualSystemIdentifier>%s</vssd:VirtualSystemIdentifier>\n"
        "        <vssd:VirtualSystemType>%s</vssd:VirtualSystemType>\n      </System>\n",
        name, name, system->cim, system->description, name, family);
    g_string_append(out, machine);
    add_items(out);
    if (!guest_boots_by_bios(input)) {
        g_string_append(out, "      <vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>\n");
    }
    g_string_append(out, "    </VirtualHardwareSection>\n  </VirtualSystem>\n</Envelope>\n");
    return g_string_free(out, FALSE);
}
