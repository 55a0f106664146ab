/* What can be read from the tree's archive without unpacking it. */
#include <ingot/error.h>
#include <string.h>

#include "source/tar.h"
#include "source/tree.h"
#include "system/debian.h"

#define FACT_MAX (64u << 20) /* dpkg's status of a thousand packages is 2 MB */

/* What a tree must have to become a machine, and which package brings it. */
static const char *const needed[][2] = {
    {"vmlinuz", "a linux-image package"},
    {"initrd.img", "initramfs-tools"},
    {"usr/sbin/sshd", "openssh-server"},
    {"lib/systemd/systemd", "systemd-sysv"},
    {"lib/systemd/systemd-resolved", "systemd-resolved"},
    {"bin/systemd-repart", "systemd-repart"},
};

static gboolean facts_check_needed(GHashTable *seen, GError **error)
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

void tree_facts_clear(TreeFacts *facts)
{
    g_clear_pointer(&facts->os, json_decref);
    g_clear_pointer(&facts->packages, json_decref);
}

gboolean tree_facts(const char *path, TreeFacts *facts, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *status = NULL;
    g_autofree char *os_release = NULL;
    g_autofree char *debian_version = NULL;
    g_autoptr(TarReader) tar = tar_open(path, error);
    if (tar == NULL) {
        return FALSE;
    }
    while (tar_next(tar, error)) {
        char **text = strcmp(tar->path, "var/lib/dpkg/status") == 0  ? &status
                      : strcmp(tar->path, "usr/lib/os-release") == 0 ? &os_release
                      : strcmp(tar->path, "etc/debian_version") == 0 ? &debian_version
                                                                     : NULL;
        if (text != NULL && *text == NULL && (*text = tar_text(tar, FACT_MAX, error)) == NULL) {
            return FALSE;
        }
        g_hash_table_add(seen, g_strdup(tar->path));
    }
    if (!tar->ended || !facts_check_needed(seen, error)) {
        return FALSE;
    }
    if (status == NULL || os_release == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: no dpkg status or no os-release in it", path);
        return FALSE;
    }
    facts->os = debian_os(os_release, debian_version);
    facts->packages = debian_packages(status);
    return TRUE;
}
