/* The events of an ingotd, as they come: an answer that is held open (GET /api/v1/events). */
#pragma once

#include <ingot/remote.h>

/* Called for each line, the empty ones of a silence too (ended by a NUL, without the newline). FALSE: enough. */
typedef gboolean (*RemoteEventTake)(const char *line, gpointer user);

/* The events of one name from now on, until the registry ends the answer, which it does now and then (TRUE), or it
 * fails: NETWORK also where nothing came for 30 s, NOT_FOUND where the registry is not Ingot's, or where a page comes
 * in place of events, as of a login. The first line says that it has begun: what happens from then on comes. */
gboolean remote_events(IngotRemote *remote, const char *name, RemoteEventTake take, gpointer user, GError **error);
