/* --cache-from and --cache-to: what a build takes from a registry before it starts, and gives to one when it is done.
 */
#pragma once

#include "walk/walk.h"

/* Fetches the deepest node that the registry has of the plan, where the cache has none as deep. A registry that cannot
 * be asked is an error: it was named. */
gboolean sharing_fetch(const WalkInput *input, GError **error);
/* Pushes the plan's nodes that the registry lacks. Those that saw a secret stay, unless their step was named. */
gboolean sharing_push(const WalkInput *input, GError **error);
