/* Images of several architectures under one tag. */
#pragma once

#include <glib.h>

/* `ingot push IMAGE IMAGE... DESTINATION`, or one image where add says that it joins those that are there. Prints the
 * result. */
gboolean push_several(char **images, guint count, const char *destination, gboolean add, GError **error);
