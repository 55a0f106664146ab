/* What comes by TLS, within bounds.
 *
 * Invariant: between two calls that a request has come, or more of its body, a client sends at most so much: what the
 * head of a request and a handshake take. GnuTLS itself keeps a message of a handshake until it is whole, and one may
 * claim 16 MiB. */
#pragma once

#include <microhttpd.h>

/* A connection has begun, or ends; does nothing where it is not by TLS. */
void tls_bound_begin(struct MHD_Connection *connection);
void tls_bound_end(struct MHD_Connection *connection);
/* Its client's request has come on: the bytes until now do not count any more. */
void tls_bound_moved(struct MHD_Connection *connection);
