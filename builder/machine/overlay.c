#include "machine/overlay.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/process.h"

gboolean overlay_create(const char *path, const char *base, const char *format, guint64 size, GError **error)
{
    g_autofree char *bytes = size == 0 ? NULL : g_strdup_printf("%" G_GUINT64_FORMAT, size);
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", base, path, bytes, NULL};
    return ingot_process_run(argv, NULL, NULL, error);
}

gboolean overlay_empty(const char *path, guint64 size, GError **error)
{
    g_autofree char *bytes = g_strdup_printf("%" G_GUINT64_FORMAT, size);
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", path, bytes, NULL};
    return ingot_process_run(argv, NULL, NULL, error);
}

gboolean overlay_rename_base(const char *path, const char *base, const char *format, GError **error)
{
    const char *const argv[] = {"qemu-img", "rebase", "-u", "-f", "qcow2", "-F", format, "-b", base, path, NULL};
    return ingot_process_run(argv, NULL, NULL, error);
}

static json_t *overlay_info(const char *path, const char *format, GError **error)
{
    const char *const argv[] = {"qemu-img", "info", "--output=json", "--force-share", "-f", format, path, NULL};
    g_autofree char *text = ingot_process_output(argv, error);
    return text == NULL ? NULL : ingot_json_parse(text, strlen(text), path, error);
}

gboolean overlay_base_format(const char *path, char **format, GError **error)
{
    g_autoptr(json_t) info = overlay_info(path, "qcow2", error);
    *format = g_strdup(json_string_value(json_object_get(info, "backing-filename-format")));
    return info != NULL;
}

gboolean overlay_size(const char *path, const char *format, guint64 *size, GError **error)
{
    g_autoptr(json_t) info = overlay_info(path, format, error);
    return info != NULL && ingot_json_get_size(info, "virtual-size", path, size, error);
}
