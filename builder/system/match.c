/* glob(7) patterns over any kind of tree, so that they mean the same on all of them. */
#include <fnmatch.h>
#include <ingot/error.h>
#include <string.h>

#include "system/treekinds.h"

/* The pattern's names; NULL for a pattern that climbs. */
static GPtrArray *match_parts(const char *pattern, GError **error)
{
    g_auto(GStrv) words = g_strsplit(pattern, "/", -1);
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(g_free);
    for (char **word = words; *word != NULL; word++) {
        if (strcmp(*word, "..") == 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: '..' has no place in a pattern", pattern);
            return NULL;
        }
        if (**word != '\0' && strcmp(*word, ".") != 0) {
            g_ptr_array_add(parts, g_strdup(*word));
        }
    }
    return g_steal_pointer(&parts);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static gboolean match_from(SystemTree *tree, const char *folder, const GPtrArray *parts, guint at, GPtrArray *found,
                           GError **error);

static gboolean match_name(SystemTree *tree, const char *folder, const char *name, const GPtrArray *parts, guint at,
                           GPtrArray *found, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s", folder, name);
    if (at + 1 < parts->len) {
        return match_from(tree, path, parts, at + 1, found, error);
    }
    SystemType type;
    if (!tree->kind->look(tree, path, &type, error)) {
        return FALSE;
    }
    if (type != SYSTEM_NOTHING) {
        g_ptr_array_add(found, g_steal_pointer(&path));
    }
    return TRUE;
}

static gboolean match_from(SystemTree *tree, const char *folder, const GPtrArray *parts, guint at, GPtrArray *found,
                           GError **error)
{
    const char *part = g_ptr_array_index(parts, at);
    if (strpbrk(part, "*?[\\") == NULL) {
        return match_name(tree, folder, part, parts, at, found, error);
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    if (!tree->kind->list(tree, *folder == '\0' ? "/" : folder, names, error)) {
        return FALSE;
    }
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        if (fnmatch(part, name, FNM_PERIOD) == 0 && !match_name(tree, folder, name, parts, at, found, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

GPtrArray *system_tree_match(SystemTree *tree, const char *pattern, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) parts = match_parts(pattern, error);
    if (parts == NULL || (parts->len > 0 && !match_from(tree, "", parts, 0, found, error))) {
        return NULL;
    }
    return g_steal_pointer(&found);
}
