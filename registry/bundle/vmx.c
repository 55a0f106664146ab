#include "bundle/vmx.h"

#include <string.h>

void vmx_free(Vmx *vmx)
{
    if (vmx != NULL) {
        g_ptr_array_unref(vmx->disks);
        g_free(vmx);
    }
}

/* "scsi0:0" of "scsi0:0.filename", "nvme0:0" and so on. */
static gboolean is_disk(const char *key, const char *value)
{
    return strchr(key, ':') != NULL && g_str_has_suffix(key, ".filename") && g_str_has_suffix(value, ".vmdk");
}

/* A device that is described but not there says KEY.present = "FALSE". */
static gboolean is_present(GHashTable *values, const char *key)
{
    g_autofree char *present = g_strdup_printf("%.*s.present", (int)(strlen(key) - strlen(".filename")), key);
    const char *value = g_hash_table_lookup(values, present);
    return value == NULL || g_ascii_strcasecmp(value, "FALSE") != 0;
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

static int compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

Vmx *vmx_parse(const char *text, gsize size)
{
    g_autoptr(GHashTable) values = read_values(text, size);
    Vmx *vmx = g_new0(Vmx, 1);
    GHashTableIter iter;
    gpointer key, value;
    vmx->disks = g_ptr_array_new_with_free_func(g_free);
    g_hash_table_iter_init(&iter, values);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if (is_disk(key, value) && is_present(values, key)) {
            g_ptr_array_add(vmx->disks, g_strdup(value));
        }
    }
    g_ptr_array_sort(vmx->disks, compare);
    const char *firmware = g_hash_table_lookup(values, "firmware");
    vmx->uefi = firmware != NULL && g_ascii_strcasecmp(firmware, "efi") == 0;
    return vmx;
}
