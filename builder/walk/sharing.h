/* --cache-from and --cache-to: what a build fetches from a registry before it starts, and pushes to one when it is
 * done.
 */
#pragma once

#include "walk/walk.h"

/* Fetches the deepest node that the registry has whole of the plan, where the cache has none as deep; a message says
 * which were passed over. A registry that cannot be reached, or that refuses, is an error, since the user named it; for
 * anything else that fails there or here (a full disk, say) the build goes on without, and a message says so. */
gboolean sharing_fetch(const WalkInput *input, GError **error);
/* Pushes the plan's nodes that the registry lacks, or of which it has an older run. Those that saw a secret stay,
 * unless their step was named. A damaged node is removed, and a message says so: the next build makes it again. */
gboolean sharing_push(const WalkInput *input, GError **error);
/* Refuses a name or number (NULL: there are none) of no step of the recipes (of Recipe), or of several in one. */
gboolean sharing_check_secrets(const GPtrArray *recipes, const char *const *names, GError **error);
