#include "server/auth/shown.h"

#include <string.h>

#include "server/auth/tokens.h"

/* The token among those of a text that is ours, else the first. Free it. */
static char *pick_token(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ";", -1);
    for (guint i = 0; parts[i] != NULL; i++) {
        if (token_looks_like(g_strstrip(parts[i]))) {
            return g_strdup(parts[i]);
        }
    }
    return g_strdup(parts[0] == NULL ? "" : g_strstrip(parts[0]));
}

static void read_token(const char *text, Authorization *shown)
{
    g_autofree char *token = pick_token(text), *header = g_strconcat("Bearer ", token, NULL);
    authorization_parse(header, shown);
}

void shown_read(const Request *request, Authorization *shown)
{
    const char *header = request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    const char *atlas = request_header(request, "X-Atlas-Token");
    const char *query = request_query(request, "access_token");
    if (request->match.route == NULL || !request->match.route->vagrant) {
        authorization_parse(header, shown);
    } else if (header != NULL && g_ascii_strncasecmp(header, "Bearer ", strlen("Bearer ")) == 0) {
        read_token(header + strlen("Bearer "), shown);
    } else if (header != NULL || (atlas == NULL && query == NULL)) {
        authorization_parse(header, shown);
    } else {
        read_token(atlas != NULL ? atlas : query, shown);
    }
}
