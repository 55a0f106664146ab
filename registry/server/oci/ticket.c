#include "server/oci/ticket.h"

#include <gnutls/gnutls.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/server.h"

#define HASH_DIGITS 32

/* No name and no id has a space. */
static char *hash_of(const Request *request, const char *name, const char *id)
{
    g_autofree char *text = g_strdup_printf("upload %s %s", name, id);
    g_autofree char *hash = g_compute_hmac_for_string(
        G_CHECKSUM_SHA256, accounts_key(request->server->access->accounts), ACCOUNTS_KEY_SIZE, text, -1);
    return g_strndup(hash, HASH_DIGITS);
}

char *ticket_write(const Request *request, const char *name, const char *id)
{
    g_autofree char *hash = hash_of(request, name, id);
    return g_strdup_printf("%s.%s", id, hash);
}

char *ticket_read(const Request *request, const char *name, const char *ticket)
{
    const char *dot = strchr(ticket, '.');
    if (dot == NULL || strlen(dot + 1) != HASH_DIGITS) {
        return g_strdup("");
    }
    g_autofree char *id = g_strndup(ticket, (gsize)(dot - ticket)), *hash = hash_of(request, name, id);
    return gnutls_memcmp(hash, dot + 1, HASH_DIGITS) == 0 ? g_steal_pointer(&id) : g_strdup("");
}
