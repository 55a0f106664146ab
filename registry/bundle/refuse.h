/* The one error of this room: what came is not what it should be. */
#pragma once

#include <glib.h>

/* Sets INVALID as "NAME: WHY", or WHY alone where name is NULL; always FALSE. What of WHY cannot be printed (it may be
 * the stranger's) is shown as U+FFFD. */
gboolean bundle_refuse(const char *name, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
