/* The other half of process.h: whether to go on. */
#include "base/process.h"

#include <ingot/error.h>

static gconstpointer program; /* atomic: IngotInterruptSource; NULL: the process is not one of this tree's programs */

void ingot_interrupt_use(const IngotInterruptSource *source)
{
    g_atomic_pointer_set(&program, source);
}

gboolean ingot_interrupt_check(GError **error)
{
    GCancellable *own = g_cancellable_get_current();
    const IngotInterruptSource *source = g_atomic_pointer_get(&program);

    if (own && g_cancellable_is_cancelled(own)) {
        g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "interrupted");
        return FALSE;
    }
    return !source || source->check(error);
}

int ingot_interrupt_fd(void)
{
    GCancellable *own = g_cancellable_get_current();
    const IngotInterruptSource *source = g_atomic_pointer_get(&program);

    if (own)
        return g_cancellable_get_fd(own); /* closed with it: giving it back sooner would save nothing */
    return source ? source->fd() : -1;
}
