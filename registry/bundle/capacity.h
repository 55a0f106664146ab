/* How large a disk is, as an OVF descriptor says it: a number and the unit that it is in. */
#pragma once

#include <glib.h>

/* unit: as DSP0004 writes it ("byte", "byte * 2^30", "byte * 512"), or as exporters do ("MegaBytes", "GiB"); NULL:
 * bytes. INVALID: no number, an unknown unit, or more than a disk can have. */
gboolean capacity_parse(const char *text, const char *unit, guint64 *bytes, GError **error);
