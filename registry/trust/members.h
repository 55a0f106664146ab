/* Objects of a strict JSON file: an unknown member is an error, as it may have been meant to restrict something. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* Whether it is an object that has no other members than these (NULL-terminated). INVALID otherwise, as any error here:
 * "WHERE: …". */
gboolean members_check(const json_t *object, const char *where, const char *const *known, GError **error);
/* A member that has to be a text, and not an empty one. It belongs to the object. */
const char *members_text(const json_t *object, const char *where, const char *member, GError **error);
/* Sets an error about the place. Always FALSE. */
gboolean members_refuse(const char *where, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
