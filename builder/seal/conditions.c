#include "seal/conditions.h"

#include <string.h>

/* A unit of /etc that is empty, or a link to /dev/null: its file has no text. */
static gboolean is_masked(SystemTree *tree, const char *unit, gboolean *masked, GError **error)
{
    g_autofree char *path = g_strconcat("/etc/systemd/system/", unit, NULL);
    g_autofree char *text = NULL;
    gboolean there;
    if (!system_tree_exists(tree, path, &there, error) ||
        (there && !system_tree_read(tree, path, SYSTEM_TEXT_MAX, &text, error))) {
        return FALSE;
    }
    *masked = there && (text == NULL || *text == '\0');
    return TRUE;
}

static gboolean cloud_init_runs(SystemTree *tree, gboolean *runs, GError **error)
{
    /* One of them masked, and there is no network of cloud-init's making: cloud-init-main is what newer ones have. */
    static const char *const units[] = {"cloud-init.target", "cloud-init-local.service", "cloud-init-main.service"};
    static const char *const programs[] = {"/usr/bin/cloud-init", "/usr/local/bin/cloud-init"};
    gboolean there = FALSE, off;
    for (guint i = 0; i < G_N_ELEMENTS(programs) && !there; i++) {
        if (!system_tree_exists(tree, programs[i], &there, error)) {
            return FALSE;
        }
    }
    if (!system_tree_exists(tree, "/etc/cloud/cloud-init.disabled", &off, error)) {
        return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(units) && !off; i++) {
        if (!is_masked(tree, units[i], &off, error)) {
            return FALSE;
        }
    }
    *runs = there && !off;
    return TRUE;
}

gboolean condition_cloud_init(SystemTree *tree, gboolean *applies, GError **error)
{
    /* What the build's seed is called (machine/entry.h). */
    g_autoptr(GPtrArray) builds = system_tree_match(tree, "/var/lib/cloud/instances/ingot-build-*", error);
    if (builds == NULL || !cloud_init_runs(tree, applies, error)) {
        return FALSE;
    }
    *applies = *applies || builds->len > 0;
    return TRUE;
}

gboolean condition_forbids_network(const char *text)
{
    return g_regex_match_simple("^network:\\s*(\\{\\s*|(#.*)?\\n\\s+)[\"']?config[\"']?:\\s*[\"']?disabled\\b", text,
                                G_REGEX_MULTILINE, 0);
}

gboolean condition_cloud_network(SystemTree *tree, gboolean *applies, GError **error)
{
    g_autoptr(GPtrArray) files = system_tree_match(tree, "/etc/cloud/cloud.cfg.d/*.cfg", error);
    if (files == NULL || !condition_cloud_init(tree, applies, error)) {
        return FALSE;
    }
    g_ptr_array_add(files, g_strdup("/etc/cloud/cloud.cfg"));
    for (guint i = 0; i < files->len && *applies; i++) {
        g_autofree char *text = NULL;
        if (!system_tree_read(tree, g_ptr_array_index(files, i), SYSTEM_TEXT_MAX, &text, error)) {
            return FALSE;
        }
        *applies = text == NULL || !condition_forbids_network(text);
    }
    return TRUE;
}

/* The name servers of QEMU's user network. */
static gboolean is_qemus(const char *address)
{
    return strcmp(address, "10.0.2.3") == 0 || strcmp(address, "fec0::3") == 0;
}

gboolean condition_is_builds_resolver(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    guint servers = 0;
    for (char **line = lines; *line != NULL; line++) {
        g_auto(GStrv) words = g_strsplit_set(g_strstrip(g_strdelimit(*line, "\t", ' ')), " %", -1);
        if (words[0] == NULL || **line == '#' || **line == ';' || strcmp(words[0], "search") == 0 ||
            strcmp(words[0], "domain") == 0) {
            continue;
        }
        if (strcmp(words[0], "nameserver") != 0 || words[1] == NULL || !is_qemus(words[1])) {
            return FALSE;
        }
        servers++;
    }
    return servers > 0;
}

gboolean condition_resolver(SystemTree *tree, gboolean *applies, GError **error)
{
    g_autofree char *text = NULL;
    if (!system_tree_read(tree, "/etc/resolv.conf", SYSTEM_TEXT_MAX, &text, error)) {
        return FALSE;
    }
    *applies = text != NULL && condition_is_builds_resolver(text);
    return TRUE;
}
