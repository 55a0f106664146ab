/* XML from elsewhere as GLib's parser takes it. */
#pragma once

#include <glib.h>

/* Goes through the text by the parser, to which user belongs. UTF-16 is converted (Hyper-V writes that), and a byte
 * order mark passed over. What the parser refuses, and what is no such text, is INVALID: `name` names the text. */
gboolean markup_read(const GMarkupParser *parser, const char *text, gsize size, const char *name, gpointer user,
                     GError **error);
