#include <ingot/progress.h>

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <ingot/text.h>

#define BAR_INTERVAL (G_USEC_PER_SEC / 10)  /* fast enough for the eye, slow enough for a serial line */
#define LINE_INTERVAL (G_USEC_PER_SEC * 10) /* in a log */

struct IngotProgress {
    GMutex mutex;
    gboolean quiet, terminal;
    char *stage; /* NULL between stages */
    guint64 total, done;
    gint64 started, shown; /* monotonic, µs */
    gboolean drawn;        /* a bar is on the terminal's last line */
};

IngotProgress *ingot_progress_new(gboolean quiet)
{
    IngotProgress *progress = g_new0(IngotProgress, 1);
    g_mutex_init(&progress->mutex);
    progress->quiet = quiet;
    progress->terminal = isatty(STDERR_FILENO) && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
    return progress;
}

static void erase_bar(IngotProgress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = FALSE;
}

void ingot_progress_free(IngotProgress *progress)
{
    if (!progress)
        return;
    erase_bar(progress);
    g_mutex_clear(&progress->mutex);
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

    if (!progress->total)
        return progress->done ? g_steal_pointer(&done) : g_strdup("…");
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
    g_autoptr(GString) line = g_string_new(progress->stage);
    g_autofree char *figures = describe(progress, now);

    if (progress->total) {
        guint full = (guint)(CELLS * MIN(1.0, (double)progress->done / (double)progress->total));
        g_string_append(line, " [");
        for (guint i = 0; i < CELLS; i++)
            g_string_append_c(line, i < full ? '#' : '.');
        g_string_append_c(line, ']');
    }
    g_string_append_printf(line, " %s", figures);
    g_autofree char *valid = g_utf8_make_valid(line->str, (gssize)line->len);
    g_autofree char *fitting = g_utf8_substring(valid, 0, MIN(g_utf8_strlen(valid, -1), (glong)terminal_width() - 1));
    fprintf(stderr, "\r\033[K%s", fitting);
    fflush(stderr);
    progress->drawn = TRUE;
}

static void show(IngotProgress *progress, gint64 now)
{
    progress->shown = now;
    if (progress->terminal) {
        draw_bar(progress, now);
        return;
    }
    g_autofree char *figures = describe(progress, now);
    fprintf(stderr, "%s: %s\n", progress->stage, figures);
}

void ingot_progress_begin(IngotProgress *progress, guint64 total, const char *format, ...)
{
    if (!progress || progress->quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    char *stage = g_strdup_vprintf(format, arguments);
    va_end(arguments);

    g_mutex_lock(&progress->mutex);
    g_free(progress->stage);
    progress->stage = stage;
    progress->total = total;
    progress->done = 0;
    progress->started = progress->shown = g_get_monotonic_time();
    if (progress->terminal)
        draw_bar(progress, progress->started);
    else
        fprintf(stderr, "%s …\n", stage);
    g_mutex_unlock(&progress->mutex);
}

void ingot_progress_add(IngotProgress *progress, guint64 bytes)
{
    if (!progress || progress->quiet)
        return;
    g_mutex_lock(&progress->mutex);
    progress->done += bytes;
    gint64 now = g_get_monotonic_time();
    if (progress->stage && now - progress->shown >= (progress->terminal ? BAR_INTERVAL : LINE_INTERVAL))
        show(progress, now);
    g_mutex_unlock(&progress->mutex);
}

void ingot_progress_end(IngotProgress *progress, const char *format, ...)
{
    if (!progress || progress->quiet)
        return;
    g_autofree char *note = NULL;
    if (format) {
        va_list arguments;
        va_start(arguments, format);
        note = g_strdup_vprintf(format, arguments);
        va_end(arguments);
    }

    g_mutex_lock(&progress->mutex);
    if (progress->stage) {
        g_autofree char *time =
            ingot_text_duration((double)(g_get_monotonic_time() - progress->started) / G_USEC_PER_SEC);
        erase_bar(progress);
        fprintf(stderr, "%s%s%s (%s)\n", progress->stage, note ? ": " : "", note ? note : "", time);
        g_clear_pointer(&progress->stage, g_free);
    }
    g_mutex_unlock(&progress->mutex);
}

void ingot_progress_message(IngotProgress *progress, const char *format, ...)
{
    if (!progress || progress->quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);

    g_mutex_lock(&progress->mutex);
    erase_bar(progress);
    fprintf(stderr, "%s\n", message);
    if (progress->stage && progress->terminal)
        draw_bar(progress, g_get_monotonic_time());
    g_mutex_unlock(&progress->mutex);
}
