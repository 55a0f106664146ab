/* The versions of a repository as Vagrant's catalogue lists them: newest first, and only those whose numbers Vagrant
 * can read. Of a channel, those that it has named, up to the one that it names now, and of each the images that it has
 * named: what came to a version since is in no channel before it is promoted. On a pull-through cache the
 * upstream is asked; while it can't be, the versions that are here are listed. */
#pragma once

#include <ingot/digest.h>

#include "server/mirror/through.h"
#include "server/server.h"

typedef struct {
    char *tag;
    gboolean is_here;
    IngotDigest digest; /* of the manifest that it names, where it is here */
    gint64 made;        /* when it was set (seconds), likewise */
    gboolean is_image;  /* it is no index, likewise; FALSE: it is not known */
    GHashTable *images; /* set of IngotDigest: those that count; NULL: all of it do */
} ListedVersion;

/* GArray of ListedVersion; free it. channel: NULL for all. further: tags that are versions too, though they are not
 * MAJOR.MINOR.PATCH (the keys of a table; NULL: none). *outcome: DONE where the upstream has told them, and has
 * what is not here; where it is open, there may be others. NOT_FOUND: here is no such repository or channel. */
GArray *versions_list(const Server *server, const char *name, const char *channel, GHashTable *further,
                      FetchOutcome *outcome, GError **error);
