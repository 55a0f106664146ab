/* The client of a request: its address, and whether it asks too much. */
#pragma once

#include "server/http/rate.h"
#include "server/http/request.h"

/* As people write it; "-" where it has none. Free it. */
char *client_address(const Request *request);
/* Its network, as network.h has it. */
guint64 client_network(const Request *request);
/* Whether the client may ask once more (rate: NULL: always); else 429 is its answer. */
gboolean client_may_ask(Request *request, Rate *rate);
