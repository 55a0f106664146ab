/* The door: finds out who makes a request, by what it shows (shown.h): name and password, or a token.
 *
 * A request that shows something wrong is answered here; one that shows nothing goes on as nobody's. A password is
 * checked by another thread, while the connection is suspended and holds up nobody. */
#pragma once

#include "server/http/request.h"

/* Finds out who asks. FALSE: *result is what to return; the request is answered, or waits for a password to be checked,
 * and then is to come here again. */
gboolean door_open(Request *request, enum MHD_Result *result);
/* Whether a request waits and is to come to door_open again. */
gboolean door_waits(const Request *request);
/* Frees what door_open has kept. */
void door_close(Request *request);
