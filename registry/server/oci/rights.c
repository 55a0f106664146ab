#include "server/oci/rights.h"

#include <string.h>

#include "server/auth/access.h"

static gboolean is_channel(const char *tag)
{
    static const char *const channels[] = {"dev", "test", "prod", NULL};
    return g_strv_contains(channels, tag);
}

guint rights_needed(const Request *request, const ApiRoute *route)
{
    gboolean reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (route->kind == API_UPLOADS || route->kind == API_UPLOAD) {
        return ACCESS_PUSH;
    }
    if (reads) {
        return ACCESS_PULL;
    }
    if (strcmp(request->method, "DELETE") == 0) {
        return ACCESS_DELETE;
    }
    if (route->kind != API_MANIFEST || strchr(route->reference, ':') != NULL) {
        return ACCESS_PUSH;
    }
    return is_channel(route->reference) ? ACCESS_PROMOTE : ACCESS_PUSH | ACCESS_PROMOTE;
}

gboolean rights_check(Request *request, const ApiRoute *route, enum MHD_Result *result)
{
    guint needed = 0;
    gboolean may;
    switch (route->kind) {
    case API_TOKEN: /* issue.c sees to that */
        return TRUE;
    case API_ROOT:
        may = access_is_known(request);
        break;
    case API_CATALOG:
        may = access_may_list(request);
        needed = ACCESS_PULL;
        break;
    default:
        needed = rights_needed(request, route);
        may = (access_rights(request, route->name) & needed) != 0;
        break;
    }
    if (!may) {
        *result = access_refuse(request, route->name, needed);
    }
    return may;
}
