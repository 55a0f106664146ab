/* Checksums of boxes, as catalogues have them: of five kinds, in hex digits. */
#pragma once

#include <glib.h>

typedef struct {
    char *type, *hex; /* "sha256"; both NULL: the catalogue has none */
} BoxSum;
void box_sum_clear(BoxSum *sum);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BoxSum, box_sum_clear)

/* FALSE and INVALID: the type is not known ("md5", "sha1", "sha256", "sha384", "sha512" are), or the digits do not fit
 * it. */
gboolean box_sum_parse(const char *type, const char *hex, const char *what, BoxSum *sum, GError **error);
/* Reads the file; CORRUPT: it is another one. name: what errors call it. */
gboolean box_sum_check(const BoxSum *sum, const char *path, const char *name, GError **error);
