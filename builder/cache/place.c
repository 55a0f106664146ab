#include "cache/place.h"

#include <string.h>
#include <sys/stat.h>

char *place_cache(const char *node_folder)
{
    g_autofree char *nodes = g_path_get_dirname(node_folder);
    return g_path_get_dirname(nodes);
}

/* NULL: it lies outside. */
static const char *place_within(const char *cache, const char *path)
{
    gsize length = strlen(cache);
    return strncmp(path, cache, length) == 0 && path[length] == '/' ? path + length + 1 : NULL;
}

char *place_tell(const char *cache, const char *path)
{
    const char *within = place_within(cache, path);
    return g_strdup(within == NULL ? path : within);
}

char *place_find(const char *cache, const char *told)
{
    return g_path_is_absolute(told) ? g_strdup(told) : g_build_filename(cache, told, NULL);
}

/* Where a folder on the way is a symbolic link, ".." leads elsewhere. */
static gboolean place_is(const char *file, const char *relative, const char *path)
{
    g_autofree char *folder = g_path_get_dirname(file);
    g_autofree char *found = g_build_filename(folder, relative, NULL);
    struct stat one, other;
    return stat(found, &one) == 0 && stat(path, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

char *place_beneath(const char *cache, const char *file, const char *below)
{
    const char *from = place_within(cache, file), *to = place_within(cache, below);
    if (from == NULL || to == NULL) {
        return g_strdup(below);
    }
    g_autoptr(GString) relative = g_string_new(NULL);
    for (const char *part = strchr(from, '/'); part != NULL; part = strchr(part + 1, '/')) {
        g_string_append(relative, "../");
    }
    g_string_append(relative, to);
    return place_is(file, relative->str, below) ? g_strdup(relative->str) : g_strdup(below);
}
