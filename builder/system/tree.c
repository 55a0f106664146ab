#include "system/tree.h"

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

gboolean system_tree_remove(SystemTree *tree, const char *pattern, GError **error)
{
    return tree->kind->remove(tree, pattern, error);
}

gboolean system_tree_empty(SystemTree *tree, const char *pattern, GError **error)
{
    return tree->kind->empty(tree, pattern, error);
}

gboolean system_tree_exists(SystemTree *tree, const char *path, gboolean *exists, GError **error)
{
    return tree->kind->exists(tree, path, exists, error);
}

char *system_tree_read(SystemTree *tree, const char *path, GError **error)
{
    return tree->kind->read(tree, path, error);
}

gboolean system_tree_write(SystemTree *tree, const char *path, const char *text, guint mode, GError **error)
{
    return tree->kind->write(tree, path, text, mode, error);
}

gboolean system_tree_link(SystemTree *tree, const char *target, const char *path, GError **error)
{
    return tree->kind->link(tree, target, path, error);
}

json_t *system_tree_os(SystemTree *tree, GError **error)
{
    return tree->kind->os(tree, error);
}

json_t *system_tree_packages(SystemTree *tree, GError **error)
{
    return tree->kind->packages(tree, error);
}

gboolean system_tree_trim(SystemTree *tree, GError **error)
{
    return tree->kind->trim(tree, error);
}

gboolean system_tree_close(SystemTree *tree, GError **error)
{
    return tree->kind->close(tree, error);
}
