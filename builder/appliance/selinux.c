#include "appliance/selinux.h"

#include <string.h>

#include "appliance/appliance.h"

#define CONFIG "/etc/selinux/config"
#define AUTORELABEL "/.autorelabel"

/* The last line KEY=VALUE, as libselinux reads it. Free it. */
static char *value_of(const char *config, const char *key)
{
    g_auto(GStrv) lines = g_strsplit(config, "\n", -1);
    char *value = NULL;
    for (char **line = lines; *line != NULL; line++) {
        g_strstrip(*line);
        if (g_str_has_prefix(*line, key) && (*line)[strlen(key)] == '=') {
            g_free(value);
            value = g_strstrip(g_strdup(*line + strlen(key) + 1));
        }
    }
    return value;
}

char *selinux_policy(const char *config)
{
    g_autofree char *mode = value_of(config, "SELINUX");
    g_autofree char *policy = value_of(config, "SELINUXTYPE");
    if (mode != NULL && g_ascii_strncasecmp(mode, "disabled", strlen("disabled")) == 0) {
        return NULL;
    }
    return policy == NULL ? g_strdup("targeted") : g_steal_pointer(&policy);
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
