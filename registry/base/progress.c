#include <ingot/progress.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/secrets.h"
#include "base/text.h"
#include <ingot/error.h>

#define BAR_INTERVAL (G_USEC_PER_SEC / 10) /* fast enough for the eye, slow enough for a serial line */
#define TICK G_USEC_PER_SEC
#define LINE_INTERVAL (G_USEC_PER_SEC * 10) /* in a log */

struct IngotProgress {
    IngotProgress *root; /* itself, or whose terminal line it shares */
    char *name;          /* before every line; NULL: none */
    GMutex mutex;        /* the root's guards all */
    gboolean quiet, terminal;
    char *stage; /* NULL between stages */
    guint64 total, done;
    gint64 started, shown; /* monotonic, µs */
    gboolean drawn;        /* root: a bar is on the terminal's last line */
    IngotProgress *active; /* root: whose bar that is, or NULL */
    GThread *clock;        /* root, on a terminal: draws it anew every second, so that time is seen to pass */
    GCond stop;
    gboolean stopped;
    FILE *log; /* gets every line too, quiet or not; NULL: none */
};

IngotProgress *ingot_progress_child(IngotProgress *parent, const char *name)
{
    if (!parent)
        return NULL;
    IngotProgress *child = g_new0(IngotProgress, 1);
    g_mutex_init(&child->mutex);
    g_cond_init(&child->stop);
    child->root = parent->root;
    child->name = g_strdup(name);
    child->quiet = parent->quiet;
    child->terminal = parent->terminal;
    return child;
}

static void lock(IngotProgress *progress)
{
    g_mutex_lock(&progress->root->mutex);
}

static void unlock(IngotProgress *progress)
{
    g_mutex_unlock(&progress->root->mutex);
}

static void erase_bar(IngotProgress *progress)
{
    if (progress->root->drawn)
        fputs("\r\033[K", stderr);
    progress->root->drawn = FALSE;
}

static gboolean is_silent(const IngotProgress *progress)
{
    return !progress || (progress->quiet && !progress->log);
}

static void print_line(const IngotProgress *progress, gboolean warning, const char *line)
{
    if (!progress->quiet || warning)
        fprintf(stderr, "%s%s%s\n", progress->name ? progress->name : "", progress->name ? ": " : "", line);
    if (progress->log) {
        fprintf(progress->log, "%s\n", line);
        fflush(progress->log);
    }
}

/* Each of its lines with the name before it; cleaned before the text is cut into lines. */
G_GNUC_PRINTF(3, 4) static void print(IngotProgress *progress, gboolean warning, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *shown = ingot_secrets_clean(text);
    g_auto(GStrv) lines = g_strsplit(shown, "\n", -1);
    for (guint i = 0; lines[i]; i++)
        print_line(progress, warning, lines[i]);
}

gboolean ingot_progress_log(IngotProgress *progress, const char *path, GError **error)
{
    FILE *log = fopen(path, "we");

    if (!log)
        return ingot_error_set_errno(error, errno, "%s: cannot be written", path);
    lock(progress);
    g_clear_pointer(&progress->log, fclose);
    progress->log = log;
    unlock(progress);
    return TRUE;
}

void ingot_progress_free(IngotProgress *progress)
{
    if (!progress)
        return;
    if (progress->clock) {
        lock(progress);
        progress->stopped = TRUE;
        g_cond_signal(&progress->stop);
        unlock(progress);
        g_thread_join(progress->clock);
    }
    lock(progress);
    erase_bar(progress);
    if (progress->root->active == progress)
        progress->root->active = NULL;
    unlock(progress);
    g_cond_clear(&progress->stop);
    g_mutex_clear(&progress->mutex);
    if (progress->log)
        fclose(progress->log);
    g_free(progress->name);
    g_free(progress->stage);
    g_free(progress);
}

static gsize terminal_width(void)
{
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* "120.0 MB of 600.0 MB, 40.1 MB/s, 12 s left", or what of it is known. */
static char *describe(const IngotProgress *progress, gint64 now)
{
    double seconds = (double)(now - progress->started) / G_USEC_PER_SEC;
    double rate = seconds > 0 ? (double)progress->done / seconds : 0;
    g_autofree char *done = ingot_text_size(progress->done);

    if (!progress->total && progress->done)
        return g_steal_pointer(&done);
    if (!progress->total)
        return progress->terminal ? ingot_text_age(seconds) : g_strdup("…");
    g_autofree char *total = ingot_text_size(progress->total);
    if (rate < 1)
        return g_strdup_printf("%s of %s", done, total);
    g_autofree char *each = ingot_text_size((guint64)rate);
    double left = progress->total > progress->done ? (double)(progress->total - progress->done) / rate : 0;
    g_autofree char *time_left = ingot_text_duration(left);
    return g_strdup_printf("%s of %s, %s/s, %s left", done, total, each, time_left);
}

static void draw_bar(IngotProgress *progress, gint64 now)
{
    enum { CELLS = 12 }; /* leaves 20 columns of 80 for the name */
    g_autoptr(GString) line = g_string_new(NULL);
    g_string_printf(line, "%s%s%s", progress->name ? progress->name : "", progress->name ? ": " : "", progress->stage);
    g_autofree char *figures = describe(progress, now);

    if (progress->total) {
        guint full = (guint)(CELLS * MIN(1.0, (double)progress->done / (double)progress->total));
        g_string_append(line, " [");
        for (guint i = 0; i < CELLS; i++)
            g_string_append_c(line, i < full ? '#' : '.');
        g_string_append_c(line, ']');
    }
    g_string_append_printf(line, " %s", figures);
    g_autofree char *shown = ingot_secrets_clean(line->str);
    g_strdelimit(shown, "\n\t", ' ');
    g_autofree char *fitting = g_utf8_substring(shown, 0, MIN(g_utf8_strlen(shown, -1), (glong)terminal_width() - 1));
    fprintf(stderr, "\r\033[K%s", fitting);
    fflush(stderr);
    progress->root->drawn = TRUE;
    progress->root->active = progress;
}

/* A stage without figures, a boot say, would look as if it stood still. */
static gpointer tick(gpointer user)
{
    IngotProgress *root = user;
    lock(root);
    while (!root->stopped) {
        gint64 now = g_get_monotonic_time();
        if (!g_cond_wait_until(&root->stop, &root->mutex, now + TICK) && root->active && root->active->stage)
            draw_bar(root->active, g_get_monotonic_time());
    }
    unlock(root);
    return NULL;
}

IngotProgress *ingot_progress_new(gboolean quiet)
{
    IngotProgress *progress = g_new0(IngotProgress, 1);
    g_mutex_init(&progress->mutex);
    g_cond_init(&progress->stop);
    progress->root = progress;
    progress->quiet = quiet;
    progress->terminal = !quiet && isatty(STDERR_FILENO) && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
    if (progress->terminal)
        progress->clock = g_thread_new("progress", tick, progress);
    return progress;
}

static void show(IngotProgress *progress, gint64 now)
{
    progress->shown = now;
    if (progress->terminal) {
        draw_bar(progress, now);
        return;
    }
    g_autofree char *figures = describe(progress, now);
    print(progress, FALSE, "%s: %s", progress->stage, figures);
}

void ingot_progress_begin(IngotProgress *progress, guint64 total, const char *format, ...)
{
    if (is_silent(progress))
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
    progress->started = progress->shown = g_get_monotonic_time();
    if (progress->terminal)
        draw_bar(progress, progress->started);
    else
        print(progress, FALSE, "%s …", stage);
    unlock(progress);
}

void ingot_progress_add(IngotProgress *progress, guint64 bytes)
{
    if (is_silent(progress))
        return;
    lock(progress);
    progress->done += bytes;
    gint64 now = g_get_monotonic_time();
    if (progress->stage && now - progress->shown >= (progress->terminal ? BAR_INTERVAL : LINE_INTERVAL))
        show(progress, now);
    unlock(progress);
}

void ingot_progress_end(IngotProgress *progress, const char *format, ...)
{
    if (is_silent(progress))
        return;
    g_autofree char *note = NULL;
    if (format) {
        va_list arguments;
        va_start(arguments, format);
        note = g_strdup_vprintf(format, arguments);
        va_end(arguments);
    }

    lock(progress);
    if (progress->stage) {
        g_autofree char *time =
            ingot_text_duration((double)(g_get_monotonic_time() - progress->started) / G_USEC_PER_SEC);
        erase_bar(progress);
        print(progress, FALSE, "%s%s%s (%s)", progress->stage, note ? ": " : "", note ? note : "", time);
        g_clear_pointer(&progress->stage, g_free);
    }
    unlock(progress);
}

void ingot_progress_drop(IngotProgress *progress)
{
    if (!progress)
        return;
    lock(progress);
    erase_bar(progress);
    g_clear_pointer(&progress->stage, g_free);
    unlock(progress);
}

static void say(IngotProgress *progress, gboolean warning, const char *message)
{
    lock(progress);
    erase_bar(progress);
    print(progress, warning, "%s", message);
    if (progress->stage && progress->terminal)
        draw_bar(progress, g_get_monotonic_time());
    unlock(progress);
}

void ingot_progress_message(IngotProgress *progress, const char *format, ...)
{
    if (is_silent(progress))
        return;
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    say(progress, FALSE, message);
}

void ingot_progress_warning(IngotProgress *progress, const char *format, ...)
{
    if (!progress)
        return;
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    say(progress, TRUE, message);
}
