#include "base/crew.h"

#include <ingot/error.h>

void crew_run(const char *name, guint threads, GThreadFunc work, gpointer data)
{
    g_autoptr(GPtrArray) others = g_ptr_array_new();
    for (guint i = 1; i < threads; i++) {
        GThread *thread = g_thread_try_new(name, work, data, NULL);
        if (thread == NULL) {
            break;
        }
        g_ptr_array_add(others, thread);
    }
    work(data);
    for (guint i = 0; i < others->len; i++) {
        g_thread_join(g_ptr_array_index(others, i));
    }
}

GThread *crew_thread(const char *name, GThreadFunc work, gpointer data, GError **error)
{
    g_autoptr(GError) problem = NULL;
    GThread *thread = g_thread_try_new(name, work, data, &problem);
    if (thread == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "no thread '%s': %s; let the system allow more (TasksMax, pids.max, ulimit -u)", name,
                    problem->message);
    }
    return thread;
}
