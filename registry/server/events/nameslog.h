/* The log of names, DIR/names.log: which repository got which blob, manifest and tag, one line each, in order. With the
 * packs it is all that a lost catalogue can be made of again.
 *
 * A line is 16 hex digits (XXH3-64 of the rest), a space, and a JSON object. The catalogue knows how long the log is:
 * what a crash left behind that is cut off when it is opened, so the log never tells more than was acknowledged. */
#pragma once

#include <ingot/json.h>

typedef struct NamesLog NamesLog;

NamesLog *nameslog_open(const char *path, guint64 end, GError **error);
void nameslog_close(NamesLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NamesLog, nameslog_close)

/* Adds the object's line to text. */
void nameslog_format(GString *text, const json_t *object);
/* Appends lines and flushes them; the log's new length is *end. */
gboolean nameslog_append(NamesLog *log, const GString *lines, guint64 *end, GError **error);
/* Back to a length that it had. */
gboolean nameslog_truncate(NamesLog *log, guint64 end, GError **error);
/* Calls take for each whole line up to `end` bytes (G_MAXUINT64: all); a damaged one is counted and left out. No file
 * has no lines. */
typedef gboolean (*NamesLogTake)(const json_t *object, gpointer user, GError **error);
gboolean nameslog_read(const char *path, guint64 end, NamesLogTake take, gpointer user, guint *damaged, GError **error);
