/* Room: whether there is any for what comes. What has come of uploads counts as if it were stored already, in this
 * process by what it takes now, in others by their rows. */
#pragma once

#include "server/storage/incoming.h"

/* What has come of it counts from now on; of an offer what is missing does, before it comes. */
void room_reserve(Upload *upload);
void room_release(Upload *upload);
/* NO_SPACE: the limit of all packs together. What is kept no longer gives its room first. */
gboolean room_in_all(Storage *storage, GError **error);
/* The same within a change. */
gboolean room_within(Storage *storage, Connection *connection, GError **error);
/* For an upload that has grown: in all, and in its repository (DENIED). */
gboolean room_for(Upload *upload, GError **error);
