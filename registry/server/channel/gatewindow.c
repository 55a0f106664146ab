/* window: {days: [mon, tue], from: "09:00", to: "17:00", zone: "Europe/Berlin"}. It is such a day, and such a time of
 * it; a window that ends before it begins goes over midnight and belongs to the day on which it begins. */
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"

#define DAY_MINUTES (24 * 60)

static const char *const day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};

/* "09:30" -> minutes; -1: it is no time of day. */
static int minutes_of(const char *text)
{
    if (text == NULL || strlen(text) != 5 || text[2] != ':' || strspn(text, "0123456789") != 2 ||
        strspn(text + 3, "0123456789") != 2) {
        return -1;
    }
    int hour = atoi(text), minute = atoi(text + 3);
    return hour <= 24 && minute < 60 && hour * 60 + minute <= DAY_MINUTES ? hour * 60 + minute : -1;
}

static gboolean check_time(const json_t *settings, const char *member, GString *path, GError **error)
{
    const json_t *value = json_object_get(settings, member);
    return value == NULL || minutes_of(json_string_value(value)) >= 0 ||
           settings_wrong(path, member, error, "a time of day is expected, in quotes, as in \"09:00\"");
}

static GTimeZone *zone_of(const json_t *settings)
{
    const char *name = json_string_value(json_object_get(settings, "zone"));
    /* GLib takes a path too. */
    gboolean is_path = name != NULL && (name[0] == '/' || name[0] == ':' || strchr(name, '.') != NULL);
    return is_path ? NULL : g_time_zone_new_identifier(name == NULL ? "UTC" : name);
}

static gboolean window_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"days", "from", "to", "zone", NULL};
    const json_t *days = json_object_get(settings, "days"), *zone = json_object_get(settings, "zone");
    if (!settings_map(settings, names, NULL, path, error) || !settings_texts(settings, "days", path, error) ||
        !check_time(settings, "from", path, error) || !check_time(settings, "to", path, error)) {
        return FALSE;
    }
    for (size_t i = 0; i < json_array_size(days); i++) {
        const char *day = json_string_value(json_array_get(days, i));
        if (!g_strv_contains(day_names, day)) {
            g_autofree char *place = g_strdup_printf("days/%zu", i);
            return settings_wrong(path, place, error, "'%s' is not a day: mon, tue, wed, thu, fri, sat, sun", day);
        }
    }
    g_autoptr(GTimeZone) found = zone_of(settings);
    return (zone == NULL || (json_is_string(zone) && found != NULL)) ||
           settings_wrong(path, "zone", error, "this server knows no such time zone, as in Europe/Berlin");
}

static gboolean is_day(const json_t *days, int weekday)
{
    if (days == NULL) {
        return TRUE;
    }
    for (size_t i = 0; i < json_array_size(days); i++) {
        if (g_strcmp0(json_string_value(json_array_get(days, i)), day_names[weekday]) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* weekday: 0 is Monday. */
static gboolean is_open(const json_t *settings, int weekday, int minute)
{
    const json_t *days = json_object_get(settings, "days");
    int from = minutes_of(json_string_value(json_object_get(settings, "from")));
    int to = minutes_of(json_string_value(json_object_get(settings, "to")));
    from = from < 0 ? 0 : from;
    to = to < 0 ? DAY_MINUTES : to;
    if (from < to) {
        return is_day(days, weekday) && minute >= from && minute < to;
    }
    return (is_day(days, weekday) && minute >= from) || (is_day(days, (weekday + 6) % 7) && minute < to);
}

/* "promote it on mon, tue from 09:00 to 17:00 (Europe/Berlin)" */
static char *describe_window(const json_t *settings)
{
    const json_t *days = json_object_get(settings, "days");
    const char *from = json_string_value(json_object_get(settings, "from"));
    const char *to = json_string_value(json_object_get(settings, "to"));
    const char *zone = json_string_value(json_object_get(settings, "zone"));
    g_autoptr(GString) text = g_string_new("promote it");
    for (size_t i = 0; i < json_array_size(days); i++) {
        g_string_append_printf(text, "%s%s", i == 0 ? " on " : ", ", json_string_value(json_array_get(days, i)));
    }
    g_string_append_printf(text, " from %s to %s (%s)", from == NULL ? "00:00" : from, to == NULL ? "24:00" : to,
                           zone == NULL ? "UTC" : zone);
    return g_strdup(text->str);
}

static gboolean window_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_autoptr(GTimeZone) zone = zone_of(settings);
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(its->now);
    if (zone == NULL || utc == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "this server does not know the time zone any more");
        return FALSE;
    }
    g_autoptr(GDateTime) there = g_date_time_to_timezone(utc, zone);
    int weekday = g_date_time_get_day_of_week(there) - 1;
    int minute = g_date_time_get_hour(there) * 60 + g_date_time_get_minute(there);
    g_autofree char *told = g_date_time_format(there, "%A %H:%M %Z");
    verdict->passed = is_open(settings, weekday, minute);
    verdict->why = g_strdup_printf("it is %s, %s the window", told, verdict->passed ? "within" : "outside of");
    verdict->mend = verdict->passed ? NULL : describe_window(settings);
    return TRUE;
}

const Gate gate_window = {"window", window_check, window_judge};
