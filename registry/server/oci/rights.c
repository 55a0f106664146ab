#include "server/oci/rights.h"

#include <ingot/reference.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/auth/challenge.h"
#include "server/server.h"
#include "server/storage/channels.h"

/* What moves or removes a tag. While the name's pipeline is not in memory, as the loop has it, either is enough to
 * begin with: manifests.c asks again. */
static guint rights_for_tag(const Request *request, const ApiRoute *route, guint channel, guint other)
{
    g_autoptr(Pipeline) pipeline = storage_recall_pipeline(request->server->storage, route->name);
    return pipeline == NULL ? channel | other : pipeline_channel(pipeline, route->reference) != NULL ? channel : other;
}

guint rights_needed(const Request *request, const ApiRoute *route)
{
    gboolean reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (route->kind == API_UPLOADS || route->kind == API_UPLOAD) {
        return ACCESS_PUSH;
    }
    if (reads || (route->kind == API_BLOB && strcmp(request->method, "POST") == 0)) { /* POST: a list of ranges */
        return ACCESS_PULL;
    }
    if (strcmp(request->method, "DELETE") == 0) {
        return route->kind == API_MANIFEST && strchr(route->reference, ':') == NULL
                   ? rights_for_tag(request, route, ACCESS_PROMOTE, ACCESS_DELETE)
                   : ACCESS_DELETE;
    }
    if (route->kind != API_MANIFEST || strchr(route->reference, ':') != NULL) {
        return ACCESS_PUSH;
    }
    return rights_for_tag(request, route, ACCESS_PROMOTE, ACCESS_PUSH | ACCESS_PROMOTE);
}

/* The path's name may be any text here, and goes into a header. */
char *rights_scope(const Request *request, const ApiRoute *route)
{
    if (route->kind == API_CATALOG) {
        return challenge_scope(NULL, ACCESS_PULL);
    }
    if (route->name == NULL || !ingot_name_check(route->name, NULL)) {
        return NULL;
    }
    g_autofree char *own = challenge_scope(route->name, rights_needed(request, route));
    const char *from =
        route->kind != API_UPLOADS || request_query(request, "mount") == NULL ? NULL : request_query(request, "from");
    if (from == NULL || !ingot_name_check(from, NULL)) {
        return g_steal_pointer(&own);
    }
    g_autofree char *other = challenge_scope(from, ACCESS_PULL);
    return g_strdup_printf("%s %s", own, other);
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
