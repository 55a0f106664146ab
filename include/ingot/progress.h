/* What a command prints while it works, on stderr, secrets masked: a bar on a terminal (drawn anew every second by a
 * thread), plain lines elsewhere, nothing but warnings if quiet. All functions accept NULL for progress and are thread
 * safe. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct IngotProgress IngotProgress;

IngotProgress *ingot_progress_new(gboolean quiet);
void ingot_progress_free(IngotProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotProgress, ingot_progress_free)

/* A display within another, for one of several things that go on at once: the same terminal line, every line with the
 * name (may be NULL) before it. It has stages of its own; free it before its parent. NULL gives NULL. */
IngotProgress *ingot_progress_child(IngotProgress *parent, const char *name);

/* Every line of this display goes to a file too, also where it is quiet; an older file is replaced. */
gboolean ingot_progress_log(IngotProgress *progress, const char *path, GError **error);

/* One stage at a time: "pull web:1.0.0". total is in bytes, 0 where unknown (no rate, no time left). */
void ingot_progress_begin(IngotProgress *progress, guint64 total, const char *format, ...) G_GNUC_PRINTF(3, 4);
void ingot_progress_add(IngotProgress *progress, guint64 bytes);
/* Ends the stage with one line: its name, the note (may be NULL) and its time. */
void ingot_progress_end(IngotProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Ends the stage without a word: it has failed, and whoever says so needs the terminal. */
void ingot_progress_drop(IngotProgress *progress);

/* One line above the bar. */
void ingot_progress_message(IngotProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The same, also where it is quiet: something went wrong, and the command went on. */
void ingot_progress_warning(IngotProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);

#pragma GCC visibility pop
G_END_DECLS
