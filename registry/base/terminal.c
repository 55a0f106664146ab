#include "base/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/progress.h"
#include "base/secrets.h"
#include "base/text.h"

#define TICK G_USEC_PER_SEC
#define LINE_SECONDS 10 /* between two lines about a stage that goes on, in a log */

/* --- lines --- */

/* "120.0 MB of 600.0 MB, 40.1 MB/s, 12 s left", or what of it is known. */
static char *describe(const IngotProgressReport *report, gboolean with_age)
{
    double rate = report->seconds > 0 ? (double)report->done / report->seconds : 0;
    g_autofree char *done = ingot_text_size(report->done);

    if (!report->total && report->done)
        return g_steal_pointer(&done);
    if (!report->total)
        return with_age ? ingot_text_age(report->seconds) : g_strdup("…");
    g_autofree char *total = ingot_text_size(report->total);
    if (rate < 1)
        return g_strdup_printf("%s of %s", done, total);
    g_autofree char *each = ingot_text_size((guint64)rate);
    double left = report->total > report->done ? (double)(report->total - report->done) / rate : 0;
    g_autofree char *time_left = ingot_text_duration(left);
    return g_strdup_printf("%s of %s, %s/s, %s left", done, total, each, time_left);
}

/* What a report is in a log; NULL: nothing. Free it. told: when a line was last about the stage of a progress, in
 * seconds after its beginning. */
static char *line_of(const IngotProgressReport *report, GHashTable *told)
{
    guint *last = g_hash_table_lookup(told, report->progress);
    g_autofree char *figures = NULL;

    switch (report->event) {
    case INGOT_PROGRESS_BEGUN:
        g_hash_table_insert(told, (gpointer)report->progress, g_new0(guint, 1));
        return g_strdup_printf("%s …", report->stage);
    case INGOT_PROGRESS_MOVED:
        if (!last || report->seconds < *last + LINE_SECONDS)
            return NULL;
        *last = (guint)report->seconds;
        figures = describe(report, FALSE);
        return g_strdup_printf("%s: %s", report->stage, figures);
    case INGOT_PROGRESS_ENDED:
        g_hash_table_remove(told, report->progress);
        figures = ingot_text_duration(report->seconds);
        return g_strdup_printf("%s%s%s (%s)", report->stage, report->message ? ": " : "",
                               report->message ? report->message : "", figures);
    case INGOT_PROGRESS_DROPPED:
        g_hash_table_remove(told, report->progress);
        return NULL;
    default:
        return g_strdup(report->message);
    }
}

/* Each of its lines with the name (may be NULL) before it; cleaned before the text is cut into lines. */
static void print(FILE *out, const char *name, const char *text)
{
    g_autofree char *shown = ingot_secrets_clean(text);
    g_auto(GStrv) lines = g_strsplit(shown, "\n", -1);
    for (guint i = 0; lines[i]; i++)
        fprintf(out, "%s%s%s\n", name ? name : "", name ? ": " : "", lines[i]);
    fflush(out);
}

/* --- a terminal --- */

typedef struct {
    GMutex mutex;
    gboolean quiet, has_bar; /* has_bar: stderr is a terminal that can have one */
    GHashTable *told;        /* see line_of */
    gboolean drawn;          /* a bar is on the terminal's last line */
    /* Of whose stage that is, as it was last reported; progress NULL: of none. */
    const IngotProgress *progress;
    char *name, *stage;
    guint64 done, total;
    gint64 started; /* monotonic, µs */
    GThread *clock; /* draws it anew every second, so that time is seen to pass; NULL: there is none */
    GCond stop;
    gboolean stopped;
} Terminal;

static void bar_erase(Terminal *terminal)
{
    if (terminal->drawn)
        fputs("\r\033[K", stderr);
    terminal->drawn = FALSE;
}

static gsize terminal_width(void)
{
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void bar_draw(Terminal *terminal)
{
    enum { CELLS = 12 }; /* leaves 20 columns of 80 for the name */
    const IngotProgressReport now = {.done = terminal->done,
                                     .total = terminal->total,
                                     .seconds = (double)(g_get_monotonic_time() - terminal->started) / G_USEC_PER_SEC};
    g_autoptr(GString) line = g_string_new(NULL);
    g_string_printf(line, "%s%s%s", terminal->name ? terminal->name : "", terminal->name ? ": " : "", terminal->stage);
    g_autofree char *figures = describe(&now, TRUE);

    if (now.total) {
        guint full = (guint)(CELLS * MIN(1.0, (double)now.done / (double)now.total));
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
    terminal->drawn = TRUE;
}

/* The bar is of that progress from now on, or of none if its stage has come to its end. */
static void bar_take(Terminal *terminal, const IngotProgressReport *report)
{
    gboolean over = report->event == INGOT_PROGRESS_ENDED || report->event == INGOT_PROGRESS_DROPPED;

    if (over && terminal->progress != report->progress)
        return;
    g_clear_pointer(&terminal->name, g_free);
    g_clear_pointer(&terminal->stage, g_free);
    terminal->progress = over ? NULL : report->progress;
    if (!over) {
        terminal->name = g_strdup(report->name);
        terminal->stage = g_strdup(report->stage);
        terminal->done = report->done;
        terminal->total = report->total;
        terminal->started = g_get_monotonic_time() - (gint64)(report->seconds * G_USEC_PER_SEC);
    }
}

static void bar_report(Terminal *terminal, const IngotProgressReport *report)
{
    gboolean goes_on = report->event == INGOT_PROGRESS_BEGUN || report->event == INGOT_PROGRESS_MOVED;

    if (!goes_on) {
        g_autofree char *line = line_of(report, terminal->told);
        bar_erase(terminal);
        if (line)
            print(stderr, report->name, line);
    }
    if (report->stage)
        bar_take(terminal, report);
    if (report->stage && terminal->progress == report->progress)
        bar_draw(terminal);
}

static void terminal_report(const IngotProgressReport *report, gpointer user)
{
    Terminal *terminal = user;

    g_mutex_lock(&terminal->mutex);
    if (terminal->has_bar) {
        bar_report(terminal, report);
    } else if (!terminal->quiet || report->event == INGOT_PROGRESS_WARNING) {
        g_autofree char *line = line_of(report, terminal->told);
        if (line)
            print(stderr, report->name, line);
    }
    g_mutex_unlock(&terminal->mutex);
}

/* A stage without figures, a boot say, would look as if it stood still. */
static gpointer terminal_tick(gpointer user)
{
    Terminal *terminal = user;
    g_mutex_lock(&terminal->mutex);
    while (!terminal->stopped) {
        gint64 next = g_get_monotonic_time() + TICK;
        if (!g_cond_wait_until(&terminal->stop, &terminal->mutex, next) && terminal->progress)
            bar_draw(terminal);
    }
    g_mutex_unlock(&terminal->mutex);
    return NULL;
}

static void terminal_free(gpointer user)
{
    Terminal *terminal = user;

    if (terminal->clock) {
        g_mutex_lock(&terminal->mutex);
        terminal->stopped = TRUE;
        g_cond_signal(&terminal->stop);
        g_mutex_unlock(&terminal->mutex);
        g_thread_join(terminal->clock);
    }
    bar_erase(terminal);
    g_cond_clear(&terminal->stop);
    g_mutex_clear(&terminal->mutex);
    g_hash_table_unref(terminal->told);
    g_free(terminal->name);
    g_free(terminal->stage);
    g_free(terminal);
}

static GHashTable *told_new(void)
{
    return g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
}

IngotProgress *terminal_progress_new(gboolean quiet)
{
    Terminal *terminal = g_new0(Terminal, 1);
    g_mutex_init(&terminal->mutex);
    g_cond_init(&terminal->stop);
    terminal->told = told_new();
    terminal->quiet = quiet;
    terminal->has_bar = !quiet && isatty(STDERR_FILENO) && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
    if (terminal->has_bar)
        terminal->clock = g_thread_try_new("progress", terminal_tick, terminal, NULL);
    return ingot_progress_new(terminal_report, terminal, terminal_free);
}

/* --- a file --- */

typedef struct {
    FILE *file;
    GHashTable *told; /* see line_of */
} Log;

static void log_report(const IngotProgressReport *report, gpointer user)
{
    Log *log = user;
    g_autofree char *line = line_of(report, log->told);
    if (line)
        print(log->file, NULL, line);
}

static void log_free(gpointer user)
{
    Log *log = user;
    fclose(log->file);
    g_hash_table_unref(log->told);
    g_free(log);
}

gboolean terminal_progress_log(IngotProgress *progress, const char *path, GError **error)
{
    FILE *file = fopen(path, "we");

    if (!file)
        return ingot_error_set_errno(error, errno, "%s: cannot be written", path);
    Log *log = g_new0(Log, 1);
    log->file = file;
    log->told = told_new();
    progress_listen(progress, log_report, log, log_free);
    return TRUE;
}
