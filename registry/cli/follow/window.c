#include "cli/follow/window.h"

#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#define DAY_MINUTES 1440
#define LOOK_AHEAD ((gint64)8 * 24 * 3600)

typedef struct {
    guint days;    /* bit 0: Monday */
    int from, end; /* minutes of the day; end may lie on the next one */
    GTimeZone *zone;
} Window;

static void window_clear(gpointer data)
{
    g_clear_pointer(&((Window *)data)->zone, g_time_zone_unref);
}

GArray *windows_new(void)
{
    GArray *windows = g_array_new(FALSE, TRUE, sizeof(Window));
    g_array_set_clear_func(windows, window_clear);
    return windows;
}

static int window_day(const char *word)
{
    static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    for (int i = 0; i < 7; i++) {
        if (g_ascii_strcasecmp(word, days[i]) == 0) {
            return i;
        }
    }
    return -1;
}

/* "Mon-Fri,Sun"; 0: it is not that. */
static guint window_days(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    guint days = 0;
    for (guint i = 0; parts[i] != NULL; i++) {
        g_auto(GStrv) ends = g_strsplit(parts[i], "-", -1);
        guint count = g_strv_length(ends);
        int first = count == 1 || count == 2 ? window_day(ends[0]) : -1,
            last = count == 2 ? window_day(ends[1]) : first;
        if (first < 0 || last < 0) {
            return 0;
        }
        for (int day = first;; day = (day + 1) % 7) {
            days |= 1u << day;
            if (day == last) {
                break;
            }
        }
    }
    return days;
}

/* "22:00-04:00" */
static gboolean window_hours(const char *text, Window *window)
{
    int hours[2], minutes[2], used = 0;
    if (sscanf(text, "%2d:%2d-%2d:%2d%n", &hours[0], &minutes[0], &hours[1], &minutes[1], &used) != 4 ||
        text[used] != '\0') {
        return FALSE;
    }
    for (guint i = 0; i < 2; i++) {
        if (hours[i] < 0 || minutes[i] < 0 || minutes[i] > 59 || hours[i] * 60 + minutes[i] > DAY_MINUTES) {
            return FALSE;
        }
    }
    window->from = hours[0] * 60 + minutes[0];
    window->end = hours[1] * 60 + minutes[1];
    if (window->end <= window->from) {
        window->end += DAY_MINUTES;
    }
    return window->from < DAY_MINUTES;
}

gboolean windows_add(GArray *windows, const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    guint count = g_strv_length(words), at = 0;
    Window window = {.days = 0x7f};
    if (count > 1 && g_ascii_isalpha(words[0][0])) {
        window.days = window_days(words[at++]);
    }
    if (window.days == 0 || count <= at || count > at + 2 || !window_hours(words[at], &window)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "'%s' is not a window: [DAYS ]HH:MM-HH:MM[ ZONE], as in \"Mon-Fri 22:00-04:00 Europe/Berlin\"",
                    text);
        return FALSE;
    }
    const char *zone = count == at + 2 ? words[at + 1] : NULL;
    window.zone = g_time_zone_new_identifier(zone);
    if (window.zone == NULL && zone == NULL) {
        window.zone = g_time_zone_new_local();
    }
    if (window.zone == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s': no time zone is called '%s'", text, zone);
        return FALSE;
    }
    g_array_append_val(windows, window);
    return TRUE;
}

static gboolean window_is_open(const Window *window, gint64 time)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(time);
    g_autoptr(GDateTime) there = g_date_time_to_timezone(utc, window->zone);
    int minute = g_date_time_get_hour(there) * 60 + g_date_time_get_minute(there);
    int today = g_date_time_get_day_of_week(there) - 1, yesterday = (today + 6) % 7;
    return ((window->days >> today & 1) != 0 && minute >= window->from && minute < window->end) ||
           ((window->days >> yesterday & 1) != 0 && minute + DAY_MINUTES < window->end);
}

gint64 windows_wait(const GArray *windows, gint64 now)
{
    gint64 time = now;
    while (windows->len > 0 && time < now + LOOK_AHEAD) {
        for (guint i = 0; i < windows->len; i++) {
            if (window_is_open(&g_array_index(windows, Window, i), time)) {
                return time - now;
            }
        }
        time += 60 - time % 60;
    }
    return time - now;
}
