#include "system/tree.h"

#include <ingot/error.h>

#include "system/debian.h"
#include "system/treekinds.h"

SystemTree *system_tree_open(const SystemTreeOptions *options, GError **error)
{
    SystemTree *tree = NULL;
    if (!options->appliance && !system_tree_open_inplace(options, &tree, error)) {
        return NULL;
    }
    return tree != NULL ? tree : system_tree_open_guestfs(options, error);
}

void system_tree_free(SystemTree *tree)
{
    if (tree != NULL) {
        tree->kind->free(tree);
    }
}

gboolean system_tree_reaches(SystemTree *tree, const char *path)
{
    return tree->kind->reaches(tree, path);
}

gboolean system_tree_remove(SystemTree *tree, const char *path, GError **error)
{
    return tree->kind->remove(tree, path, error);
}

gboolean system_tree_empty(SystemTree *tree, const char *path, GError **error)
{
    SystemType type;
    return tree->kind->look(tree, path, &type, error) && (type != SYSTEM_PLAIN || tree->kind->empty(tree, path, error));
}

gboolean system_tree_exists(SystemTree *tree, const char *path, gboolean *exists, GError **error)
{
    SystemType type = SYSTEM_NOTHING;
    gboolean ok = tree->kind->look(tree, path, &type, error);
    *exists = type != SYSTEM_NOTHING;
    return ok;
}

gboolean system_tree_read(SystemTree *tree, const char *path, gsize limit, char **text, GError **error)
{
    SystemType type;
    guint64 size;
    *text = NULL;
    if (!tree->kind->follow(tree, path, &type, &size, error)) {
        return FALSE;
    }
    if (type != SYSTEM_PLAIN) {
        return TRUE;
    }
    if (size > limit) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a file of %" G_GUINT64_FORMAT " bytes, where at most %" G_GSIZE_FORMAT " are read", path, size,
                    limit);
        return FALSE;
    }
    *text = tree->kind->read(tree, path, error);
    return *text != NULL;
}

gboolean system_tree_write(SystemTree *tree, const char *path, const char *text, guint mode, GError **error)
{
    SystemType own, target;
    guint64 size;
    if (!tree->kind->look(tree, path, &own, error) || !tree->kind->follow(tree, path, &target, &size, error)) {
        return FALSE;
    }
    if (own != SYSTEM_NOTHING && target != SYSTEM_PLAIN) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: cannot write: this is not a regular file", path);
        return FALSE;
    }
    return tree->kind->write(tree, path, text, mode, error);
}

gboolean system_tree_link(SystemTree *tree, const char *target, const char *path, GError **error)
{
    return tree->kind->link(tree, target, path, error);
}

/* The same words by both ways, so that an image's config does not depend on which of them wrote it. */
json_t *system_tree_os(SystemTree *tree, GError **error)
{
    g_autofree char *release = NULL, *debian = NULL;
    if (!system_tree_read(tree, "/etc/os-release", SYSTEM_TEXT_MAX, &release, error) ||
        !system_tree_read(tree, "/etc/debian_version", SYSTEM_TEXT_MAX, &debian, error)) {
        return NULL;
    }
    return release == NULL ? tree->kind->os(tree, error) : debian_os(release, debian);
}

json_t *system_tree_packages(SystemTree *tree, GError **error)
{
    return tree->kind->packages(tree, error);
}

gboolean system_tree_wipe(SystemTree *tree, GError **error)
{
    return tree->kind->wipe(tree, error);
}

gboolean system_tree_close(SystemTree *tree, GError **error)
{
    return tree->kind->close(tree, error);
}
