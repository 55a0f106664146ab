#include "remote/hub.h"

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
