/* reboot: the machine is shut down and started again, so that the steps after it find what takes effect at a boot. */
#include "step/context.h"
#include "step/kinds.h"

static gboolean reboot_run(StepContext *context, const json_t *step, GError **error)
{
    (void)step;
    return step_restart(context, error);
}

const StepKind step_reboot = {.kind = "reboot", .run = reboot_run};
