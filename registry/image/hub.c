#include "image/hub.h"

#include <string.h>

const char *const hub_names[] = {HUB_HOST, "index.docker.io", "registry-1.docker.io", NULL};

gboolean hub_is(const char *host)
{
    for (guint i = 0; hub_names[i] != NULL; i++) {
        if (g_ascii_strcasecmp(host, hub_names[i]) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

char *hub_path(const char *name)
{
    return strchr(name, '/') == NULL ? g_strconcat("library/", name, NULL) : g_strdup(name);
}

char *hub_local_name(const char *name)
{
    const char *slash = strchr(name, '/');
    g_autofree char *host = slash == NULL ? NULL : g_strndup(name, (gsize)(slash - name));
    if (host == NULL || !hub_is(host)) {
        return g_strdup(name);
    }
    g_autofree char *path = hub_path(slash + 1);
    return g_strdup_printf("%s/%s", HUB_HOST, path);
}
