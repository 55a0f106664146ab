#include "server/http/logwriter.h"

#include <errno.h>
#include <poll.h>
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
    guint64 lost;    /* lines, since the last that was told */
    guint64 telling; /* lines, as what is being written says */
    gboolean idle;   /* the thread waits for a line */
    gboolean torn;   /* the last line that went out has no end */
    gboolean ending, ended;
};

/* How many of the bytes went out. A reader that is gone takes none, nor does a full disk; one that can't take them now
 * is waited for, also where another program has made the descriptor one that does not block. */
static gsize write_all(int fd, const char *text, gsize size)
{
    gsize done = 0;
    while (done < size) {
        gssize written = write(fd, text + done, size - done);
        if (written < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, -1);
        } else if (written < 0 && errno != EINTR) {
            break;
        }
        done += written > 0 ? (gsize)written : 0;
    }
    return done;
}

/* Under the lock. What went out ends in the middle of a line, perhaps: the next one begins anew. */
static void note_lost(LogWriter *writer, const GString *text, gsize done)
{
    gsize from = done == 0 && *text->str == '\n' ? 1 : done; /* the end of a line that was counted */
    for (const char *at = text->str + from; at < text->str + text->len; at++) {
        writer->lost += *at == '\n' ? 1 : 0;
    }
    if (done < text->len && writer->telling > 0) {
        writer->lost += writer->telling - 1; /* the line that tells it stands last */
    }
    writer->torn = done == 0 ? writer->torn : done < text->len && text->str[done - 1] != '\n';
}

/* Under the lock. */
static void tell_lost(LogWriter *writer)
{
    if (writer->lost > 0) {
        g_autofree char *line = writer->dropped(writer->lost);
        g_string_append_printf(writer->waiting, "%s\n", line);
    }
    writer->telling = writer->lost;
    writer->lost = 0;
    if (writer->torn) {
        g_string_prepend_c(writer->waiting, '\n');
    }
}

/* Under the lock, which others have while it writes. */
static void write_waiting(LogWriter *writer)
{
    GString *taken = writer->waiting;
    writer->waiting = g_string_new(NULL);
    g_mutex_unlock(&writer->lock);
    gsize done = write_all(writer->fd, taken->str, taken->len);
    g_mutex_lock(&writer->lock);
    note_lost(writer, taken, done);
    g_string_free(taken, TRUE);
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
        if (writer->waiting->len > 0) {
            tell_lost(writer);
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
