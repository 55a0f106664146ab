#include "seal/seal.h"

#include <string.h>

#include "seal/rules.h"
#include "system/firstboot.h"
#include "system/tree.h"

void seal_report_clear(SealReport *report)
{
    g_clear_pointer(&report->os, json_decref);
    g_clear_pointer(&report->packages, json_decref);
}

typedef gboolean (*Act)(SystemTree *tree, const char *pattern, GError **error);

static gboolean apply(SystemTree *tree, const char *const *patterns, Act act, GError **error)
{
    for (guint i = 0; patterns != NULL && patterns[i] != NULL; i++) {
        if (!act(tree, patterns[i], error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean clean(SystemTree *tree, const json_t *rules, GError **error)
{
    const json_t *keep = json_object_get(rules, "keep");
    for (const SealRule *rule = seal_rules; rule->name != NULL; rule++) {
        if (!ingot_json_has_text(keep, rule->name) && (!apply(tree, rule->remove, system_tree_remove, error) ||
                                                       !apply(tree, rule->truncate, system_tree_empty, error))) {
            return FALSE;
        }
    }
    const json_t *more = json_object_get(rules, "remove");
    for (size_t i = 0; i < json_array_size(more); i++) {
        if (!system_tree_remove(tree, json_string_value(json_array_get(more, i)), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean remove_key(SystemTree *tree, const char *path, const char *comment, GError **error)
{
    gboolean exists;
    if (!system_tree_exists(tree, path, &exists, error) || !exists) {
        return !exists;
    }
    g_autofree char *text = system_tree_read(tree, path, error);
    if (text == NULL) {
        return FALSE;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GString) rest = g_string_new(NULL);
    for (char **line = lines; *line != NULL; line++) {
        if (**line != '\0' && strstr(*line, comment) == NULL) {
            g_string_append_printf(rest, "%s\n", *line);
        }
    }
    return rest->len == 0 ? system_tree_remove(tree, path, error)
                          : system_tree_write(tree, path, rest->str, 0644, error);
}

static SystemTree *open_tree(const SealOptions *options, GError **error)
{
    SystemTreeOptions opened = {
        .disk = options->disk,
        .format = options->format,
        .workdir = options->workdir,
        .cache = options->cache,
        .appliance = options->appliance,
        .needs_dpkg = TRUE,
    };
    return system_tree_open(&opened, error);
}

gboolean seal_disk(const SealOptions *options, SealReport *report, GError **error)
{
    g_autoptr(SystemTree) tree = open_tree(options, error);
    if (tree == NULL || (report->os = system_tree_os(tree, error)) == NULL ||
        (report->packages = system_tree_packages(tree, error)) == NULL) {
        return FALSE;
    }
    return clean(tree, options->rules, error) &&
           remove_key(tree, "/root/.ssh/authorized_keys", options->key_comment, error) &&
           remove_key(tree, "/root/.ssh/authorized_keys2", options->key_comment, error) &&
           firstboot_install_host_keys(tree, error) && system_tree_trim(tree, error) && system_tree_close(tree, error);
}
