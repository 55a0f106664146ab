#include "bundle/hyperv.h"

#include <string.h>

#include "bundle/markup.h"
#include "bundle/refuse.h"

typedef struct {
    Hyperv *machine;
    GString *text;     /* of the element that is read */
    char *path, *kind; /* of the drive that is read */
    GPtrArray *found;  /* of Drive */
} Reading;

typedef struct {
    gboolean scsi; /* else IDE, which comes first */
    guint64 controller, drive;
    char *file;
} Drive;

static void drive_free(gpointer data)
{
    Drive *drive = data;
    g_free(drive->file);
    g_free(drive);
}

static void reading_clear(Reading *reading)
{
    g_string_free(reading->text, TRUE);
    g_free(reading->path);
    g_free(reading->kind);
    g_ptr_array_unref(reading->found);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reading, reading_clear)

void hyperv_free(Hyperv *machine)
{
    if (machine != NULL) {
        g_ptr_array_unref(machine->disks);
        g_free(machine);
    }
}

/* The name of the element so many levels further out; "" at the top. */
static const char *outer_name(GMarkupParseContext *context, guint levels)
{
    const GSList *at = g_markup_parse_context_get_element_stack(context);
    for (guint i = 0; at != NULL && i < levels; i++) {
        at = at->next;
    }
    return at == NULL ? "" : at->data;
}

static gboolean is_drive(GMarkupParseContext *context, guint levels)
{
    return g_str_has_prefix(outer_name(context, levels), "drive") &&
           g_str_has_prefix(outer_name(context, levels + 1), "controller");
}

static void on_element(GMarkupParseContext *context, const char *name, const char **names, const char **values,
                       gpointer user, GError **error)
{
    Reading *reading = user;
    (void)names;
    (void)values;
    g_string_truncate(reading->text, 0);
    if (outer_name(context, 1)[0] == '\0' && strcmp(name, "configuration") != 0) {
        bundle_refuse(NULL, error, "the root element is '%.100s', not configuration", name);
    }
    if (is_drive(context, 0)) {
        g_clear_pointer(&reading->path, g_free);
        g_clear_pointer(&reading->kind, g_free);
    }
}

static void on_text(GMarkupParseContext *context, const char *text, gsize size, gpointer user, GError **error)
{
    Reading *reading = user;
    (void)context;
    (void)error;
    g_string_append_len(reading->text, text, (gssize)size);
}

/* What stands behind the last of a Windows path's separators. */
static char *file_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *backslash = strrchr(path, '\\');
    const char *last = slash > backslash ? slash : backslash;
    return g_strdup(last == NULL ? path : last + 1);
}

/* An IDE controller lies at the top, a SCSI one within an element of its own. */
static void add_drive(GMarkupParseContext *context, Reading *reading)
{
    if (reading->path == NULL || *reading->path == '\0' ||
        (reading->kind != NULL && g_ascii_strcasecmp(reading->kind, "VHD") != 0)) {
        return;
    }
    Drive *drive = g_new0(Drive, 1);
    drive->scsi =
        g_ascii_strncasecmp(outer_name(context, 2), "scsi", 4) == 0 || g_str_has_prefix(outer_name(context, 2), "_");
    drive->drive = g_ascii_strtoull(outer_name(context, 0) + strlen("drive"), NULL, 10);
    drive->controller = g_ascii_strtoull(outer_name(context, 1) + strlen("controller"), NULL, 10);
    drive->file = file_of(reading->path);
    g_ptr_array_add(reading->found, drive);
}

static void on_end(GMarkupParseContext *context, const char *name, gpointer user, GError **error)
{
    Reading *reading = user;
    g_autofree char *text = g_strstrip(g_strdup(reading->text->str));
    (void)error;
    if (strcmp(name, "subtype") == 0 && strcmp(outer_name(context, 1), "properties") == 0) {
        reading->machine->generation = strcmp(text, "0") == 0 ? 1 : strcmp(text, "1") == 0 ? 2 : 0;
    } else if (strcmp(name, "pathname") == 0 && is_drive(context, 1)) {
        g_free(reading->path);
        reading->path = g_steal_pointer(&text);
    } else if (strcmp(name, "type") == 0 && is_drive(context, 1)) {
        g_free(reading->kind);
        reading->kind = g_steal_pointer(&text);
    } else if (is_drive(context, 0)) {
        add_drive(context, reading);
    }
    g_string_truncate(reading->text, 0);
}

static int compare(gconstpointer a, gconstpointer b)
{
    const Drive *first = *(const Drive *const *)a, *second = *(const Drive *const *)b;
    int order = first->scsi - second->scsi;
    order = order != 0 ? order : (first->controller > second->controller) - (first->controller < second->controller);
    return order != 0 ? order : (first->drive > second->drive) - (first->drive < second->drive);
}

Hyperv *hyperv_parse(const char *text, gsize size, const char *name, GError **error)
{
    static const GMarkupParser parser = {.start_element = on_element, .text = on_text, .end_element = on_end};
    g_autoptr(Hyperv) machine = g_new0(Hyperv, 1);
    machine->disks = g_ptr_array_new_with_free_func(g_free);
    g_auto(Reading)
        reading = {.machine = machine, .text = g_string_new(NULL), .found = g_ptr_array_new_with_free_func(drive_free)};
    if (!markup_read(&parser, text, size, name, &reading, error)) {
        return NULL;
    }
    g_ptr_array_sort(reading.found, compare);
    for (guint i = 0; i < reading.found->len; i++) {
        Drive *drive = g_ptr_array_index(reading.found, i);
        g_ptr_array_add(machine->disks, g_steal_pointer(&drive->file));
    }
    return g_steal_pointer(&machine);
}
