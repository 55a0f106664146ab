#include "base/crew.h"

#include <gio/gio.h>
#include <ingot/error.h>

typedef struct {
    GThreadFunc work;
    gpointer data;
    GCancellable *cancellable; /* of the thread that they work for; NULL: none */
} Crew;

static gpointer crew_member(gpointer user)
{
    const Crew *crew = user;
    if (crew->cancellable != NULL) {
        g_cancellable_push_current(crew->cancellable);
    }
    crew->work(crew->data);
    if (crew->cancellable != NULL) {
        g_cancellable_pop_current(crew->cancellable);
    }
    return NULL;
}

void crew_run(const char *name, guint threads, GThreadFunc work, gpointer data)
{
    Crew crew = {.work = work, .data = data, .cancellable = g_cancellable_get_current()};
    g_autoptr(GPtrArray) others = g_ptr_array_new();
    for (guint i = 1; i < threads; i++) {
        GThread *thread = g_thread_try_new(name, crew_member, &crew, NULL);
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
