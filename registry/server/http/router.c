#include "server/http/router.h"

#include <string.h>

#define NAME "{name}"
#define REFERENCE "{reference}"

void route_match_clear(RouteMatch *match)
{
    g_free(match->name);
    g_free(match->reference);
    g_free(match->allow);
    *match = (RouteMatch){0};
}

/* Compares the segments of both from the left until the pattern's {name}, its * or an end. */
static gboolean fits_left(const char **pattern, const char **path)
{
    while (**pattern != '\0' && **pattern != '{' && **pattern != '*') {
        if (**pattern != **path) {
            return FALSE;
        }
        (*pattern)++;
        (*path)++;
    }
    return TRUE;
}

/* What follows {name} is of fixed segments, which are compared from the right: a name may hold the same words. */
static gboolean fits_right(const char *pattern, const char *path, char **name, char **reference)
{
    const char *path_end = path + strlen(path), *slot = strstr(pattern, REFERENCE);
    if (slot != NULL) {
        const char *last = strrchr(path, '/');
        if (last == NULL || last[1] == '\0') {
            return FALSE;
        }
        *reference = g_strdup(last + 1);
        path_end = last + 1;
    }
    gsize literal = slot != NULL ? (gsize)(slot - pattern) : strlen(pattern);
    if ((gsize)(path_end - path) <= literal || memcmp(path_end - literal, pattern, literal) != 0) {
        return FALSE;
    }
    *name = g_strndup(path, (gsize)(path_end - path) - literal);
    return TRUE;
}

gboolean route_fits(const char *pattern, const char *path, char **name, char **reference)
{
    if (!fits_left(&pattern, &path)) {
        return FALSE;
    }
    if (*pattern == '*') {
        *reference = g_strdup(path);
        return TRUE;
    }
    return *pattern == '\0' ? *path == '\0' : fits_right(pattern + strlen(NAME), path, name, reference);
}

/* Whether the list "GET, HEAD" has the method, which is a token and thus holds neither comma nor space. */
static gboolean has_method(const char *methods, const char *method)
{
    gsize length = strlen(method);
    for (const char *at = methods; length > 0 && (at = strstr(at, method)) != NULL; at += length) {
        if ((at == methods || at[-1] == ' ') && (at[length] == '\0' || at[length] == ',')) {
            return TRUE;
        }
    }
    return FALSE;
}

static void add_allowed(RouteMatch *match, const char *methods)
{
    char *before = match->allow;
    match->allow = before == NULL ? g_strdup(methods) : g_strconcat(before, ", ", methods, NULL);
    g_free(before);
}

/* Whether a route's pattern begins with the path's first segment, "/v2". */
static gboolean is_taken(const Route *const *tables, const char *path)
{
    gsize length = 1 + strcspn(path + 1, "/");
    for (guint i = 0; tables[i] != NULL; i++) {
        for (const Route *route = tables[i]; route->pattern != NULL; route++) {
            const char *end = route->pattern + length;
            if (strncmp(route->pattern, path, length) == 0 && (*end == '/' || *end == '\0')) {
                return TRUE;
            }
        }
    }
    return FALSE;
}

/* TRUE: it is this route; else what it would allow is noted. */
static gboolean try_route(const Route *const *tables, const Route *route, const char *method, const char *path,
                          RouteMatch *match)
{
    g_autofree char *name = NULL, *reference = NULL;
    if (route->fallback &&
        (match->allow != NULL || !has_method(route->methods, method) || path[0] != '/' || is_taken(tables, path))) {
        return FALSE;
    }
    if (!route_fits(route->pattern, path, &name, &reference)) {
        return FALSE;
    }
    if (!has_method(route->methods, method)) {
        add_allowed(match, route->methods);
        return FALSE;
    }
    route_match_clear(match);
    *match = (RouteMatch){
        .route = route, .kind = route->kind, .name = g_steal_pointer(&name), .reference = g_steal_pointer(&reference)};
    return TRUE;
}

void router_find(const Route *const *tables, const char *method, const char *path, RouteMatch *match)
{
    for (guint i = 0; tables[i] != NULL; i++) {
        for (const Route *route = tables[i]; route->pattern != NULL; route++) {
            if (try_route(tables, route, method, path, match)) {
                return;
            }
        }
    }
}
