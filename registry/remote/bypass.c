#include "remote/bypass.h"

#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>

#define LOOPBACK "localhost,127.0.0.0/8,::1"

/* An entry of the list: a host or network, and a port (0: any). Free the host. */
static char *entry_split(const char *entry, guint *port)
{
    const char *colon = strrchr(entry, ':');
    const char *bracket = strchr(entry, ']');
    gboolean is_six = entry[0] != '[' && colon != NULL && strchr(entry, ':') != colon;
    gboolean has_port = colon != NULL && !is_six && (bracket == NULL || colon == bracket + 1);
    *port = has_port ? (guint)strtoul(colon + 1, NULL, 10) : 0;
    if (entry[0] == '[' && bracket != NULL) {
        return g_ascii_strdown(entry + 1, (gssize)(bracket - entry - 1));
    }
    return g_ascii_strdown(entry, has_port ? (gssize)(colon - entry) : -1);
}

static gboolean has_address(const char *entry, GInetAddress *address)
{
    g_autoptr(GInetAddressMask) network =
        strchr(entry, '/') == NULL ? NULL : g_inet_address_mask_new_from_string(entry, NULL);
    g_autoptr(GInetAddress) one = g_inet_address_new_from_string(entry);
    return (network != NULL && g_inet_address_mask_matches(network, address)) ||
           (one != NULL && g_inet_address_equal(one, address));
}

static gboolean has_name(const char *entry, const char *host)
{
    const char *suffix = g_str_has_prefix(entry, "*.") ? entry + 1 : entry;
    gboolean is_below = suffix[0] == '.';
    g_autofree char *dotted = is_below ? g_strdup(suffix) : g_strconcat(".", suffix, NULL);
    return g_str_has_suffix(host, dotted) || (!is_below && strcmp(host, suffix) == 0);
}

static gboolean entry_has(const char *entry, const char *host, guint port)
{
    guint only;
    g_autofree char *named = entry_split(entry, &only), *lower = g_ascii_strdown(host, -1);
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(lower);
    if (strcmp(entry, "*") == 0) {
        return TRUE;
    }
    return *named != '\0' && (only == 0 || only == port) &&
           (address != NULL ? has_address(named, address) : has_name(named, lower));
}

gboolean bypass_has(const char *list, const char *host, guint port)
{
    g_auto(GStrv) entries = g_strsplit_set(list == NULL ? "" : list, ", \t\n", -1);
    for (guint i = 0; entries[i] != NULL; i++) {
        if (*entries[i] != '\0' && entry_has(entries[i], host, port)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Whether libcurl reads an entry as Go does, for hosts that are not known yet. */
static gboolean is_common(const char *entry, const char *host)
{
    guint port;
    g_autofree char *named = entry_split(entry, &port);
    return port == 0 && *named != '\0' && strcmp(entry, "*") != 0 &&
           !(named[0] == '.' && host != NULL && g_ascii_strcasecmp(named + 1, host) == 0);
}

char *bypass_for(const char *list, const char *url)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
    const char *host = uri == NULL ? NULL : g_uri_get_host(uri);
    guint port = uri == NULL                                   ? 0
                 : g_uri_get_port(uri) > 0                     ? (guint)g_uri_get_port(uri)
                 : strcmp(g_uri_get_scheme(uri), "https") == 0 ? 443
                                                               : 80;
    g_auto(GStrv) entries = g_strsplit_set(list == NULL ? "" : list, ", \t\n", -1);
    GString *all = g_string_new(LOOPBACK);
    for (guint i = 0; entries[i] != NULL; i++) {
        guint any;
        g_autofree char *named = entry_split(entries[i], &any);
        if (strcmp(entries[i], "*") == 0) {
            g_string_assign(all, "*");
            return g_string_free(all, FALSE);
        }
        if (is_common(entries[i], host)) {
            g_string_append_printf(all, ",%s", g_str_has_prefix(named, "*.") ? named + 1 : named);
        }
    }
    if (host != NULL && bypass_has(list, host, port)) {
        g_string_append_printf(all, ",%s", host);
    }
    return g_string_free(all, FALSE);
}
