/* Offline steps: done to the disk of a machine that does not run, in libguestfs's appliance.
 *
 * A shell in the system's own root (a chroot) answers on a port of the appliance, as a machine's does: it is a Guest,
 * and a step runs in it as it does in a machine, with the same output, limits and files. What the step leaves running
 * is ended, since no machine is kept. */
#pragma once

#include "step/step.h"

/* A StepKind's run_offline: its run, with such a guest in the context. */
gboolean offline_run(StepContext *context, const json_t *step, GError **error);
