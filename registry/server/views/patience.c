#include "server/views/patience.h"

#include <string.h>

#include "server/http/client.h"
#include "server/server.h"

#define PATIENCE (2 * G_TIME_SPAN_SECOND)
#define COME_AGAIN "3" /* seconds */
#define PREFERENCE "respond-async"

gint64 patience_end(void)
{
    return g_get_monotonic_time() + PATIENCE;
}

static gboolean has_left(gpointer request)
{
    return request_gone(request);
}

WarmAnswer patience_wait(Request *request, const WarmWish *wish, gint64 until, GError **error)
{
    WarmWish of_client = *wish;
    of_client.network = client_network(request);
    return warm_wait(request->server->warm, &of_client, until, has_left, request, error);
}

static gboolean prefers_async(const Request *request)
{
    const char *preferences = request_header(request, "Prefer");
    g_auto(GStrv) each = g_strsplit(preferences == NULL ? "" : preferences, ",", -1);
    gboolean found = FALSE;
    for (guint i = 0; each[i] != NULL; i++) {
        found = found || g_ascii_strcasecmp(g_strstrip(each[i]), PREFERENCE) == 0;
    }
    return found;
}

enum MHD_Result patience_answer(Request *request)
{
    static const char body[] = "{\"errors\":[{\"code\":\"UNAVAILABLE\",\"message\":"
                               "\"the whole disk is being read for this, the first time; ask again\"}]}";
    gboolean async = prefers_async(request);
    return request_answer(request, async ? MHD_HTTP_ACCEPTED : MHD_HTTP_SERVICE_UNAVAILABLE, "application/json", body,
                          strlen(body), "Retry-After", COME_AGAIN, "Cache-Control", "no-store", "Preference-Applied",
                          async ? PREFERENCE : NULL, NULL);
}
