#include "recipe/proxy.h"

#include <gio/gio.h>
#include <string.h>

#include "base/secrets.h"

/* What a guest serves to itself is not asked through a proxy. */
#define NEVER "localhost,127.0.0.1,::1"

/* curl ignores HTTP_PROXY, since a web server sets it from a request; most others take either. */
static const char *proxy_setting(const char *name)
{
    g_autofree char *upper = g_ascii_strup(name, -1);
    const char *value = g_getenv(name);
    return value != NULL ? value : g_getenv(upper);
}

static gboolean is_loopback(const char *host)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);
    return g_ascii_strcasecmp(host, "localhost") == 0 || (address != NULL && g_inet_address_get_is_loopback(address));
}

static void register_secrets(const char *userinfo)
{
    const char *colon = strchr(userinfo, ':');
    g_autofree char *password = colon == NULL ? NULL : g_uri_unescape_string(colon + 1, NULL);
    ingot_secrets_register(userinfo);
    if (colon != NULL) {
        ingot_secrets_register(colon + 1);
    }
    if (password != NULL) {
        ingot_secrets_register(password);
    }
}

/* The same proxy as the guest must name it. */
static char *proxy_for_guest(const char *value, const char *host)
{
    g_autofree char *full = strstr(value, "://") != NULL ? g_strdup(value) : g_strconcat("http://", value, NULL);
    g_autoptr(GUri) uri = g_uri_parse(full, G_URI_FLAGS_HAS_PASSWORD | G_URI_FLAGS_ENCODED, NULL);
    if (uri == NULL || g_uri_get_host(uri) == NULL) {
        return g_strdup(value); /* whoever uses it will say what is wrong with it */
    }
    if (g_uri_get_userinfo(uri) != NULL) {
        register_secrets(g_uri_get_userinfo(uri));
    }
    if (!is_loopback(g_uri_get_host(uri))) {
        return g_strdup(value);
    }
    return g_uri_join(G_URI_FLAGS_ENCODED, g_uri_get_scheme(uri), g_uri_get_userinfo(uri), host, g_uri_get_port(uri),
                      g_uri_get_path(uri), NULL, NULL);
}

static void add_pair(GStrvBuilder *pairs, const char *name, const char *value)
{
    g_autofree char *upper = g_ascii_strup(name, -1);
    g_autofree char *lower_pair = g_strconcat(name, "=", value, NULL);
    g_autofree char *upper_pair = g_strconcat(upper, "=", value, NULL);
    g_strv_builder_add_many(pairs, lower_pair, upper_pair, NULL);
}

char **proxy_environment(const Recipe *recipe, const char *host)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "ftp_proxy", "all_proxy"};
    g_autoptr(GStrvBuilder) pairs = g_strv_builder_new();
    gboolean any = FALSE;
    for (guint i = 0; recipe_session(recipe).proxy && i < G_N_ELEMENTS(names); i++) {
        const char *value = proxy_setting(names[i]);
        if (value != NULL && *value != '\0') {
            g_autofree char *proxy = proxy_for_guest(value, host);
            add_pair(pairs, names[i], proxy);
            any = TRUE;
        }
    }
    if (any) {
        const char *without = proxy_setting("no_proxy");
        g_autofree char *list =
            without != NULL && *without != '\0' ? g_strconcat(without, "," NEVER, NULL) : g_strdup(NEVER);
        add_pair(pairs, "no_proxy", list);
    }
    return g_strv_builder_end(pairs);
}

gboolean proxy_has_login(const char *const *environment)
{
    for (; *environment != NULL; environment++) {
        if (strchr(*environment, '@') != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}
