#include "server/oci/ticket.h"

#include <string.h>

#include "server/auth/access.h"
#include "server/auth/seal.h"
#include "server/server.h"

/* No name and no id has a space. */
static char *ticket_text(const char *name, const char *id)
{
    return g_strdup_printf("upload %s %s", name, id);
}

char *ticket_write(const Request *request, const char *name, const char *id)
{
    g_autofree char *text = ticket_text(name, id), *seal = seal_of(request->server->access->accounts, text);
    return g_strdup_printf("%s.%s", id, seal);
}

char *ticket_read(const Request *request, const char *name, const char *ticket)
{
    const char *dot = strchr(ticket, '.');
    if (dot == NULL) {
        return NULL;
    }
    g_autofree char *id = g_strndup(ticket, (gsize)(dot - ticket)), *text = ticket_text(name, id);
    return seal_opens(request->server->access->accounts, text, dot + 1) ? g_steal_pointer(&id) : NULL;
}
