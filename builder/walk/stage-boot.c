/* boot: the machine starts on its source. The first stage of every plan. */
#include "plan/builder.h"
#include "walk/inside.h"
#include "walk/stages.h"

static gboolean boot_add(PlanBuilder *builder, GError **error)
{
    (void)error;
    PlanStage *stage = plan_add(builder, &stage_boot, NULL, g_strdup("boot"));
    const char *name;
    json_t *value;
    json_object_set_new(stage->inputs, "source", json_string(builder->source_key));
    json_object_foreach(json_object_get(builder->recipe->public_tree, "machine"), name, value)
    {
        g_autofree char *key = g_strconcat("machine.", name, NULL);
        json_object_set(stage->inputs, key, value);
    }
    plan_set_key(builder, stage);
    return TRUE;
}

/* A walk has its machine before it runs a stage: starting it is all there is. What it does by itself may restart it
 * (cloud-init's power_state, say). */
static gboolean boot_run(Walk *walk, const PlanStage *stage, GError **error)
{
    return machine_alive(walk->machine, error) && engine_follow(walk, stage, error);
}

const StageKind stage_boot = {.name = "boot", .add = boot_add, .run = boot_run};
