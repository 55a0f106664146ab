/* Routes and origins: each line of the input is a path, a Host and an address that a proxy shows. */
#include <netinet/in.h>
#include <string.h>

#include "fuzz.h"
#include "server/http/origin.h"
#include "server/http/router.h"
#include "server/oci/api.h"

static const Route others[] = {{.methods = "GET", .pattern = "/formats/*", .name = "formats"},
                               {.methods = "GET", .pattern = "/v2", .name = "v2"},
                               {0}};
static const Route *const tables[] = {api_routes, others, NULL};

/* The path again, from the pattern and its parts: a path is a route's in one way only. */
static char *write_path(const RouteMatch *match)
{
    GString *text = g_string_new(match->route->pattern);
    if (match->name != NULL) {
        g_string_replace(text, "{name}", match->name, 1);
    }
    char *last = strrchr(text->str, '{'), *star = strrchr(text->str, '*');
    if (match->reference != NULL && g_str_has_suffix(match->route->pattern, "{reference}")) {
        g_string_truncate(text, (gsize)(last - text->str));
        g_string_append(text, match->reference);
    } else if (match->reference != NULL) {
        g_string_truncate(text, (gsize)(star - text->str));
        g_string_append(text, match->reference);
    }
    return g_string_free(text, FALSE);
}

static void try_path(const char *path)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "BREW"};
    for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
        g_auto(RouteMatch) match = {0};
        router_find(tables, methods[i], path, &match);
        if (match.route == NULL) {
            g_assert(match.name == NULL && match.reference == NULL);
            continue;
        }
        g_assert(match.allow == NULL && strstr(match.route->methods, methods[i]) != NULL);
        g_assert(match.name == NULL || *match.name != '\0');
        if (g_str_has_suffix(match.route->pattern, "{reference}")) {
            g_assert(*match.reference != '\0' && strchr(match.reference, '/') == NULL);
        }
        if (match.name == NULL || strpbrk(match.name, "{*") == NULL) {
            g_autofree char *again = write_path(&match);
            g_assert(strcmp(again, path) == 0);
        }
    }
}

static void try_origin(const char *text)
{
    struct sockaddr_storage address;
    g_assert(!origin_is_host(text) || strpbrk(text, "\" ,/\r\n\\") == NULL);
    origin_is_loopback_host(text);
    if (origin_parse_address(text, &address)) {
        g_assert(address.ss_family == AF_INET || address.ss_family == AF_INET6);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        try_path(lines[i]);
        try_origin(lines[i]);
    }
    return 0;
}
