/* Leftovers in the cache, and small files that nothing else bounds.
 *
 * A source that a killed build was making cannot be continued and goes at once, a download can be and goes after a day;
 * what a lock protects stays. Locks of finished stages go after a day, and records of images, of plans and of checked
 * files after 90 days without use. */
#pragma once

#include <glib.h>

/* now: seconds since 1970. all: unfinished downloads go too, however young. What cannot be removed stays. */
void sweep_leftovers(const char *cache, gint64 now, gboolean all);
