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

gboolean system_tree_wipe(SystemTree *tree, GError **error)
{
    return tree->kind->wipe(tree, error);
}

gboolean system_tree_close(SystemTree *tree, GError **error)
{
    return tree->kind->close(tree, error);
}
