#include "server/http/logwriter.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/crew.h"

/* How long lines gather behind those that were just written: under load one write takes many, and those who add them
 * wake nobody. */
#define GATHER (5 * G_TIME_SPAN_MILLISECOND)

struct LogWriter {
    int fd;
    char *(*dropped)(guint64 lines);
    GThread *thread;
    GMutex lock; /* of all that follows */
    GCond change;
    GString *waiting;
    guint64 lost;  /* lines, since the last that was told */
    gboolean idle; /* the thread waits for a line */
    gboolean ending, ended;
};

/* A reader that is gone takes nothing: its lines are dropped. */
static void write_all(int fd, const char *text, gsize size)
{
    while (size > 0) {
        gssize written = write(fd, text, size);
        if (written < 0 && errno != EINTR) {
            return;
        }
        if (written > 0) {
            text += written;
            size -= (gsize)written;
        }
    }
}

/* Under the lock. */
static void tell_lost(LogWriter *writer)
{
    if (writer->lost > 0) {
        g_autofree char *line = writer->dropped(writer->lost);
        g_string_append_printf(writer->waiting, "%s\n", line);
        writer->lost = 0;
    }
}

/* Under the lock, which others have while it writes. */
static void write_waiting(LogWriter *writer)
{
    GString *taken = writer->waiting;
    writer->waiting = g_string_new(NULL);
    g_mutex_unlock(&writer->lock);
    write_all(writer->fd, taken->str, taken->len);
    g_string_free(taken, TRUE);
    g_mutex_lock(&writer->lock);
}

/* Under the lock. */
static void gather(LogWriter *writer)
{
    gint64 until = g_get_monotonic_time() + GATHER;
    while (!writer->ending && g_cond_wait_until(&writer->change, &writer->lock, until)) {
    }
}

static gpointer run_writer(gpointer user)
{
    LogWriter *writer = user;
    g_mutex_lock(&writer->lock);
    for (;;) {
        tell_lost(writer);
        if (writer->waiting->len > 0) {
            write_waiting(writer);
            gather(writer);
        } else if (writer->ending) {
            break;
        } else {
            writer->idle = TRUE;
            g_cond_wait(&writer->change, &writer->lock);
            writer->idle = FALSE;
        }
    }
    writer->ended = TRUE;
    g_cond_broadcast(&writer->change);
    g_mutex_unlock(&writer->lock);
    return NULL;
}

static void logwriter_free(LogWriter *writer)
{
    g_string_free(writer->waiting, TRUE);
    g_mutex_clear(&writer->lock);
    g_cond_clear(&writer->change);
    g_free(writer);
}

LogWriter *logwriter_new(int fd, char *(*dropped)(guint64 lines))
{
    LogWriter *writer = g_new0(LogWriter, 1);
    writer->fd = fd;
    writer->dropped = dropped;
    writer->waiting = g_string_new(NULL);
    g_mutex_init(&writer->lock);
    g_cond_init(&writer->change);
    writer->thread = crew_thread("log", run_writer, writer, NULL);
    if (writer->thread == NULL) {
        logwriter_free(writer);
        return NULL;
    }
    return writer;
}

void logwriter_add(LogWriter *writer, const char *line)
{
    gsize length = strlen(line);
    g_mutex_lock(&writer->lock);
    if (writer->waiting->len + length < LOGWRITER_MAX) {
        g_string_append_len(writer->waiting, line, (gssize)length);
        g_string_append_c(writer->waiting, '\n');
        if (writer->idle) {
            g_cond_signal(&writer->change);
        }
    } else {
        writer->lost++;
    }
    g_mutex_unlock(&writer->lock);
}

gboolean logwriter_end(LogWriter *writer, gint64 wait)
{
    gint64 until = g_get_monotonic_time() + wait;
    gboolean in_time = TRUE;
    g_mutex_lock(&writer->lock);
    writer->ending = TRUE;
    g_cond_broadcast(&writer->change);
    while (!writer->ended && in_time) {
        in_time = g_cond_wait_until(&writer->change, &writer->lock, until);
    }
    gboolean ended = writer->ended;
    g_mutex_unlock(&writer->lock);
    if (!ended) {
        return FALSE;
    }
    g_thread_join(writer->thread);
    logwriter_free(writer);
    return TRUE;
}
