/* The graph that the channels of a pipeline make: finds what leads back to where it began. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* The cycle that the channel at `index` of an array of channels lies on, "a ← b ← a"; NULL: on none. Unknown channels
 * are passed over. Free it. */
char *pipeline_graph_cycle(const json_t *channels, gsize index);
