/* What can be read from the tree's archive without unpacking it. */
#include <ingot/error.h>
#include <string.h>

#include "source/tar.h"
#include "source/tree.h"

#define FACT_MAX (64u << 20) /* dpkg's status of a thousand packages is 2 MB */

/* dpkg's status: paragraphs of "Field: value", folded lines start with a space. */
static json_t *installed_packages(const char *status)
{
    json_t *packages = json_array();
    g_auto(GStrv) paragraphs = g_strsplit(status, "\n\n", -1);
    for (char **paragraph = paragraphs; *paragraph != NULL; paragraph++) {
        g_auto(GStrv) lines = g_strsplit(*paragraph, "\n", -1);
        const char *name = NULL, *version = NULL, *architecture = NULL;
        gboolean installed = FALSE;
        for (char **line = lines; *line != NULL; line++) {
            if (g_str_has_prefix(*line, "Package: ")) {
                name = *line + strlen("Package: ");
            } else if (g_str_has_prefix(*line, "Version: ")) {
                version = *line + strlen("Version: ");
            } else if (g_str_has_prefix(*line, "Architecture: ")) {
                architecture = *line + strlen("Architecture: ");
            } else if (g_str_has_prefix(*line, "Status: ")) {
                installed = g_str_has_suffix(*line, " installed");
            }
        }
        if (installed && name != NULL && version != NULL && architecture != NULL) {
            json_array_append_new(
                packages, json_pack("{ssssss}", "name", name, "version", version, "architecture", architecture));
        }
    }
    return packages;
}

static char *os_field(char **lines, const char *field)
{
    for (char **line = lines; *line != NULL; line++) {
        const char *value = g_str_has_prefix(*line, field) ? *line + strlen(field) : NULL;
        if (value != NULL && *value == '=') {
            return g_shell_unquote(value + 1, NULL);
        }
    }
    return NULL;
}

static json_t *operating_system(const char *os_release)
{
    g_auto(GStrv) lines = g_strsplit(os_release, "\n", -1);
    g_autofree char *id = os_field(lines, "ID");
    g_autofree char *version = os_field(lines, "VERSION_ID");
    g_autofree char *name = os_field(lines, "PRETTY_NAME");
    json_t *os = json_object();
    ingot_json_set_string(os, "id", id);
    ingot_json_set_string(os, "version", version);
    ingot_json_set_string(os, "name", name);
    return os;
}

/* What a tree must have to become a machine, and which package brings it. */
static const char *const needed[][2] = {
    {"vmlinuz", "a linux-image package"},
    {"initrd.img", "initramfs-tools"},
    {"usr/sbin/sshd", "openssh-server"},
    {"lib/systemd/systemd", "systemd-sysv"},
    {"lib/systemd/systemd-resolved", "systemd-resolved"},
};

static gboolean check_needed(GHashTable *seen, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(needed); i++) {
        g_autofree char *merged = g_strconcat("usr/", needed[i][0], NULL); /* /lib may be a link to /usr/lib */
        if (!g_hash_table_contains(seen, needed[i][0]) && !g_hash_table_contains(seen, merged)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "the bootstrapped tree has no /%s: add %s to source.bootstrap.packages", needed[i][0],
                        needed[i][1]);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean tree_facts(const char *path, TreeFacts *facts, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *status = NULL;
    g_autofree char *os_release = NULL;
    g_autoptr(TarReader) tar = tar_open(path, error);
    if (tar == NULL) {
        return FALSE;
    }
    while (tar_next(tar, error)) {
        char **text = strcmp(tar->path, "var/lib/dpkg/status") == 0  ? &status
                      : strcmp(tar->path, "usr/lib/os-release") == 0 ? &os_release
                                                                     : NULL;
        if (text != NULL && *text == NULL && (*text = tar_text(tar, FACT_MAX, error)) == NULL) {
            return FALSE;
        }
        g_hash_table_add(seen, g_strdup(tar->path));
    }
    if (!tar->ended || !check_needed(seen, error)) {
        return FALSE;
    }
    if (status == NULL || os_release == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: no dpkg status or no os-release in it", path);
        return FALSE;
    }
    facts->os = operating_system(os_release);
    facts->packages = installed_packages(status);
    return TRUE;
}
