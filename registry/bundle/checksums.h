/* An OVF package's manifest (*.mf): lines "SHA256(NAME)= HEX" for its files, or "HEX  NAME" as sha256sum writes them.
 */
#pragma once

#include <glib.h>

typedef struct {
    char *file;
    GChecksumType type;
    char *hex; /* lower-case */
} Checksum;

void checksum_free(gpointer checksum); /* a GDestroyNotify */

/* GPtrArray of Checksum, no file twice. `name` names the text in errors (INVALID). */
GPtrArray *checksums_parse(const char *text, gsize size, const char *name, GError **error);
