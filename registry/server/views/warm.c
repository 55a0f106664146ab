#include "server/views/warm.h"

#include <ingot/process.h>
#include <sys/resource.h>
#include <unistd.h>

#define NICE 10

struct Warm {
    Views *views;
    GThreadPool *pool; /* of one thread; tasks are Task */
};

typedef struct {
    char *name, *reference;
} Task;

static void task_free(gpointer data)
{
    Task *task = data;
    g_free(task->name);
    g_free(task->reference);
    g_free(task);
}

static void warm_format(Views *views, const Task *task, const char *format)
{
    IngotDigest digest;
    g_autoptr(GPtrArray) files = views_files(views, task->name, task->reference, format, &digest, NULL);
    for (guint i = 0; files != NULL && i < files->len; i++) {
        const IngotFormatFile *file = g_ptr_array_index(files, i);
        g_autoptr(View) view = views_open(views, task->name, task->reference, format, file->name, NULL);
        if (view != NULL) {
            view_digest(view, &digest, NULL);
        }
    }
}

static void work(gpointer data, gpointer user)
{
    const Warm *warm = user;
    Task *task = data;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* Linux: of the thread, and of those that it starts */
    json_t *outputs = views_outputs(warm->views, task->name, task->reference);
    for (size_t i = 0; i < json_array_size(outputs) && ingot_interrupt_check(NULL); i++) {
        const char *format = json_string_value(json_array_get(outputs, i));
        if (format != NULL) {
            warm_format(warm->views, task, format);
        }
    }
    json_decref(outputs);
    task_free(task);
}

Warm *warm_start(Views *views)
{
    Warm *warm = g_new0(Warm, 1);
    warm->views = views;
    warm->pool = g_thread_pool_new_full(work, warm, task_free, 1, TRUE, NULL);
    return warm;
}

void warm_add(Warm *warm, const char *name, const char *reference)
{
    Task *task = g_new(Task, 1);
    *task = (Task){.name = g_strdup(name), .reference = g_strdup(reference)};
    g_thread_pool_push(warm->pool, task, NULL);
}

void warm_stop(Warm *warm)
{
    if (warm != NULL) {
        g_thread_pool_free(warm->pool, TRUE, TRUE);
        g_free(warm);
    }
}
