#include "bundle/vmx.h"

#include <string.h>

static void disk_free(gpointer data)
{
    VmxDisk *disk = data;
    g_free(disk->place);
    g_free(disk->file);
    g_free(disk);
}

void vmx_free(Vmx *vmx)
{
    if (vmx != NULL) {
        g_ptr_array_unref(vmx->disks);
        g_free(vmx);
    }
}

/* In the order in which VMware's firmware looks at them, as far as it is told nothing else. */
static const char *const buses[] = {"scsi", "sata", "nvme", "ide"};

static const char *bus_of(const char *place)
{
    for (guint i = 0; i < G_N_ELEMENTS(buses); i++) {
        if (g_str_has_prefix(place, buses[i])) {
            return buses[i];
        }
    }
    return NULL;
}

static const char *value_of(GHashTable *values, const char *place, const char *what)
{
    g_autofree char *key = g_strdup_printf("%s.%s", place, what);
    return g_hash_table_lookup(values, key);
}

/* A device that is described but not there says PLACE.present = "FALSE"; a CD says what it is, whatever its file is
 * called. */
static gboolean is_disk(GHashTable *values, const char *place, const char *file)
{
    const char *present = value_of(values, place, "present"), *kind = value_of(values, place, "devicetype");
    g_autofree char *lower = g_ascii_strdown(file, -1);
    return bus_of(place) != NULL && strchr(place, ':') != NULL && g_str_has_suffix(lower, ".vmdk") &&
           (present == NULL || g_ascii_strcasecmp(present, "FALSE") != 0) &&
           (kind == NULL || g_ascii_strncasecmp(kind, "cdrom", 5) != 0);
}

static GHashTable *read_values(const char *text, gsize size)
{
    GHashTable *values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autofree char *whole = g_strndup(text, size);
    g_auto(GStrv) lines = g_strsplit(whole, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        char *equals = strchr(lines[i], '=');
        char *value = equals == NULL ? NULL : g_strstrip(equals + 1);
        gsize length = value == NULL ? 0 : strlen(value);
        if (length < 2 || value[0] != '"' || value[length - 1] != '"' || !g_utf8_validate(lines[i], -1, NULL)) {
            continue;
        }
        *equals = '\0';
        value[length - 1] = '\0';
        g_hash_table_replace(values, g_ascii_strdown(g_strstrip(lines[i]), -1), g_strdup(value + 1));
    }
    return values;
}

/* "scsi1:2" in numbers: the bus, the controller, the unit. */
static guint64 rank_of(const VmxDisk *disk)
{
    guint64 bus = 0;
    while (buses[bus] != disk->bus) {
        bus++;
    }
    const char *unit = strchr(disk->place, ':');
    guint64 controller = g_ascii_strtoull(disk->place + strlen(disk->bus), NULL, 10);
    return bus << 32 | (controller & 0xffff) << 16 | (g_ascii_strtoull(unit + 1, NULL, 10) & 0xffff);
}

static int compare(gconstpointer a, gconstpointer b)
{
    const VmxDisk *first = *(const VmxDisk *const *)a, *second = *(const VmxDisk *const *)b;
    guint64 one = rank_of(first), other = rank_of(second);
    return one < other ? -1 : one > other ? 1 : strcmp(first->place, second->place);
}

static void add_disks(Vmx *vmx, GHashTable *values)
{
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, values);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        g_autofree char *place =
            g_str_has_suffix(key, ".filename") ? g_strndup(key, strlen(key) - strlen(".filename")) : NULL;
        if (place != NULL && is_disk(values, place, value)) {
            VmxDisk *disk = g_new0(VmxDisk, 1);
            disk->bus = bus_of(place);
            disk->place = g_steal_pointer(&place);
            disk->file = g_strdup(value);
            g_ptr_array_add(vmx->disks, disk);
        }
    }
    g_ptr_array_sort(vmx->disks, compare);
}

Vmx *vmx_parse(const char *text, gsize size)
{
    g_autoptr(GHashTable) values = read_values(text, size);
    const char *firmware = g_hash_table_lookup(values, "firmware"), *guest = g_hash_table_lookup(values, "guestos");
    Vmx *vmx = g_new0(Vmx, 1);
    vmx->disks = g_ptr_array_new_with_free_func(disk_free);
    add_disks(vmx, values);
    vmx->uefi = firmware != NULL && g_ascii_strcasecmp(firmware, "efi") == 0;
    vmx->bios = firmware != NULL && g_ascii_strcasecmp(firmware, "bios") == 0;
    vmx->architecture = guest != NULL && g_ascii_strncasecmp(guest, "arm", 3) == 0 ? "arm64" : NULL;
    return vmx;
}
