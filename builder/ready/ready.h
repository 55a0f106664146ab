/* Ready to run elsewhere: a guest has what the hypervisors need for which the recipe's `outputs` name formats.
 *
 * It is one more step at the plan's end, so that it is kept, gone on from, refreshed and shown like those that the
 * recipe has itself; its key is the outputs and the script. It is done in the running guest, by the guest's own
 * programs: nothing else makes its initramfs and its boot loader's configuration. What an output needs is a table
 * (drivers.h), how a guest comes to have it one shell script (guest.sh), which leaves alone what is there already,
 * fetches nothing, and ends with the name of what is missing. */
#pragma once

#include "base/json.h"

#define READY_WORD "ingot: " /* how the script's line begins that says what is missing */

/* The step, {"kind": "ready", "name", "outputs", "script", "timeout": seconds, "max_age": for ever}; NULL without
 * outputs. Free it. */
json_t *ready_step(const json_t *outputs);
/* Whether some output needs a driver that Debian's kernel for clouds, which is the smaller one, has not. */
gboolean ready_beyond_clouds(const json_t *outputs);
