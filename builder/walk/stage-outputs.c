/* outputs: the guest is made ready for the machines that the recipe's `outputs` are for. The last stage, so that it
 * holds in the image whatever the recipe's steps have done. */
#include "plan/builder.h"
#include "ready/ready.h"
#include "walk/inside.h"
#include "walk/stages.h"

static gboolean outputs_add(PlanBuilder *builder, GError **error)
{
    (void)error;
    g_autoptr(json_t) step = ready_step(json_object_get(builder->recipe->tree, "outputs"));
    if (step != NULL) {
        plan_set_key(builder, plan_add_step(builder, &stage_outputs, step, step));
    }
    return TRUE;
}

const StageKind stage_outputs = {.name = "outputs", .add = outputs_add, .run = walk_run_step};
