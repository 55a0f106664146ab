/* The client of a request: its address (as origin.h found it), and whether it asks too much. */
#pragma once

#include "server/http/rate.h"
#include "server/http/request.h"

/* NULL where it has none: it came by a Unix socket, and no proxy told. It belongs to the request. */
const struct sockaddr *client_socket_address(const Request *request);
/* As people write it; "-" where it has none. Free it. */
char *client_address(const Request *request);
/* The same into a buffer; "" where it is not known. */
void client_write_address(const Request *request, char *text, gsize size);
/* Its network, as network.h has it. */
guint64 client_network(const Request *request);
/* Whether the client at the other end has closed its side: it wants no answer any more (as nginx and others see it).
 * Asked while the connection is suspended. */
gboolean client_has_left(struct MHD_Connection *connection);
/* Whether the client may ask once more (rate: NULL: always); else 429 is its answer. */
gboolean client_may_ask(Request *request, Rate *rate);
