/* Secrets that nobody can guess. */
#pragma once

#include <glib.h>

/* Bytes from the kernel's generator; at most 256. */
gboolean random_bytes(guint8 *bytes, gsize size, GError **error);

#define RANDOM_ID_SIZE 32 /* characters */
/* Hex digits that were never used before, and nobody guesses. Free it. */
char *random_id(GError **error);
