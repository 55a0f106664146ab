/* What uploads keep in memory of what has come, which is bounded in all.
 *
 * Those at rest are those that no request works on: beyond a bound the largest of them are forgotten, and whoever goes
 * on with one reads its row and its list first. Of those that are worked on, the frames of offers count, which cost
 * their client little: one that has no room beside the others has to wait, and of the room the clients of one network
 * have a share (base/share.h). What came as bytes is a small part of these. */
#pragma once

#include "base/share.h"
#include "server/storage/incoming.h"

#define ATREST_MOST (64u << 20)    /* bytes of memory, about, of all that are at rest */
#define ATREST_OFFERS (192u << 20) /* the same of the offers that are worked on, with all that are at rest */

/* Under its lock, and before it has them in memory: so many frames of an offer are worked on until it rests or is
 * forgotten. INTERRUPTED: there is no room for them now. A brief one, which no client has offered, always has it. */
gboolean atrest_hold(Upload *upload, guint frames, GError **error);
/* Under its lock: a request begins to work on it. INTERRUPTED: as above. */
gboolean atrest_leave(Upload *upload, GError **error);
/* Without its lock: that request has ended. */
void atrest_return(Upload *upload);
/* Under its lock: whoever looked at it is done. Nothing happens while a request works on it. */
void atrest_settle(Upload *upload);
/* Without its lock: keeps to the bound. */
void atrest_bound(Storage *storage);
/* Bytes of memory, about, of all that are at rest. */
gsize atrest_memory(Storage *storage);
/* Bytes of memory, about, of the offers that are worked on. */
gsize atrest_held(Storage *storage);
