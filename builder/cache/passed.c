#include "cache/passed.h"

#include <string.h>

/* The first stage before this one of which the best node has another run: a build goes on from the newest run of each.
 * NULL: there is none. */
static const PlanStage *passed_ran_again(const Node *node, const Plan *plan, guint stage, const Node *best)
{
    for (guint i = 0; i < stage; i++) {
        const NodeRun *theirs = node_find_run(node, &plan_stage(plan, i)->key);
        const NodeRun *newest = node_find_run(best, &plan_stage(plan, i)->key);
        if (theirs != NULL && newest != NULL && strcmp(theirs->id, newest->id) != 0) {
            return plan_stage(plan, i);
        }
    }
    return NULL;
}

char *passed_why(const GPtrArray *nodes, const Plan *plan, guint stage, const char *source, const Node *best)
{
    const PlanStage *again = NULL;
    gboolean elsewhere = FALSE, gone = FALSE;
    for (guint i = 0; i < nodes->len; i++) {
        const Node *node = g_ptr_array_index(nodes, i);
        if (node_find_run(node, &plan_stage(plan, stage)->key) == NULL) {
            continue;
        }
        gone |= !node->whole;
        if (node->whole && source != NULL && strcmp(node->source, source) != 0) {
            elsewhere = TRUE;
        } else if (node->whole && again == NULL) {
            again = passed_ran_again(node, plan, stage, best);
        }
    }
    return again != NULL ? g_strdup_printf("'%s' has run again since", again->title)
           : elsewhere   ? g_strdup("not kept on the source's present disk")
           : gone        ? g_strdup("what it was kept on is not there any more")
                         : g_strdup("not kept");
}
