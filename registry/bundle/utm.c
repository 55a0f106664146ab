#include "bundle/utm.h"

#include <string.h>

#include "bundle/markup.h"
#include "bundle/refuse.h"
#include "image/architecture.h"

#define DEPTH_MAX 32u /* of dictionaries in one another */

typedef struct {
    Utm *utm;
    GPtrArray *keys;                /* of char *: the key that each dictionary around is at; or NULL */
    GString *text;                  /* of the element that is read */
    char *image, *kind, *interface; /* of the drive that is read */
} Reading;

static void forget_drive(Reading *reading)
{
    g_clear_pointer(&reading->image, g_free);
    g_clear_pointer(&reading->kind, g_free);
    g_clear_pointer(&reading->interface, g_free);
}

static void reading_clear(Reading *reading)
{
    forget_drive(reading);
    g_ptr_array_unref(reading->keys);
    g_string_free(reading->text, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reading, reading_clear)

static void disk_free(gpointer data)
{
    UtmDisk *disk = data;
    g_free(disk->file);
    g_free(disk);
}

void utm_free(Utm *utm)
{
    if (utm != NULL) {
        g_ptr_array_unref(utm->disks);
        g_free(utm);
    }
}

/* Whether a value stands in a dictionary of that section, under that key. */
static gboolean is_at(const Reading *reading, const char *section, const char *key)
{
    return reading->keys->len == 2 && g_strcmp0(g_ptr_array_index(reading->keys, 0), section) == 0 &&
           (key == NULL || g_strcmp0(g_ptr_array_index(reading->keys, 1), key) == 0);
}

static void set_text(char **field, const char *text)
{
    g_free(*field);
    *field = g_strdup(text);
}

static gboolean take_architecture(Utm *utm, const char *text, GError **error)
{
    utm->architecture = architecture_word(text);
    return utm->architecture != NULL ||
           bundle_refuse(NULL, error, "it says architecture '%.50s', which is not known", text);
}

static void take_string(Reading *reading, const char *text, GError **error)
{
    if (is_at(reading, "System", "Architecture")) {
        take_architecture(reading->utm, text, error);
    } else if (is_at(reading, "Drive", "ImageName")) {
        set_text(&reading->image, text);
    } else if (is_at(reading, "Drive", "ImageType")) {
        set_text(&reading->kind, text);
    } else if (is_at(reading, "Drive", "Interface")) {
        set_text(&reading->interface, text);
    }
}

static const char *bus_of(const char *interface)
{
    static const char *const buses[] = {"virtio", "nvme", "ide", "scsi"};
    for (guint i = 0; interface != NULL && i < G_N_ELEMENTS(buses); i++) {
        if (g_ascii_strcasecmp(interface, buses[i]) == 0) {
            return buses[i];
        }
    }
    return NULL;
}

static void end_drive(Reading *reading)
{
    if (reading->image != NULL && (reading->kind == NULL || g_ascii_strcasecmp(reading->kind, "Disk") == 0)) {
        UtmDisk *disk = g_new0(UtmDisk, 1);
        disk->file = g_steal_pointer(&reading->image);
        disk->bus = bus_of(reading->interface);
        g_ptr_array_add(reading->utm->disks, disk);
    }
    forget_drive(reading);
}

static void on_element(GMarkupParseContext *context, const char *name, const char **names, const char **values,
                       gpointer user, GError **error)
{
    Reading *reading = user;
    gboolean outermost = g_markup_parse_context_get_element_stack(context)->next == NULL;
    (void)names;
    (void)values;
    g_string_truncate(reading->text, 0);
    if (outermost && strcmp(name, "plist") != 0) {
        bundle_refuse(NULL, error, "the root element is '%.100s', not plist", name);
    } else if (strcmp(name, "dict") == 0 && reading->keys->len == DEPTH_MAX) {
        bundle_refuse(NULL, error, "its dictionaries lie more than %u deep", DEPTH_MAX);
    } else if (strcmp(name, "dict") == 0) {
        g_ptr_array_add(reading->keys, NULL);
    } else if (is_at(reading, "QEMU", "UEFIBoot") && (strcmp(name, "true") == 0 || strcmp(name, "false") == 0)) {
        reading->utm->uefi = strcmp(name, "true") == 0;
        reading->utm->bios = !reading->utm->uefi;
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
    (void)context;
    if (strcmp(name, "key") == 0 && reading->keys->len > 0) {
        char **last = (char **)&reading->keys->pdata[reading->keys->len - 1];
        set_text(last, reading->text->str);
    } else if (strcmp(name, "string") == 0) {
        take_string(reading, reading->text->str, error);
    } else if (strcmp(name, "dict") == 0) {
        if (is_at(reading, "Drive", NULL)) {
            end_drive(reading);
        }
        g_ptr_array_set_size(reading->keys, (int)reading->keys->len - 1);
    }
    g_string_truncate(reading->text, 0);
}

Utm *utm_parse(const char *text, gsize size, const char *name, GError **error)
{
    static const GMarkupParser parser = {.start_element = on_element, .text = on_text, .end_element = on_end};
    g_autoptr(Utm) utm = g_new0(Utm, 1);
    utm->disks = g_ptr_array_new_with_free_func(disk_free);
    g_auto(Reading) reading = {.utm = utm, .keys = g_ptr_array_new_with_free_func(g_free), .text = g_string_new(NULL)};
    if (!markup_read(&parser, text, size, name, &reading, error)) {
        return NULL;
    }
    return g_steal_pointer(&utm);
}
