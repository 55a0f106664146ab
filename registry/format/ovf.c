#include "format/ovf.h"

#include "format/attach.h"
#include "format/guest.h"
#include "format/input.h"
#include "format/streamed.h"
#include "format/vmdk.h"

#define CIM "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
#define STREAM "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
#define MEMORY_MIB 1024
#define PROCESSORS 2

/* One of the machine's parts: what the standard's "Item" may say, in the order of its schema; NULL and 0: left out. */
typedef struct {
    const char *address, *on_parent, *units, *automatic, *connection, *description, *name, *resource;
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
    add_text(out, "Address", item->address);
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

/* --- disks and their controllers --- */

/* Controllers and disks have numbers behind the ones that every machine has; the first controller and the first disk
 * of a machine stand before its network. */
#define FIRST_CONTROLLER 3u
#define FIRST_DISK 4u
#define NETWORK 5u
#define FURTHER 6u

typedef struct {
    const char *name, *subtype;
    guint type;
} Controller;

static const Controller controllers[] = {
    [ATTACH_SATA] = {"SATA controller", "AHCI", 20},
    [ATTACH_SCSI] = {"SCSI controller", "lsilogic", 6},
    [ATTACH_IDE] = {"IDE controller", "PIIX4", 5},
};

/* The numbers that a machine's parts have been given. */
typedef struct {
    const Attach *disks;
    guint count, next;
    guint *parents; /* of each disk */
} Numbers;

/* The first disk on the same controller. */
static guint first_on(const Numbers *numbers, guint k)
{
    guint first = 0;
    while (numbers->disks[first].bus != numbers->disks[k].bus ||
           numbers->disks[first].controller != numbers->disks[k].controller) {
        first++;
    }
    return first;
}

static void add_controller(GString *out, const Attach *attach, guint number)
{
    const Controller *kind = &controllers[attach->bus];
    g_autofree char *name = g_strdup_printf("%s %u", kind->name, attach->controller);
    g_autofree char *address = attach->controller == 0 ? NULL : g_strdup_printf("%u", attach->controller);
    const Item item = {.address = address,
                       .description = kind->name,
                       .name = name,
                       .number = number,
                       .subtype = kind->subtype,
                       .type = kind->type};
    add_item(out, &item);
}

static void add_controllers(GString *out, Numbers *numbers)
{
    for (guint k = 0; k < numbers->count; k++) {
        guint first = first_on(numbers, k);
        if (first == k) {
            numbers->parents[k] = k == 0 ? FIRST_CONTROLLER : numbers->next++;
            add_controller(out, &numbers->disks[k], numbers->parents[k]);
        } else {
            numbers->parents[k] = numbers->parents[first];
        }
    }
}

static void add_disks(GString *out, Numbers *numbers)
{
    for (guint k = 0; k < numbers->count; k++) {
        g_autofree char *unit = g_strdup_printf("%u", numbers->disks[k].unit);
        g_autofree char *name = g_strdup_printf("Disk %u", k), *resource = g_strdup_printf("ovf:/disk/disk%u", k);
        const Item item = {.on_parent = unit,
                           .name = name,
                           .resource = resource,
                           .number = k == 0 ? FIRST_DISK : numbers->next++,
                           .parent = numbers->parents[k],
                           .type = 17};
        add_item(out, &item);
    }
}

static void add_items(GString *out, const IngotFormatInput *input)
{
    static const Item first[] = {
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
    };
    static const Item network = {.automatic = "true",
                                 .connection = "NAT",
                                 .description = "Network adapter",
                                 .name = "Network adapter 0",
                                 .number = NETWORK,
                                 .subtype = "E1000",
                                 .type = 10};
    guint count = input_count(input);
    g_autofree Attach *disks = attach_disks(input, FALSE);
    g_autofree guint *parents = g_new0(guint, count);
    Numbers numbers = {.disks = disks, .count = count, .next = FURTHER, .parents = parents};
    for (guint i = 0; i < G_N_ELEMENTS(first); i++) {
        add_item(out, &first[i]);
    }
    add_controllers(out, &numbers);
    add_disks(out, &numbers);
    add_item(out, &network);
}

static void file_clear(gpointer data)
{
    g_free(((OvfFile *)data)->name);
}

GArray *ovf_files(const GArray *disks, const char *prefix)
{
    GArray *files = g_array_new(FALSE, FALSE, sizeof(OvfFile));
    g_array_set_clear_func(files, file_clear);
    for (guint k = 0; k < disks->len; k++) {
        const OvfFile file = {.name = g_strdup_printf("%s%u.vmdk", prefix, k),
                              .size = ingot_layout_size(streamed_disk(disks, k)->layout)};
        g_array_append_val(files, file);
    }
    return files;
}

static void add_files(GString *out, const IngotFormatInput *input, const GArray *files)
{
    g_string_append(out, "  <References>\n");
    for (guint k = 0; k < input_count(input); k++) {
        g_autofree char *file = g_markup_printf_escaped(
            "    <File ovf:href=\"%s\" ovf:id=\"file%u\" ovf:size=\"%" G_GUINT64_FORMAT "\"/>\n",
            ovf_file(files, k)->name, k, ovf_file(files, k)->size);
        g_string_append(out, file);
    }
    g_string_append_printf(out, "  </References>\n  <DiskSection>\n    <Info>The machine's %s</Info>\n",
                           input_count(input) == 1 ? "disk" : "disks");
    for (guint k = 0; k < input_count(input); k++) {
        const IngotFormatInput one = input_of(input, k);
        g_string_append_printf(out,
                               "    <Disk ovf:capacity=\"%" G_GUINT64_FORMAT "\" ovf:capacityAllocationUnits=\"byte\""
                               " ovf:diskId=\"disk%u\" ovf:fileRef=\"file%u\" ovf:format=\"" STREAM "\"/>\n",
                               vmdk_capacity(input_index(&one)) * VMDK_SECTOR, k, k);
    }
    g_string_append(out, "  </DiskSection>\n");
}

static void add_head(GString *out, const IngotFormatInput *input, const GArray *files)
{
    g_string_append(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                         "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
                         "          xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
                         "          xmlns:rasd=\"" CIM "CIM_ResourceAllocationSettingData\"\n"
                         "          xmlns:vssd=\"" CIM "CIM_VirtualSystemSettingData\"\n"
                         "          xmlns:vmw=\"http://www.vmware.com/schema/ovf\">\n");
    add_files(out, input, files);
    g_string_append(out,
                    "  <NetworkSection>\n    <Info>The networks that the machine is on</Info>\n"
                    "    <Network ovf:name=\"NAT\">\n      <Description>A network behind the host's</Description>\n"
                    "    </Network>\n  </NetworkSection>\n");
}

char *ovf_describe(const IngotFormatInput *input, const GArray *files, const char *family)
{
    const GuestSystem *system = guest_system(input);
    g_autofree char *name = guest_name(input);
    GString *out = g_string_new(NULL);
    add_head(out, input, files);
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
    add_items(out, input);
    if (!guest_boots_by_bios(input)) {
        g_string_append(out, "      <vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>\n");
    }
    g_string_append(out, "    </VirtualHardwareSection>\n  </VirtualSystem>\n</Envelope>\n");
    return g_string_free(out, FALSE);
}
