/* What the settings of gates have in common: how they are checked, and read. path is a JSON pointer, to which the
 * member that is wrong is added. Pure functions. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* Settings that are a map (or none, where required is NULL) of these members and of `always`; names end with NULL.
 * Whoever reads a member checks it. */
gboolean settings_map(const json_t *settings, const char *const *names, const char *required, GString *path,
                      GError **error);
/* A member that is a list of at least one text, each not empty; without the member all is well. */
gboolean settings_texts(const json_t *settings, const char *member, GString *path, GError **error);
/* A member that is a duration, as in 1d; without it all is well. */
gboolean settings_duration(const json_t *settings, const char *member, GString *path, GError **error);
/* A member that is a whole number from 1 to most; without it all is well. */
gboolean settings_count(const json_t *settings, const char *member, guint most, GString *path, GError **error);
/* A member that is a list of public keys in PEM; without it all is well. */
gboolean settings_keys(const json_t *settings, const char *member, GString *path, GError **error);
gboolean settings_wrong(GString *path, const char *member, GError **error, const char *format, ...) G_GNUC_PRINTF(4, 5);

/* Seconds of a duration that was checked; 0: it has none. */
gint64 settings_seconds(const json_t *settings, const char *member);
/* A count that was checked; 1: it has none. */
guint settings_number(const json_t *settings, const char *member);
/* Keys that were checked: array of TrustKey *, which it owns; NULL: none are given. */
GPtrArray *settings_read_keys(const json_t *settings, const char *member);
