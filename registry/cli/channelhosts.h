/* Which hosts follow the channels of a name, and what they have reported: for `ingot channels --hosts`. */
#pragma once

#include <jansson.h>

#include "cli/common.h"

/* Adds to each channel of a list, as HOST/NAME gave it, its "hosts": what each has reported, with "current": whether it
 * runs what the channel names, and "rollout" where not all hosts have their turn. Tags that hosts follow without being
 * channels come behind, with their hosts alone. */
gboolean channel_hosts_add(const char *where, json_t *channels, GError **error);
/* A table of them, one line for each host, HOST/ID where several have one name; on stderr what the rollouts wait for.
 */
void channel_hosts_print(const json_t *channels);
