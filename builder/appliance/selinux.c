#include "appliance/selinux.h"

#include <string.h>

#include "appliance/appliance.h"

#define CONFIG "/etc/selinux/config"
#define AUTORELABEL "/.autorelabel"

/* The mode is told by the first line that begins with SELINUX= and one of these words. */
static gboolean is_disabled(char **lines)
{
    static const char *const modes[] = {"enforcing", "permissive", "disabled"};
    for (char **line = lines; *line != NULL; line++) {
        const char *value = g_str_has_prefix(*line, "SELINUX=") ? *line + strlen("SELINUX=") : NULL;
        for (guint i = 0; value != NULL && i < G_N_ELEMENTS(modes); i++) {
            if (g_ascii_strncasecmp(value, modes[i], strlen(modes[i])) == 0) {
                return strcmp(modes[i], "disabled") == 0;
            }
        }
    }
    return FALSE;
}

char *selinux_policy(const char *config)
{
    g_auto(GStrv) lines = g_strsplit(config, "\n", -1);
    const char *policy = "targeted";
    if (is_disabled(lines)) {
        return NULL;
    }
    /* Here the last line counts, and blanks before it do not. */
    for (char **line = lines; *line != NULL; line++) {
        if (g_str_has_prefix(g_strstrip(*line), "SELINUXTYPE=")) {
            policy = g_strchug(*line + strlen("SELINUXTYPE="));
        }
    }
    return g_strdup(policy);
}

/* *policy: NULL where the system has none. */
static gboolean find_policy(guestfs_h *g, char **policy, GError **error)
{
    int is_file = guestfs_is_file_opts(g, CONFIG, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1, -1);
    g_autofree char *text = is_file == 1 ? guestfs_cat(g, CONFIG) : NULL;
    *policy = text == NULL ? NULL : selinux_policy(text);
    return is_file == 0 || text != NULL || appliance_failed(g, CONFIG, error);
}

static gboolean relabel(guestfs_h *g, const char *policy, const char *path, int force)
{
    static const char *const features[] = {"selinuxrelabel", NULL};
    g_autofree char *contexts = g_strdup_printf("/etc/selinux/%s/contexts/files/file_contexts", policy);
    return guestfs_feature_available(g, (char *const *)features) == 1 && guestfs_is_file(g, contexts) == 1 &&
           guestfs_selinux_relabel(g, contexts, path, GUESTFS_SELINUX_RELABEL_FORCE, force, -1) == 0;
}

/* force: also the user and the role of a label that is there, and types that were chosen on purpose. */
static gboolean label(guestfs_h *g, const char *path, int force, GError **error)
{
    g_autofree char *policy = NULL;
    if (!find_policy(g, &policy, error)) {
        return FALSE;
    }
    return policy == NULL || relabel(g, policy, path, force) || guestfs_touch(g, AUTORELABEL) == 0 ||
           appliance_failed(g, AUTORELABEL, error);
}

gboolean selinux_label(guestfs_h *g, const char *path, GError **error)
{
    return label(g, path, 1, error);
}

gboolean selinux_label_all(guestfs_h *g, GError **error)
{
    return label(g, "/", 0, error);
}
