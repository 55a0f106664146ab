/* reboot: the machine is shut down and started again, so that the steps after it find what takes effect at a boot. */
#include "recipe/rows.h"
#include "recipe/rules.h"
#include "step/context.h"
#include "step/kinds.h"

static gboolean reboot_run(StepContext *context, const json_t *step, GError **error)
{
    (void)step;
    return step_restart(context, error);
}

static const Key step_reboot_keys[] = {
    NAME,
    STEP_CACHE,
    {.name = "reboot", .help = "Must be true.", .kind = KIND_BOOLEAN, .required = TRUE},
    END,
};
static const Shape step_reboot_shape = {.name = "stepReboot",
                                        .help = "Restarts the machine and waits until it is up again.",
                                        .keys = step_reboot_keys,
                                        .rule = rule_reboot};
const Variant recipe_step_reboot = {"reboot", "reboot", &step_reboot_shape};

const StepKind step_reboot = {.kind = "reboot", .run = reboot_run};
