/* Uploads at rest: no request works on them. What they keep in memory of what has come is bounded in all; beyond that
 * the largest are forgotten, and whoever goes on with one reads its row and its list first. */
#pragma once

#include "server/storage/incoming.h"

#define ATREST_MOST (64u << 20) /* bytes of memory, about, of all that are at rest */

/* Under its lock: a request begins to work on it. */
void atrest_leave(Upload *upload);
/* Without its lock: that request has ended. */
void atrest_return(Upload *upload);
/* Under its lock: whoever looked at it is done. Nothing happens while a request works on it. */
void atrest_settle(Upload *upload);
/* Without any lock: keeps to the bound. */
void atrest_bound(Storage *storage);
/* Bytes of memory, about, of all that are at rest. */
gsize atrest_memory(Storage *storage);
