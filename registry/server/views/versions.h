/* The versions of a repository as Vagrant's catalogue lists them: newest first, and only those whose numbers Vagrant
 * can read. Of a channel, those that it has named, up to the one that it names now. On a pull-through cache the
 * upstream is asked; while it can't be, the versions that are here are listed. */
#pragma once

#include "server/server.h"

/* GPtrArray of tags (char *); free it. channel: NULL for all. *there: the upstream has told them, and has what is not
 * here. NOT_FOUND: there is no such repository or channel. */
GPtrArray *versions_list(const Server *server, const char *name, const char *channel, gboolean *there, GError **error);
