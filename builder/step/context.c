#include "step/context.h"

void step_line(StepContext *context, const char *line)
{
    context->line(line, context->walk);
}

void step_take_line(const char *line, gpointer context)
{
    step_line(context, line);
}

gboolean step_restart(StepContext *context, GError **error)
{
    return context->restart(context, error);
}
