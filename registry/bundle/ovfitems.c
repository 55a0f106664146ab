#include "bundle/ovfitems.h"

#include <string.h>

void ovf_item_free(gpointer data)
{
    OvfItem *item = data;
    g_free(item->id);
    g_free(item->type);
    g_free(item->subtype);
    g_free(item->parent);
    g_free(item->address);
    g_free(item->unit);
    g_free(item->resource);
    g_free(item);
}

char **ovf_item_field(OvfItem *item, const char *element)
{
    const struct {
        const char *element;
        char **field;
    } fields[] = {
        {"InstanceID", &item->id},           {"InstanceId", &item->id},         {"ResourceType", &item->type},
        {"ResourceSubType", &item->subtype}, {"Parent", &item->parent},         {"Address", &item->address},
        {"AddressOnParent", &item->unit},    {"HostResource", &item->resource},
    };
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (strcmp(fields[i].element, element) == 0) {
            return fields[i].field;
        }
    }
    return NULL;
}

static guint64 number_of(const char *text)
{
    guint64 number = 0;
    return text != NULL && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &number, NULL) ? number : 0;
}

/* --- what an Item is --- */

enum {
    TYPE_IDE = 5,
    TYPE_SCSI = 6,
    TYPE_FLOPPY = 14,
    TYPE_CD = 15,
    TYPE_DVD = 16,
    TYPE_DISK = 17,
    TYPE_OTHER = 20, /* storage: SATA, NVMe, virtio-scsi */
};

static gboolean has_word(const char *text, const char *word)
{
    g_autofree char *lower = text == NULL ? NULL : g_ascii_strdown(text, -1);
    return lower != NULL && strstr(lower, word) != NULL;
}

static const char *bus_of(const OvfItem *controller)
{
    switch (controller == NULL ? 0 : number_of(controller->type)) {
    case TYPE_IDE:
        return "ide";
    case TYPE_SCSI:
        return has_word(controller->subtype, "virtio") ? "virtio" : "scsi";
    case TYPE_OTHER:
        return has_word(controller->subtype, "nvme")     ? "nvme"
               : has_word(controller->subtype, "virtio") ? "virtio"
                                                         : "sata";
    default:
        return NULL;
    }
}

static const OvfItem *find_item(const GPtrArray *items, const char *id)
{
    for (guint i = 0; id != NULL && i < items->len; i++) {
        const OvfItem *item = g_ptr_array_index(items, i);
        if (g_strcmp0(item->id, id) == 0) {
            return item;
        }
    }
    return NULL;
}

static const OvfDisk *find_disk(const Ovf *ovf, const char *id)
{
    for (guint i = 0; i < ovf->disks->len; i++) {
        const OvfDisk *disk = g_ptr_array_index(ovf->disks, i);
        if (strcmp(disk->id, id) == 0) {
            return disk;
        }
    }
    return NULL;
}

/* The disk in that file, which is made where the descriptor has none. */
static const OvfDisk *disk_in_file(Ovf *ovf, const char *id)
{
    for (guint i = 0; i < ovf->disks->len; i++) {
        const OvfDisk *disk = g_ptr_array_index(ovf->disks, i);
        if (g_strcmp0(disk->file_id, id) == 0) {
            return disk;
        }
    }
    if (ovf_file(ovf, id) == NULL) {
        return NULL;
    }
    OvfDisk *disk = g_new0(OvfDisk, 1);
    disk->id = g_strdup(id);
    disk->file_id = g_strdup(id);
    g_ptr_array_add(ovf->disks, disk);
    return disk;
}

/* "ovf:/disk/ID", "ovf://disk/ID", "/disk/ID", "ovf:/file/ID"; of oVirt's "GROUP/ID" the whole, or its end. */
static const OvfDisk *resolve(Ovf *ovf, const char *resource)
{
    const char *path = g_str_has_prefix(resource, "ovf:") ? resource + strlen("ovf:") : resource;
    path += strspn(path, "/");
    if (g_str_has_prefix(path, "disk/")) {
        return find_disk(ovf, path + strlen("disk/"));
    }
    if (g_str_has_prefix(path, "file/")) {
        return disk_in_file(ovf, path + strlen("file/"));
    }
    const char *slash = strrchr(path, '/');
    const OvfDisk *whole = find_disk(ovf, path);
    return whole == NULL && slash != NULL ? find_disk(ovf, slash + 1) : whole;
}

/* --- their order --- */

typedef struct {
    const OvfDisk *disk;
    const OvfItem *item, *controller;
    const char *bus;
    guint first_of_bus, first_of_controller; /* where the first drive of such a bus, of that controller, stands */
    guint number;
} Drive;

static int compare_numbers(guint64 a, guint64 b)
{
    return a < b ? -1 : a > b;
}

static int compare_drives(gconstpointer first, gconstpointer second)
{
    const Drive *a = first, *b = second;
    const char *address_a = a->controller == NULL ? NULL : a->controller->address;
    const char *address_b = b->controller == NULL ? NULL : b->controller->address;
    int order = compare_numbers(a->first_of_bus, b->first_of_bus);
    order = order != 0 ? order : compare_numbers(number_of(address_a), number_of(address_b));
    order = order != 0 ? order : compare_numbers(a->first_of_controller, b->first_of_controller);
    order = order != 0 ? order : compare_numbers(number_of(a->item->unit), number_of(b->item->unit));
    return order != 0 ? order : compare_numbers(a->number, b->number);
}

static void add_drive(GArray *drives, const OvfDisk *disk, const OvfItem *item, const OvfItem *controller)
{
    Drive drive = {.disk = disk, .item = item, .controller = controller, .bus = bus_of(controller)};
    drive.number = drive.first_of_bus = drive.first_of_controller = drives->len;
    for (guint i = drives->len; i > 0; i--) {
        const Drive *before = &g_array_index(drives, Drive, i - 1);
        drive.first_of_bus = g_strcmp0(before->bus, drive.bus) == 0 ? before->first_of_bus : drive.first_of_bus;
        drive.first_of_controller =
            before->controller == controller ? before->first_of_controller : drive.first_of_controller;
    }
    g_array_append_val(drives, drive);
}

/* FALSE: of some drive it can't be told which disk it is. */
static gboolean find_drives(const GPtrArray *items, Ovf *ovf, GArray *drives)
{
    for (guint i = 0; i < items->len; i++) {
        const OvfItem *item = g_ptr_array_index(items, i);
        guint64 type = number_of(item->type);
        if (item->resource == NULL || type == TYPE_CD || type == TYPE_DVD || type == TYPE_FLOPPY) {
            continue;
        }
        const OvfDisk *disk = resolve(ovf, item->resource);
        if (disk != NULL) {
            add_drive(drives, disk, item, find_item(items, item->parent));
        } else if (type == TYPE_DISK) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean is_drive(const Ovf *ovf, const OvfDisk *disk)
{
    for (guint i = 0; i < ovf->drives->len; i++) {
        if (g_array_index(ovf->drives, OvfDrive, i).disk == disk) {
            return TRUE;
        }
    }
    return FALSE;
}

void ovf_items_apply(const GPtrArray *items, Ovf *ovf)
{
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Drive));
    gboolean told = find_drives(items, ovf, found) && found->len > 0;
    g_array_sort(found, compare_drives);
    for (guint i = 0; told && i < found->len; i++) {
        const Drive *drive = &g_array_index(found, Drive, i);
        OvfDrive one = {drive->disk, drive->bus};
        if (!is_drive(ovf, drive->disk)) {
            g_array_append_val(ovf->drives, one);
        }
    }
    for (guint i = 0; i < ovf->disks->len; i++) {
        OvfDrive one = {.disk = g_ptr_array_index(ovf->disks, i)};
        if (!told) {
            g_array_append_val(ovf->drives, one);
        } else if (!is_drive(ovf, one.disk)) {
            g_ptr_array_add(ovf->unused, (gpointer)one.disk);
        }
    }
}
