/* Base64 as signatures are written in: RFC 4648, section 4, with its padding, and nothing else between. */
#pragma once

#include <glib.h>

char *base64_write(const void *data, gsize size); /* free it */
/* NULL: it is not base64, or of more than limit bytes. */
GBytes *base64_read(const char *text, gsize limit);
