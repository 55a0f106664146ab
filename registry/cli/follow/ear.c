#include "cli/follow/ear.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ingot/progress.h>

#include "base/command.h"
#include "base/crew.h"
#include "base/json.h"
#include "base/process.h"
#include "remote/environment.h"
#include "remote/events.h"

#define PAUSE_FIRST G_USEC_PER_SEC
#define PAUSE_MOST (60 * (gint64)G_USEC_PER_SEC)
#define LASTS (10 * (gint64)G_USEC_PER_SEC) /* an answer that ends sooner is as good as none */

struct Ear {
    IngotRemote *remote; /* the thread's */
    char *name, *channel;
    int moved; /* an eventfd */
    GThread *thread;
    GCancellable *end; /* of the thread */
    gboolean told;     /* that it can't listen */
    gint64 begun;      /* monotonic: when the answer has begun; 0: it has not */
    gint64 pause;
};

static gboolean ear_take(const char *line, gpointer user)
{
    Ear *ear = user;
    g_autoptr(json_t) event = *line == '\0' ? NULL : ingot_json_parse(line, strlen(line), "an event", NULL);
    const char *operation = json_string_value(json_object_get(event, "op"));
    const char *tag = json_string_value(json_object_get(event, "tag"));
    gboolean is_move = g_strcmp0(operation, "tag") == 0 || g_strcmp0(operation, "untag") == 0;
    ear->begun = ear->begun == 0 ? g_get_monotonic_time() : ear->begun;
    if (event != NULL && (operation == NULL || (is_move && g_strcmp0(tag, ear->channel) == 0))) {
        eventfd_write(ear->moved, 1);
    }
    return TRUE;
}

static void ear_pause(gint64 usec)
{
    struct pollfd wait = {.fd = ingot_interrupt_fd(), .events = POLLIN};
    poll(&wait, 1, (int)(usec / 1000));
}

/* Listens until the answer ends. Whether it can be asked for again at once. */
static gboolean ear_listen(Ear *ear)
{
    g_autoptr(GError) error = NULL;
    ear->begun = 0;
    gboolean ended = remote_events(ear->remote, ear->name, ear_take, ear, &error);
    gboolean lasted = ear->begun != 0 && g_get_monotonic_time() - ear->begun >= LASTS;
    if (lasted) {
        ear->told = FALSE;
        ear->pause = PAUSE_FIRST;
    }
    if (ended && lasted) {
        return TRUE;
    }
    if (!ear->told && ingot_interrupt_check(NULL)) {
        ingot_progress_message(ingot_command_progress(), "no events: %s; the channel is looked at now and then",
                               ended ? "the answer ends as soon as it has begun" : error->message);
        ear->told = TRUE;
    }
    return FALSE;
}

static gpointer run_ear(gpointer user)
{
    Ear *ear = user;
    g_cancellable_push_current(ear->end);
    while (ingot_interrupt_check(NULL)) {
        if (!ear_listen(ear)) {
            ear_pause(ear->pause / 2 + g_random_int_range(0, (gint32)(ear->pause / 2)));
            ear->pause = MIN(2 * ear->pause, PAUSE_MOST);
            eventfd_write(ear->moved, 1);
        }
    }
    g_cancellable_pop_current(ear->end);
    return NULL;
}

Ear *ear_new(const char *host, const char *name, const char *channel, GError **error)
{
    g_autoptr(Ear) ear = g_new0(Ear, 1);
    ear->name = g_strdup(name);
    ear->channel = g_strdup(channel);
    ear->pause = PAUSE_FIRST;
    ear->end = g_cancellable_new();
    ear->moved = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ear->remote = environment_remote(host, error);
    ear->thread = ear->remote == NULL ? NULL : crew_thread("ear", run_ear, ear, error);
    return ear->thread == NULL ? NULL : g_steal_pointer(&ear);
}

void ear_free(Ear *ear)
{
    g_cancellable_cancel(ear->end);
    g_clear_pointer(&ear->thread, g_thread_join);
    ingot_remote_free(ear->remote);
    if (ear->moved >= 0) {
        close(ear->moved);
    }
    g_object_unref(ear->end);
    g_free(ear->name);
    g_free(ear->channel);
    g_free(ear);
}

gboolean ear_wait(Ear *ear, gint64 most)
{
    struct pollfd waits[] = {{.fd = ear->moved, .events = POLLIN}, {.fd = ingot_interrupt_fd(), .events = POLLIN}};
    eventfd_t count = 0;
    int milliseconds = most < 0 ? -1 : (int)MIN(most / 1000 + 1, G_MAXINT);
    return poll(waits, G_N_ELEMENTS(waits), milliseconds) > 0 && eventfd_read(ear->moved, &count) == 0;
}
