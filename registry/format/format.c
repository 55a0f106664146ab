#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/text.h>

#include "format/all.h"

static const IngotFormat *const formats[] = {
    &format_raw, &format_qcow2, &format_vdi, &format_vhd, &format_vhdx, &format_vmdk, &format_vagrant_libvirt, NULL};

const IngotFormat *const ingot_format_raw = &format_raw, *const ingot_format_qcow2 = &format_qcow2;

const IngotFormat *const *ingot_formats(void)
{
    return formats;
}

const IngotFormat *ingot_format_find(const char *name, GError **error)
{
    const char *names[G_N_ELEMENTS(formats)] = {NULL};
    for (guint i = 0; formats[i] != NULL; i++) {
        if (g_str_equal(formats[i]->name, name)) {
            return formats[i];
        }
        names[i] = formats[i]->name;
    }
    g_autofree char *near = ingot_text_suggestion(name, names), *all = g_strjoinv(", ", (char **)names);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "there is no format '%.100s'%s: %s", name, near, all);
    return NULL;
}

static void file_free(gpointer data)
{
    IngotFormatFile *file = data;
    g_free(file->name);
    ingot_layout_unref(file->layout);
    g_free(file);
}

GPtrArray *ingot_format_files_new(void)
{
    return g_ptr_array_new_with_free_func(file_free);
}

void ingot_format_files_add(GPtrArray *files, const char *name, IngotLayout *layout)
{
    IngotFormatFile *file = g_new0(IngotFormatFile, 1);
    file->name = g_strdup(name);
    file->layout = layout;
    g_ptr_array_add(files, file);
}

gboolean ingot_format_export(const IngotFormat *format, const IngotFormatInput *input, const char *path,
                             IngotProgress *progress, GError **error)
{
    g_autoptr(GPtrArray) files = format->files(input, error);
    if (files == NULL) {
        return FALSE;
    }
    const IngotFormatFile *first = g_ptr_array_index(files, 0);
    return ingot_layout_export(first->layout, input->disk, path, progress, error);
}
