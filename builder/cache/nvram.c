#include "cache/nvram.h"

#include "base/file.h"

gboolean nvram_keep(const Machine *machine, const NodeDraft *draft, Node *node, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(machine_console(machine));
    g_autofree char *from = g_build_filename(folder, MACHINE_VARIABLES, NULL);
    g_autofree char *to = draft_file(draft, MACHINE_VARIABLES);
    json_object_set_new(node->files, MACHINE_VARIABLES, json_null());
    return ingot_file_copy(from, to, error);
}

gboolean nvram_restore(const Node *node, const char *folder, GError **error)
{
    g_autofree char *from = node_file(node, MACHINE_VARIABLES);
    g_autofree char *to = g_build_filename(folder, MACHINE_VARIABLES, NULL);
    return ingot_file_copy(from, to, error);
}
