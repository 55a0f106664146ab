#include "bundle/ovf.h"

#include <string.h>

#include "bundle/capacity.h"
#include "bundle/markup.h"
#include "bundle/ovfitems.h"
#include "bundle/refuse.h"

static void file_free(gpointer data)
{
    OvfFile *file = data;
    g_free(file->id);
    g_free(file->href);
    g_free(file->compression);
    g_free(file);
}

static void disk_free(gpointer data)
{
    OvfDisk *disk = data;
    g_free(disk->id);
    g_free(disk->file_id);
    g_free(disk->parent);
    g_free(disk);
}

void ovf_free(Ovf *ovf)
{
    if (ovf != NULL) {
        g_ptr_array_unref(ovf->files);
        g_ptr_array_unref(ovf->disks);
        g_array_unref(ovf->drives);
        g_ptr_array_unref(ovf->unused);
        g_ptr_array_unref(ovf->machines);
        g_free(ovf);
    }
}

const OvfFile *ovf_file(const Ovf *ovf, const char *id)
{
    for (guint i = 0; id != NULL && i < ovf->files->len; i++) {
        const OvfFile *file = g_ptr_array_index(ovf->files, i);
        if (strcmp(file->id, id) == 0) {
            return file;
        }
    }
    return NULL;
}

/* --- what is kept while it is read --- */

/* A disk's size, which may be a property's that comes behind it. */
typedef struct {
    OvfDisk *disk;
    char *text, *unit;
} Size;

static void size_free(gpointer data)
{
    Size *size = data;
    g_free(size->text);
    g_free(size->unit);
    g_free(size);
}

typedef struct {
    Ovf *ovf;
    GPtrArray *items;       /* of OvfItem */
    GPtrArray *sizes;       /* of Size */
    GHashTable *properties; /* key → value */
    char *class, *instance; /* of the section of properties that is read; or NULL */
    GString *text;          /* of the element that is read */
} Reading;

static void reading_clear(Reading *reading)
{
    g_ptr_array_unref(reading->items);
    g_ptr_array_unref(reading->sizes);
    g_hash_table_unref(reading->properties);
    g_free(reading->class);
    g_free(reading->instance);
    g_string_free(reading->text, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reading, reading_clear)

/* --- elements --- */

/* Names are told apart without their prefix: "ovf:href" and "href" mean the same in what is written. */
static const char *local(const char *name)
{
    const char *colon = strchr(name, ':');
    return colon == NULL ? name : colon + 1;
}

typedef struct {
    const char **names, **values;
} Attributes;

static const char *get(const Attributes *attributes, const char *name)
{
    for (guint i = 0; attributes->names[i] != NULL; i++) {
        if (strcmp(local(attributes->names[i]), name) == 0) {
            return attributes->values[i];
        }
    }
    return NULL;
}

/* *bytes is 0 where it is not told. */
static gboolean parse_bytes(const Attributes *attributes, const char *name, guint64 least, guint64 *bytes,
                            GError **error)
{
    const char *text = get(attributes, name);
    *bytes = 0;
    return text == NULL || g_ascii_string_to_unsigned(text, 10, least, G_MAXINT64, bytes, NULL) ||
           bundle_refuse(NULL, error, "%s '%.100s' is no number of bytes", name, text);
}

static gboolean add_file(Ovf *ovf, const Attributes *attributes, GError **error)
{
    const char *id = get(attributes, "id"), *href = get(attributes, "href");
    const char *compression = get(attributes, "compression");
    guint64 chunk, size = 0;
    if (id == NULL || href == NULL) {
        return bundle_refuse(NULL, error, "a File has no %s", id == NULL ? "id" : "href");
    }
    if (!parse_bytes(attributes, "chunkSize", 1, &chunk, error) ||
        (chunk > 0 && !parse_bytes(attributes, "size", 0, &size, error))) {
        return FALSE;
    }
    OvfFile *file = g_new0(OvfFile, 1);
    file->id = g_strdup(id);
    file->href = g_strdup(g_str_has_prefix(href, "./") ? href + 2 : href);
    if (compression != NULL && *compression != '\0' && strcmp(compression, "identity") != 0) {
        file->compression = g_strdup(compression);
    }
    file->chunk = chunk;
    file->size = size;
    g_ptr_array_add(ovf->files, file);
    return TRUE;
}

/* An attribute that some write empty where they mean none. */
static char *dup_some(const char *value)
{
    return value == NULL || *value == '\0' ? NULL : g_strdup(value);
}

/* oVirt says what its files are, which have no suffix. */
static const char *volume_format(const char *said)
{
    return said == NULL                           ? NULL
           : g_ascii_strcasecmp(said, "raw") == 0 ? "raw"
           : g_ascii_strcasecmp(said, "cow") == 0 ? "qcow2"
                                                  : NULL;
}

static gboolean add_disk(Reading *reading, const Attributes *attributes, GError **error)
{
    const char *id = get(attributes, "diskId"), *capacity = get(attributes, "capacity");
    if (id == NULL) {
        return bundle_refuse(NULL, error, "a %s has no diskId", "Disk");
    }
    OvfDisk *disk = g_new0(OvfDisk, 1);
    disk->id = g_strdup(id);
    disk->file_id = dup_some(get(attributes, "fileRef"));
    disk->parent = dup_some(get(attributes, "parentRef"));
    disk->format = volume_format(get(attributes, "volume-format"));
    g_ptr_array_add(reading->ovf->disks, disk);
    if (capacity != NULL) {
        Size *size = g_new0(Size, 1);
        size->disk = disk;
        size->text = g_strdup(capacity);
        size->unit = g_strdup(get(attributes, "capacityAllocationUnits"));
        g_ptr_array_add(reading->sizes, size);
    }
    return TRUE;
}

/* A property is called CLASS.KEY.INSTANCE, of which its section has the first and the last, if any. */
static void add_property(Reading *reading, const Attributes *attributes)
{
    const char *key = get(attributes, "key"), *value = get(attributes, "value");
    if (key != NULL && value != NULL) {
        char *name = g_strdup_printf("%s%s%s%s%s", reading->class == NULL ? "" : reading->class,
                                     reading->class == NULL ? "" : ".", key, reading->instance == NULL ? "" : ".",
                                     reading->instance == NULL ? "" : reading->instance);
        g_hash_table_replace(reading->properties, name, g_strdup(value));
    }
}

static void begin_product(Reading *reading, const Attributes *attributes)
{
    g_free(reading->class);
    g_free(reading->instance);
    reading->class = dup_some(get(attributes, "class"));
    reading->instance = dup_some(get(attributes, "instance"));
}

/* VMware tells the firmware as <vmw:Config vmw:key="firmware" vmw:value="efi"/>, VirtualBox as <Firmware type="EFI"/>.
 */
static void look_for_firmware(Ovf *ovf, const char *element, const Attributes *attributes)
{
    const char *key = get(attributes, "key"), *value = get(attributes, "value"), *type = get(attributes, "type");
    gboolean config = strcmp(element, "Config") == 0 && g_strcmp0(key, "firmware") == 0;
    const char *said = config ? value : strcmp(element, "Firmware") == 0 ? type : NULL;
    ovf->uefi = ovf->uefi || (said != NULL && g_ascii_strncasecmp(said, "efi", 3) == 0);
    ovf->bios = ovf->bios || (said != NULL && g_ascii_strcasecmp(said, "bios") == 0);
}

/* Both name guests: "Ubuntu_arm64", "arm-debian12-64". Other names say nothing that can be relied on: machines of
 * either kind are called by those of the other where a maker knew no better. */
static void look_for_arm(Ovf *ovf, const char *guest)
{
    g_autofree char *lower = guest == NULL ? NULL : g_ascii_strdown(guest, -1);
    if (lower != NULL &&
        (g_str_has_prefix(lower, "arm") || strstr(lower, "arm64") != NULL || strstr(lower, "aarch64"))) {
        ovf->architecture = "arm64";
    }
}

static void look_for_guest(Ovf *ovf, const char *element, const Attributes *attributes)
{
    if (strcmp(element, "OperatingSystemSection") == 0) {
        look_for_arm(ovf, get(attributes, "osType"));
    } else if (strcmp(element, "Machine") == 0) {
        look_for_arm(ovf, get(attributes, "OSType"));
    } else if (strcmp(element, "Platform") == 0) {
        look_for_arm(ovf, get(attributes, "architecture"));
    }
}

/* The namespace of the root element. */
static const char *root_namespace(const char *element, const Attributes *attributes)
{
    const char *colon = strchr(element, ':');
    g_autofree char *name =
        colon == NULL ? g_strdup("xmlns") : g_strdup_printf("xmlns:%.*s", (int)(colon - element), element);
    for (guint i = 0; attributes->names[i] != NULL; i++) {
        if (strcmp(attributes->names[i], name) == 0) {
            return attributes->values[i];
        }
    }
    return "";
}

/* Its version 0.9 calls other things by other names. */
static gboolean check_root(const char *element, const Attributes *attributes, GError **error)
{
    const char *space = root_namespace(element, attributes), *version = get(attributes, "version");
    if (strcmp(local(element), "Envelope") != 0) {
        return bundle_refuse(NULL, error, "the root element is '%.100s', not Envelope", element);
    }
    if (g_str_has_prefix(space, "http://www.vmware.com/schema/ovf/1/") || g_strcmp0(version, "0.9") == 0) {
        return bundle_refuse(NULL, error,
                             "it is an OVF descriptor of version 0.9, those of 1.0 and later are taken: "
                             "export the machine again, with a later version");
    }
    return version == NULL || *version == '\0' || *version == '1' || *version == '2' ||
           bundle_refuse(NULL, error, "it is an OVF descriptor of version '%.20s', those of 1 and 2 are known",
                         version);
}

static gboolean is_item(const char *element)
{
    return strcmp(element, "Item") == 0 || strcmp(element, "StorageItem") == 0;
}

static void on_element(GMarkupParseContext *context, const char *name, const char **names, const char **values,
                       gpointer user, GError **error)
{
    Reading *reading = user;
    const Attributes attributes = {names, values};
    const GSList *outer = g_markup_parse_context_get_element_stack(context)->next;
    const char *element = local(name), *parent = outer == NULL ? "" : local(outer->data);
    g_string_truncate(reading->text, 0);
    look_for_firmware(reading->ovf, element, &attributes);
    look_for_guest(reading->ovf, element, &attributes);
    if (outer == NULL) {
        check_root(name, &attributes, error);
    } else if (strcmp(element, "File") == 0 && strcmp(parent, "References") == 0) {
        add_file(reading->ovf, &attributes, error);
    } else if (strcmp(element, "Disk") == 0 && strcmp(parent, "DiskSection") == 0) {
        add_disk(reading, &attributes, error);
    } else if (strcmp(element, "VirtualSystem") == 0) {
        const char *id = get(&attributes, "id");
        g_ptr_array_add(reading->ovf->machines, g_strdup(id == NULL ? "" : id));
    } else if (is_item(element) && strcmp(parent, "VirtualHardwareSection") == 0) {
        g_ptr_array_add(reading->items, g_new0(OvfItem, 1));
    } else if (strcmp(element, "ProductSection") == 0) {
        begin_product(reading, &attributes);
    } else if (strcmp(element, "Property") == 0) {
        add_property(reading, &attributes);
    }
}

static void on_text(GMarkupParseContext *context, const char *text, gsize size, gpointer user, GError **error)
{
    Reading *reading = user;
    (void)context;
    (void)error;
    g_string_append_len(reading->text, text, (gssize)size);
}

static void on_end(GMarkupParseContext *context, const char *name, gpointer user, GError **error)
{
    Reading *reading = user;
    const GSList *outer = g_markup_parse_context_get_element_stack(context)->next;
    (void)error;
    if (outer != NULL && is_item(local(outer->data)) && reading->items->len > 0) {
        OvfItem *item = g_ptr_array_index(reading->items, reading->items->len - 1);
        char **field = ovf_item_field(item, local(name));
        if (field != NULL && *field == NULL) {
            *field = g_strstrip(g_strdup(reading->text->str));
        }
    } else if (strcmp(local(name), "OSType") == 0) {
        look_for_arm(reading->ovf, reading->text->str);
    }
    g_string_truncate(reading->text, 0);
}

/* --- the whole --- */

/* "${disk.size}" is what a property of that name has. */
static const char *value_of(const Reading *reading, const char *text, GError **error)
{
    if (!g_str_has_prefix(text, "${") || !g_str_has_suffix(text, "}")) {
        return text;
    }
    g_autofree char *key = g_strndup(text + 2, strlen(text) - 3);
    const char *value = g_hash_table_lookup(reading->properties, key);
    if (value == NULL) {
        bundle_refuse(NULL, error, "capacity '%.100s' is a property that the descriptor gives no value", text);
    }
    return value;
}

static gboolean settle_sizes(const Reading *reading, GError **error)
{
    for (guint i = 0; i < reading->sizes->len; i++) {
        const Size *size = g_ptr_array_index(reading->sizes, i);
        const char *text = value_of(reading, size->text, error);
        if (text == NULL || !capacity_parse(text, size->unit, &size->disk->capacity, error)) {
            g_prefix_error(error, "disk '%.100s': ", size->disk->id);
            return FALSE;
        }
    }
    return TRUE;
}

static Ovf *ovf_new(void)
{
    Ovf *ovf = g_new0(Ovf, 1);
    ovf->files = g_ptr_array_new_with_free_func(file_free);
    ovf->disks = g_ptr_array_new_with_free_func(disk_free);
    ovf->drives = g_array_new(FALSE, FALSE, sizeof(OvfDrive));
    ovf->unused = g_ptr_array_new();
    ovf->machines = g_ptr_array_new_with_free_func(g_free);
    return ovf;
}

Ovf *ovf_parse(const char *text, gsize size, const char *name, GError **error)
{
    static const GMarkupParser parser = {.start_element = on_element, .text = on_text, .end_element = on_end};
    g_autoptr(GError) problem = NULL;
    g_autoptr(Ovf) ovf = ovf_new();
    g_auto(Reading) reading = {.ovf = ovf,
                               .items = g_ptr_array_new_with_free_func(ovf_item_free),
                               .sizes = g_ptr_array_new_with_free_func(size_free),
                               .properties = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
                               .text = g_string_new(NULL)};
    if (!markup_read(&parser, text, size, name, &reading, error)) {
        return NULL;
    }
    if (!settle_sizes(&reading, &problem)) {
        bundle_refuse(name, error, "%s", problem->message);
        return NULL;
    }
    ovf_items_apply(reading.items, ovf);
    return g_steal_pointer(&ovf);
}
