#include "remote/plain.h"

#include <gio/gio.h>
#include <string.h>

#define NONE "none"

/* Without ":80", which is the scheme's own. Free it. */
static char *plain_name(const char *host)
{
    gsize length = strlen(host) - (g_str_has_suffix(host, ":80") ? strlen(":80") : 0);
    return g_ascii_strdown(host, (gssize)length);
}

static gboolean variable_has(const char *word)
{
    const char *text = g_getenv("INGOT_PLAIN_HTTP");
    g_auto(GStrv) words = g_strsplit_set(text == NULL ? "" : text, ", \t\n", -1);
    g_autofree char *wanted = plain_name(word);
    for (guint i = 0; words[i] != NULL; i++) {
        g_autofree char *one = plain_name(words[i]);
        if (*one != '\0' && strcmp(one, wanted) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean http_is_loopback(const char *host)
{
    const char *colon = strrchr(host, ':');
    gboolean has_port = colon != NULL && colon[1] != '\0' && colon[1 + strspn(colon + 1, "0123456789")] == '\0' &&
                        (host[0] != '[' || colon[-1] == ']');
    g_autofree char *name = g_strndup(host, has_port ? (gsize)(colon - host) : strlen(host));
    gsize length = strlen(name);
    if (name[0] == '[' && name[length - 1] == ']') {
        name[length - 1] = '\0';
        g_autoptr(GInetAddress) six = g_inet_address_new_from_string(name + 1);
        return six != NULL && g_inet_address_get_is_loopback(six);
    }
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(name);
    return g_ascii_strcasecmp(name, "localhost") == 0 || (address != NULL && g_inet_address_get_is_loopback(address));
}

gboolean plain_is_named(const char *host)
{
    return strcmp(host, NONE) != 0 && variable_has(host);
}

gboolean plain_is_trusted(const char *host)
{
    return http_is_loopback(host) || plain_is_named(host);
}

gboolean plain_is_asked(const char *host)
{
    return plain_is_named(host) || (http_is_loopback(host) && !variable_has(NONE));
}
