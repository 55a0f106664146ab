/* Offline steps: done to the disk of a machine that does not run, in libguestfs's appliance. Commands run in the
 * system's own root (chroot), files are copied from outside. Each is a StepKind's run_offline. */
#pragma once

#include "step/step.h"

gboolean offline_shell(StepContext *context, const json_t *step, GError **error);
gboolean offline_file(StepContext *context, const json_t *step, GError **error);
