/* Maintenance windows: when something may happen. "22:00-04:00", "Mon-Fri 22:00-04:00", "Sat,Sun 00:00-24:00
 * Europe/Berlin": days (all, unless said), hours, and a zone (the machine's own, unless said). A window that goes past
 * midnight belongs to the day on which it begins. Pure functions, but for the zones' files. */
#pragma once

#include <glib.h>

GArray *windows_new(void);
/* INVALID: it is not written so. */
gboolean windows_add(GArray *windows, const char *text, GError **error);
/* Seconds until one of them is open; 0: now, or there are none. One that never opens within eight days: eight days. */
gint64 windows_wait(const GArray *windows, gint64 now);
