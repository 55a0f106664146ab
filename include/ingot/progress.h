/* What is told while something takes long: stages with their bytes, and messages. All functions accept NULL for
 * progress and are thread safe. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct IngotProgress IngotProgress;

typedef enum {
    INGOT_PROGRESS_BEGUN,   /* a stage */
    INGOT_PROGRESS_MOVED,   /* bytes of it are done; at most ten times a second */
    INGOT_PROGRESS_ENDED,   /* it is done; message: what it came to, or NULL */
    INGOT_PROGRESS_DROPPED, /* it has failed: an error says why */
    INGOT_PROGRESS_MESSAGE,
    INGOT_PROGRESS_WARNING, /* something went wrong, and the work goes on */
} IngotProgressEvent;

/* All of it is valid during the call alone; later versions may add members. */
typedef struct {
    IngotProgressEvent event;
    const IngotProgress *progress; /* whose */
    const char *name;              /* of a child; NULL: none */
    const char *stage;             /* "pull web:1.0.0"; NULL: a message between stages */
    guint64 done, total;           /* of the stage, bytes; total 0: unknown */
    double seconds;                /* since it began */
    const char *message;
} IngotProgressReport;
/* Called by any thread, by one at a time. It may cancel a GCancellable, and calls no function of that progress. */
typedef void (*IngotProgressFunc)(const IngotProgressReport *report, gpointer user);

/* free_user (may be NULL) is called on user in the end. */
IngotProgress *ingot_progress_new(IngotProgressFunc func, gpointer user, GDestroyNotify free_user);
void ingot_progress_free(IngotProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotProgress, ingot_progress_free)

/* One of several things that go on at once: its reports go where its parent's go, with the name (may be NULL). It has
 * stages of its own; free it before its parent. NULL gives NULL. */
IngotProgress *ingot_progress_child(IngotProgress *parent, const char *name);

/* One stage at a time: "pull web:1.0.0". total is in bytes, 0 where unknown. */
void ingot_progress_begin(IngotProgress *progress, guint64 total, const char *format, ...) G_GNUC_PRINTF(3, 4);
void ingot_progress_add(IngotProgress *progress, guint64 bytes);
/* The stage is done; the note may be NULL. */
void ingot_progress_end(IngotProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);
void ingot_progress_drop(IngotProgress *progress);

void ingot_progress_message(IngotProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);
void ingot_progress_warning(IngotProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);

#pragma GCC visibility pop
G_END_DECLS
