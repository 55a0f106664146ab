#include "server/views/pass.h"

#include <gnutls/gnutls.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/server.h"

#define HASH_DIGITS 32
#define HOUR G_GINT64_CONSTANT(3600) /* seconds */

static gint64 seconds_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static char *write_until(const Request *request, const char *path, gint64 until)
{
    g_autofree char *text = g_strdup_printf("pass %" G_GINT64_FORMAT " %s", until, path);
    g_autofree char *hash = g_compute_hmac_for_string(
        G_CHECKSUM_SHA256, accounts_key(request->server->access->accounts), ACCOUNTS_KEY_SIZE, text, -1);
    return g_strdup_printf("%" G_GINT64_FORMAT ".%.*s", until, HASH_DIGITS, hash);
}

char *pass_write(const Request *request, const char *path)
{
    return write_until(request, path, (seconds_now() / HOUR + 2) * HOUR);
}

gboolean pass_opens(const Request *request)
{
    const char *shown = request_query(request, PASS);
    gint64 until = shown == NULL ? 0 : g_ascii_strtoll(shown, NULL, 10);
    if (shown == NULL || until <= seconds_now()) {
        return FALSE;
    }
    g_autofree char *right = write_until(request, request->path, until);
    return strlen(shown) == strlen(right) && gnutls_memcmp(shown, right, strlen(right)) == 0;
}
