#include "server/http/tlsbound.h"

#include <errno.h>
#include <glib.h>
#include <gnutls/gnutls.h>
#include <sys/socket.h>

#define BOUND (40u << 10) /* bytes */

typedef struct {
    int fd;
    gsize come; /* bytes since the request moved */
} Bound;

static gnutls_session_t session_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info == NULL ? NULL : info->tls_session;
}

/* GnuTLS reads by it. */
static ssize_t bound_pull(gnutls_transport_ptr_t data, void *buffer, size_t size)
{
    Bound *bound = data;
    if (bound->come >= BOUND) {
        errno = ECONNABORTED;
        return -1;
    }
    ssize_t got = recv(bound->fd, buffer, MIN(size, BOUND - bound->come), MSG_NOSIGNAL);
    bound->come += got > 0 ? (gsize)got : 0;
    return got;
}

/* The bounds of all open connections: when one ends, the HTTP library has freed its session already, which must not be
 * asked any more. */
static struct {
    GMutex lock;
    GHashTable *all; /* of MHD_Connection -> Bound; NULL: there was none yet */
} bounds;

void tls_bound_begin(struct MHD_Connection *connection)
{
    gnutls_session_t session = session_of(connection);
    if (session == NULL) {
        return;
    }
    Bound *bound = g_new0(Bound, 1);
    bound->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    g_mutex_lock(&bounds.lock);
    if (bounds.all == NULL) {
        bounds.all = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    g_hash_table_replace(bounds.all, connection, bound);
    g_mutex_unlock(&bounds.lock);
    gnutls_session_set_ptr(session, bound);
    gnutls_transport_set_ptr2(session, bound, GINT_TO_POINTER(bound->fd));
    gnutls_transport_set_pull_function(session, bound_pull);
}

void tls_bound_end(struct MHD_Connection *connection)
{
    g_mutex_lock(&bounds.lock);
    if (bounds.all != NULL) {
        g_hash_table_remove(bounds.all, connection);
    }
    g_mutex_unlock(&bounds.lock);
}

void tls_bound_moved(struct MHD_Connection *connection)
{
    gnutls_session_t session = session_of(connection);
    Bound *bound = session == NULL ? NULL : gnutls_session_get_ptr(session);
    if (bound != NULL) {
        bound->come = 0;
    }
}
