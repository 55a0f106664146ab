/* Small texts for people: sizes, times, the nearest known word. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* 1234567 -> "1.2 MB" (powers of ten, as disks are sold); seconds -> "0.8 s", "42 s", "3 min 05 s". Free them. */
char *ingot_text_size(guint64 bytes);
char *ingot_text_duration(double seconds);
/* Seconds -> "40 s", "5 min", "3 h", "12 d": how old something is. Free it. */
char *ingot_text_age(double seconds);

/* "10G", "512M", "64KiB", "4096" -> bytes (K, M, G, T are powers of 1024). FALSE and INVALID otherwise. */
gboolean ingot_text_parse_size(const char *text, guint64 *bytes, GError **error);

/* "90s", "5m", "2h", "1d", "90" (seconds) -> seconds. */
gboolean ingot_text_parse_duration(const char *text, guint64 *seconds, GError **error);
/* "0.25": a number from 0 to 1. INVALID otherwise. */
gboolean ingot_text_parse_fraction(const char *text, double *fraction, GError **error);

/* The first `most` bytes of a text that may be long and hold anything, for messages: whole characters, valid UTF-8.
 * Free it. */
char *ingot_text_head(const char *text, gsize most);

/* What a terminal would show of the bytes (size -1: a text that a NUL ends): valid UTF-8, without escape sequences and
 * control characters but newline and tab. What a guest or a registry says can then be shown on the user's terminal,
 * stored, and written into XML. Free it. */
char *ingot_text_clean(const char *bytes, gssize size);
/* The same on one line: a blank in place of each newline and tab. Free it. */
char *ingot_text_line(const char *text);
/* The same for a table: cut or filled up with blanks to so many columns of a terminal. Free it. */
char *ingot_text_cell(const char *text, guint columns);

/* A URL for messages and records: without user and password, and with "?..." in place of its query, which may be a
 * signature. A text that is not a URL stays as it is. Free it. */
char *ingot_text_url(const char *url);

/* A word of a command that is printed, as a shell takes it: a plain one as it is, any other quoted. Free it. */
char *ingot_text_word(const char *word);

/* The word of a NULL-terminated list that is nearest by edit distance, or NULL if none is near. */
const char *ingot_text_nearest(const char *word, const char *const *words);

/* " (did you mean 'shell'?)", or "" if no word is near. Free it. */
char *ingot_text_suggestion(const char *word, const char *const *words);

/* RFC 3339 in UTC with seconds: "2024-05-01T12:00:00Z". */
char *ingot_text_time(gint64 unix_seconds);
/* For programs: now, or $SOURCE_DATE_EPOCH where that is set. */
char *ingot_text_now(void);

G_END_DECLS
