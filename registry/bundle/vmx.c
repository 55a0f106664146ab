#include "bundle/vmx.h"

#include <string.h>

#include "bundle/refuse.h"

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

/* --- lines --- */

typedef struct {
    char *text; /* UTF-8; what of it cannot be read is U+FFFD */
    guint line; /* where it stands, from 1 on, if it cannot be read; else 0 */
} Value;

static void value_free(gpointer data)
{
    Value *value = data;
    g_free(value->text);
    g_free(value);
}

static const char *lookup(GHashTable *values, const char *key)
{
    const Value *value = g_hash_table_lookup(values, key);
    return value == NULL ? NULL : value->text;
}

static const char *value_of(GHashTable *values, const char *place, const char *what)
{
    g_autofree char *key = g_strdup_printf("%s.%s", place, what);
    return lookup(values, key);
}

/* What the line's value is in UTF-8; ASCII is the same in all that VMware writes. */
static Value *value_new(const char *raw, const char *encoding, guint line)
{
    Value *value = g_new0(Value, 1);
    gboolean plain = g_str_is_ascii(raw) || (encoding == NULL && g_utf8_validate(raw, -1, NULL));
    value->text = plain              ? g_strdup(raw)
                  : encoding == NULL ? NULL
                                     : g_convert(raw, -1, "UTF-8", encoding, NULL, NULL, NULL);
    if (value->text == NULL) {
        value->text = g_utf8_make_valid(raw, -1);
        value->line = line;
    }
    return value;
}

/* The value within its quotes, and the key before it, both within the line; FALSE: it is no such line. */
static gboolean split_line(char *line, char **key, char **value)
{
    char *equals = strchr(line, '=');
    char *quoted = equals == NULL ? NULL : g_strstrip(equals + 1);
    gsize length = quoted == NULL ? 0 : strlen(quoted);
    if (length < 2 || quoted[0] != '"' || quoted[length - 1] != '"') {
        return FALSE;
    }
    *equals = '\0';
    quoted[length - 1] = '\0';
    *key = g_strstrip(line);
    *value = quoted + 1;
    return TRUE;
}

static char *find_encoding(const char *text)
{
    g_autoptr(GRegex) regex = g_regex_new("^\\s*\\.encoding\\s*=\\s*\"([^\"\n]*)\"",
                                          G_REGEX_RAW | G_REGEX_MULTILINE | G_REGEX_CASELESS, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    return g_regex_match(regex, text, 0, &match) ? g_match_info_fetch(match, 1) : NULL;
}

static GHashTable *read_values(const char *text, gsize size)
{
    GHashTable *values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, value_free);
    g_autofree char *whole = g_strndup(text, size), *encoding = find_encoding(whole);
    g_auto(GStrv) lines = g_strsplit(whole, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        char *key, *value;
        if (split_line(lines[i], &key, &value) && g_str_is_ascii(key)) {
            g_hash_table_replace(values, g_ascii_strdown(key, -1), value_new(value, encoding, i + 1));
        }
    }
    return values;
}

/* --- disks --- */

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

static gboolean add_disks(Vmx *vmx, GHashTable *values, const char *name, GError **error)
{
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, values);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        g_autofree char *place =
            g_str_has_suffix(key, ".filename") ? g_strndup(key, strlen(key) - strlen(".filename")) : NULL;
        const Value *file = value;
        if (place == NULL || !is_disk(values, place, file->text)) {
            continue;
        }
        if (file->line > 0) {
            return bundle_refuse(name, error,
                                 "line %u: '%.200s' cannot be read by what the line .encoding says, else as UTF-8",
                                 file->line, file->text);
        }
        VmxDisk *disk = g_new0(VmxDisk, 1);
        disk->bus = bus_of(place);
        disk->place = g_steal_pointer(&place);
        disk->file = g_strdup(file->text);
        g_ptr_array_add(vmx->disks, disk);
    }
    g_ptr_array_sort(vmx->disks, compare);
    return TRUE;
}

Vmx *vmx_parse(const char *text, gsize size, const char *name, GError **error)
{
    g_autoptr(GHashTable) values = read_values(text, size);
    const char *firmware = lookup(values, "firmware"), *guest = lookup(values, "guestos");
    g_autoptr(Vmx) vmx = g_new0(Vmx, 1);
    vmx->disks = g_ptr_array_new_with_free_func(disk_free);
    if (!add_disks(vmx, values, name, error)) {
        return NULL;
    }
    vmx->uefi = firmware != NULL && g_ascii_strcasecmp(firmware, "efi") == 0;
    vmx->bios = firmware != NULL && g_ascii_strcasecmp(firmware, "bios") == 0;
    vmx->architecture = guest != NULL && g_ascii_strncasecmp(guest, "arm", 3) == 0 ? "arm64" : NULL;
    return g_steal_pointer(&vmx);
}
