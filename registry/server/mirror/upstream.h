/* Upstreams: the registries that a cache gets from, each with the names that it is for.
 *
 * "PREFIX=URL": names that begin with PREFIX here are asked for there without it, so that two upstreams may have the
 * same names; an upstream without a prefix has all others. An upstream that no connection comes about to is left
 * in peace for a while, twice as long after each further failure; until then asking it fails at once. One that answers
 * something wrong, or nothing, to one request is asked for other things. Thread safe. */
#pragma once

#include <ingot/remote.h>

#include "server/mirror/turns.h"

typedef struct Upstream Upstream;

void upstream_free(Upstream *upstream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Upstream, upstream_free)
/* url: HOST[:PORT] or with a scheme (remote.h); credentials come from the files of credentials.h. */
Upstream *upstream_new(const char *prefix, const char *url);
const char *upstream_prefix(const Upstream *upstream);
/* Of those who read straight from it. */
Turns *upstream_turns(Upstream *upstream);
/* The one whose prefix is the longest that fits; NULL: the name comes from nowhere. */
Upstream *upstreams_find(const GPtrArray *upstreams, const char *name);

/* A connection on which a transfer may stand still for `stall` seconds; NETWORK at once while the upstream is left in
 * peace. Give it back, with what went wrong (NULL: nothing). */
IngotRemote *upstream_borrow(Upstream *upstream, guint stall, GError **error);
void upstream_give_back(Upstream *upstream, IngotRemote *remote, const GError *problem);

/* Whether an answer did not come in time lately, and none has come since. */
gboolean upstream_is_late(Upstream *upstream);
void upstream_was_late(Upstream *upstream);
