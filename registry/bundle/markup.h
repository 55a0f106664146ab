/* XML from elsewhere as GLib's parser takes it. */
#pragma once

#include <glib.h>

/* The text in UTF-8, without a byte order mark: UTF-16 is converted (Hyper-V writes that). NULL: it is no such text.
 * Free it. */
char *markup_to_utf8(const char *text, gsize size, gsize *length, GError **error);
