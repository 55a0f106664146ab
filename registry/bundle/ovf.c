#include "bundle/ovf.h"

#include <string.h>

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
        g_free(ovf);
    }
}

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

/* "byte * 2^30" as DSP0243 has it, or what its version 0.9 had. */
static gboolean parse_unit(const char *text, guint *shift)
{
    static const char *const old[] = {"KiloBytes", "MegaBytes", "GigaBytes", NULL};
    for (guint i = 0; old[i] != NULL; i++) {
        if (strcmp(text, old[i]) == 0) {
            *shift = 10 * (i + 1);
            return TRUE;
        }
    }
    g_autoptr(GRegex) regex = g_regex_new("^\\s*byte\\s*(?:\\*\\s*2\\s*\\^\\s*([0-9]{1,2}))?\\s*$", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    if (!g_regex_match(regex, text, 0, &match)) {
        return FALSE;
    }
    g_autofree char *power = g_match_info_fetch(match, 1);
    *shift = power == NULL ? 0 : (guint)g_ascii_strtoull(power, NULL, 10);
    return TRUE;
}

static gboolean parse_capacity(const Attributes *attributes, guint64 *capacity, GError **error)
{
    const char *text = get(attributes, "capacity"), *unit = get(attributes, "capacityAllocationUnits");
    guint64 count;
    guint shift;
    *capacity = 0;
    if (text == NULL) {
        return TRUE;
    }
    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &count, NULL)) {
        return bundle_refuse(NULL, error, "capacity '%.100s' is no number", text);
    }
    if (!parse_unit(unit == NULL ? "byte" : unit, &shift)) {
        return bundle_refuse(NULL, error, "capacity is in '%.100s', a unit that is not known", unit);
    }
    if (shift > 62 || count > (guint64)G_MAXINT64 >> shift) {
        return bundle_refuse(NULL, error, "capacity '%.100s' is more than a disk can have", text);
    }
    *capacity = count << shift;
    return TRUE;
}

static gboolean add_file(Ovf *ovf, const Attributes *attributes, GError **error)
{
    const char *id = get(attributes, "id"), *href = get(attributes, "href");
    const char *compression = get(attributes, "compression");
    if (id == NULL || href == NULL) {
        return bundle_refuse(NULL, error, "a File has no %s", id == NULL ? "id" : "href");
    }
    OvfFile *file = g_new0(OvfFile, 1);
    file->id = g_strdup(id);
    file->href = g_strdup(g_str_has_prefix(href, "./") ? href + 2 : href);
    if (compression != NULL && *compression != '\0' && strcmp(compression, "identity") != 0) {
        file->compression = g_strdup(compression);
    }
    file->chunked = get(attributes, "chunkSize") != NULL;
    g_ptr_array_add(ovf->files, file);
    return TRUE;
}

static gboolean add_disk(Ovf *ovf, const Attributes *attributes, GError **error)
{
    const char *id = get(attributes, "diskId");
    guint64 capacity;
    if (id == NULL) {
        return bundle_refuse(NULL, error, "a %s has no diskId", "Disk");
    }
    if (!parse_capacity(attributes, &capacity, error)) {
        g_prefix_error(error, "disk '%.100s': ", id);
        return FALSE;
    }
    OvfDisk *disk = g_new0(OvfDisk, 1);
    disk->id = g_strdup(id);
    disk->file_id = g_strdup(get(attributes, "fileRef"));
    disk->parent = g_strdup(get(attributes, "parentRef"));
    disk->capacity = capacity;
    g_ptr_array_add(ovf->disks, disk);
    return TRUE;
}

/* VMware tells the firmware as <vmw:Config vmw:key="firmware" vmw:value="efi"/>, VirtualBox as <Firmware type="EFI"/>.
 */
static gboolean tells_uefi(const char *element, const Attributes *attributes)
{
    const char *key = get(attributes, "key"), *value = get(attributes, "value"), *type = get(attributes, "type");
    if (strcmp(element, "Config") == 0) {
        return key != NULL && value != NULL && strcmp(key, "firmware") == 0 && g_ascii_strcasecmp(value, "efi") == 0;
    }
    return strcmp(element, "Firmware") == 0 && type != NULL && g_ascii_strncasecmp(type, "EFI", 3) == 0;
}

static void on_element(GMarkupParseContext *context, const char *name, const char **names, const char **values,
                       gpointer user, GError **error)
{
    Ovf *ovf = user;
    const Attributes attributes = {names, values};
    const GSList *outer = g_markup_parse_context_get_element_stack(context)->next;
    const char *element = local(name), *parent = outer == NULL ? "" : local(outer->data);
    if (strcmp(element, "File") == 0 && strcmp(parent, "References") == 0) {
        add_file(ovf, &attributes, error);
    } else if (strcmp(element, "Disk") == 0 && strcmp(parent, "DiskSection") == 0) {
        add_disk(ovf, &attributes, error);
    } else if (strcmp(element, "VirtualSystem") == 0) {
        ovf->machines++;
    } else if (tells_uefi(element, &attributes)) {
        ovf->uefi = TRUE;
    } else if (outer == NULL && strcmp(element, "Envelope") != 0) {
        bundle_refuse(NULL, error, "the root element is '%.100s', not Envelope", element);
    }
}

Ovf *ovf_parse(const char *text, gsize size, const char *name, GError **error)
{
    static const GMarkupParser parser = {.start_element = on_element};
    static const char mark[] = "\xef\xbb\xbf"; /* that the text is UTF-8, as some editors put it */
    gsize skip = size >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
    g_autoptr(GError) problem = NULL;
    g_autoptr(Ovf) ovf = g_new0(Ovf, 1);
    ovf->files = g_ptr_array_new_with_free_func(file_free);
    ovf->disks = g_ptr_array_new_with_free_func(disk_free);
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(&parser, G_MARKUP_PREFIX_ERROR_POSITION, ovf, NULL);
    if (!g_markup_parse_context_parse(context, text + skip, (gssize)(size - skip), &problem) ||
        !g_markup_parse_context_end_parse(context, &problem)) {
        bundle_refuse(name, error, "%s", problem->message);
        return NULL;
    }
    return g_steal_pointer(&ovf);
}
