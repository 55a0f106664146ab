#include "server/views/pass.h"

#include <string.h>

#include "server/auth/access.h"
#include "server/auth/seal.h"
#include "server/server.h"

#define HOUR G_GINT64_CONSTANT(3600) /* seconds */

static gint64 seconds_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static char *pass_text(const char *path, gint64 until)
{
    return g_strdup_printf("pass %" G_GINT64_FORMAT " %s", until, path);
}

char *pass_write(const Request *request, const char *path)
{
    gint64 until = (seconds_now() / HOUR + 2) * HOUR;
    g_autofree char *text = pass_text(path, until), *seal = seal_of(request->server->access->accounts, text);
    return g_strdup_printf("%" G_GINT64_FORMAT ".%s", until, seal);
}

gboolean pass_opens(const Request *request)
{
    const char *shown = request_query(request, PASS), *dot = shown == NULL ? NULL : strchr(shown, '.');
    g_autofree char *number = dot == NULL ? NULL : g_strndup(shown, (gsize)(dot - shown));
    gint64 until;
    if (number == NULL || !g_ascii_string_to_signed(number, 10, 1, G_MAXINT64, &until, NULL) ||
        until <= seconds_now()) {
        return FALSE;
    }
    g_autofree char *text = pass_text(request->path, until);
    return seal_opens(request->server->access->accounts, text, dot + 1);
}
