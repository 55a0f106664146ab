/* A body: bytes that answers take ranges of, wherever they come from. Counted by references; thread safe where what it
 * reads from is. */
#pragma once

#include <glib.h>

typedef struct {
    /* Up to size bytes from offset, at least one; -1: an error, and nothing false is given out. 0, of what is far:
     * nothing has come yet, so that the same is to be asked for again in a moment. NULL: only runs are
     * there, and an answer that needs more is not given (it is for Route.quick). */
    gssize (*read)(gpointer source, guint64 offset, void *buffer, gsize size, GError **error);
    /* Whether the range is one run of one file, ready to be sent: *fd (the caller's: close it) has it at *at. NULL:
     * never. */
    gboolean (*run)(gpointer source, guint64 offset, guint64 length, int *fd, guint64 *at);
    /* Up to size bytes from offset that have been checked and are in memory; 0: none. It waits for nothing: an event
     * loop may call it. NULL: never. */
    gsize (*at_once)(gpointer source, guint64 offset, void *buffer, gsize size);
    void (*unref)(gpointer source);
    gboolean far; /* its bytes come from another machine */
} BodyKind;

typedef struct {
    gatomicrefcount references;
    const BodyKind *kind;
    gpointer source;
    guint64 size; /* bytes */
} Body;

/* The source is the body's. */
Body *body_new(const BodyKind *kind, gpointer source, guint64 size);
Body *body_ref(Body *body);
void body_unref(Body *body);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Body, body_unref)
