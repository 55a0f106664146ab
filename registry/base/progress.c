#include "base/progress.h"

#include <stdarg.h>

#define MOVED_USEC (G_USEC_PER_SEC / 10) /* fast enough for the eye, slow enough for a serial line */

/* Where reports go. */
typedef struct {
    IngotProgressFunc func; /* NULL: nowhere */
    gpointer user;
    GDestroyNotify free_user;
} Listener;

struct IngotProgress {
    IngotProgress *root; /* itself, or the one that it is a child of */
    char *name;          /* NULL: none */
    GMutex mutex;        /* the root's guards all */
    Listener main;       /* the root's: of all */
    Listener own;
    char *stage; /* NULL between stages */
    guint64 total, done;
    gint64 started, told; /* monotonic, µs */
};

static IngotProgress *progress_make(IngotProgress *root, const char *name)
{
    IngotProgress *progress = g_new0(IngotProgress, 1);
    g_mutex_init(&progress->mutex);
    progress->root = root ? root : progress;
    progress->name = g_strdup(name);
    return progress;
}

IngotProgress *ingot_progress_new(IngotProgressFunc func, gpointer user, GDestroyNotify free_user)
{
    IngotProgress *progress = progress_make(NULL, NULL);
    progress->main = (Listener){func, user, free_user};
    return progress;
}

IngotProgress *ingot_progress_child(IngotProgress *parent, const char *name)
{
    return parent ? progress_make(parent->root, name) : NULL;
}

static void lock(IngotProgress *progress)
{
    g_mutex_lock(&progress->root->mutex);
}

static void unlock(IngotProgress *progress)
{
    g_mutex_unlock(&progress->root->mutex);
}

static void listener_clear(Listener *listener)
{
    if (listener->free_user)
        listener->free_user(listener->user);
    *listener = (Listener){NULL};
}

void progress_listen(IngotProgress *progress, IngotProgressFunc func, gpointer user, GDestroyNotify free_user)
{
    lock(progress);
    listener_clear(&progress->own);
    progress->own = (Listener){func, user, free_user};
    unlock(progress);
}

static void report(IngotProgress *progress, IngotProgressEvent event, const char *message)
{
    const Listener *listeners[] = {&progress->root->main, &progress->own};
    gint64 now = g_get_monotonic_time();
    const IngotProgressReport one = {.event = event,
                                     .progress = progress,
                                     .name = progress->name,
                                     .stage = progress->stage,
                                     .done = progress->done,
                                     .total = progress->total,
                                     .seconds = (double)(now - progress->started) / G_USEC_PER_SEC,
                                     .message = message};
    progress->told = now;
    for (guint i = 0; i < G_N_ELEMENTS(listeners); i++)
        if (listeners[i]->func)
            listeners[i]->func(&one, listeners[i]->user);
}

/* Ends the stage, if there is one. */
static void finish(IngotProgress *progress, IngotProgressEvent event, const char *note)
{
    lock(progress);
    if (progress->stage)
        report(progress, event, note);
    g_clear_pointer(&progress->stage, g_free);
    unlock(progress);
}

void ingot_progress_free(IngotProgress *progress)
{
    if (!progress)
        return;
    finish(progress, INGOT_PROGRESS_DROPPED, NULL);
    listener_clear(&progress->own);
    listener_clear(&progress->main);
    g_mutex_clear(&progress->mutex);
    g_free(progress->name);
    g_free(progress);
}

void ingot_progress_begin(IngotProgress *progress, guint64 total, const char *format, ...)
{
    if (!progress)
        return;
    va_list arguments;
    va_start(arguments, format);
    char *stage = g_strdup_vprintf(format, arguments);
    va_end(arguments);

    lock(progress);
    g_free(progress->stage);
    progress->stage = stage;
    progress->total = total;
    progress->done = 0;
    progress->started = g_get_monotonic_time();
    report(progress, INGOT_PROGRESS_BEGUN, NULL);
    unlock(progress);
}

void ingot_progress_add(IngotProgress *progress, guint64 bytes)
{
    if (!progress)
        return;
    lock(progress);
    progress->done += bytes;
    if (progress->stage && g_get_monotonic_time() - progress->told >= MOVED_USEC)
        report(progress, INGOT_PROGRESS_MOVED, NULL);
    unlock(progress);
}

void ingot_progress_end(IngotProgress *progress, const char *format, ...)
{
    if (!progress)
        return;
    g_autofree char *note = NULL;
    if (format) {
        va_list arguments;
        va_start(arguments, format);
        note = g_strdup_vprintf(format, arguments);
        va_end(arguments);
    }
    finish(progress, INGOT_PROGRESS_ENDED, note);
}

void ingot_progress_drop(IngotProgress *progress)
{
    if (progress)
        finish(progress, INGOT_PROGRESS_DROPPED, NULL);
}

G_GNUC_PRINTF(3, 0)
static void say(IngotProgress *progress, IngotProgressEvent event, const char *format, va_list arguments)
{
    g_autofree char *message = g_strdup_vprintf(format, arguments);

    lock(progress);
    report(progress, event, message);
    unlock(progress);
}

void ingot_progress_message(IngotProgress *progress, const char *format, ...)
{
    if (!progress)
        return;
    va_list arguments;
    va_start(arguments, format);
    say(progress, INGOT_PROGRESS_MESSAGE, format, arguments);
    va_end(arguments);
}

void ingot_progress_warning(IngotProgress *progress, const char *format, ...)
{
    if (!progress)
        return;
    va_list arguments;
    va_start(arguments, format);
    say(progress, INGOT_PROGRESS_WARNING, format, arguments);
    va_end(arguments);
}
