#include "appliance/fstab.h"

#include <string.h>

static void fstab_entry_free(gpointer data)
{
    FstabEntry *entry = data;
    g_free(entry->what);
    g_free(entry->where);
    g_free(entry->type);
    g_free(entry->options);
    g_free(entry);
}

/* Blanks are written as \040 (octal) in it. */
static char *fstab_field(const char *text)
{
    char *field = g_strcompress(text);
    for (gsize length = strlen(field); length > 1 && field[length - 1] == '/'; length--) {
        field[length - 1] = '\0';
    }
    return field;
}

GPtrArray *fstab_parse(const char *text)
{
    GPtrArray *entries = g_ptr_array_new_with_free_func(fstab_entry_free);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        g_auto(GStrv) words = g_strsplit_set(g_strstrip(*line), " \t", -1);
        const char *fields[4] = {NULL, NULL, NULL, NULL};
        guint count = 0;
        for (char **word = words; *word != NULL && count < G_N_ELEMENTS(fields); word++) {
            if (**word != '\0') {
                fields[count++] = *word;
            }
        }
        if (count >= 3 && fields[0][0] != '#') {
            FstabEntry *entry = g_new0(FstabEntry, 1);
            entry->what = fstab_field(fields[0]);
            entry->where = fstab_field(fields[1]);
            entry->type = g_strdup(fields[2]);
            entry->options = g_strdup(count > 3 ? fields[3] : "");
            g_ptr_array_add(entries, entry);
        }
    }
    return entries;
}

gboolean fstab_has_option(const FstabEntry *entry, const char *option)
{
    g_auto(GStrv) options = g_strsplit(entry->options, ",", -1);
    return g_strv_contains((const char *const *)options, option);
}

GPtrArray *fstab_swap_files(const GPtrArray *entries)
{
    static const char *const usual[] = {"/swapfile", "/swap.img", "/swap/swapfile", "/var/swap", "/var/swapfile"};
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < G_N_ELEMENTS(usual); i++) {
        g_ptr_array_add(paths, g_strdup(usual[i]));
    }
    for (guint i = 0; i < entries->len; i++) {
        const FstabEntry *entry = g_ptr_array_index(entries, i);
        if (strcmp(entry->type, "swap") == 0 && entry->what[0] == '/' && !g_str_has_prefix(entry->what, "/dev/")) {
            g_ptr_array_add(paths, g_strdup(entry->what));
        }
    }
    return paths;
}
