/* The work on a disk that is being assembled, on all cores, while the rest of it still comes: frames of seeds are
 * copied to their places, frames that have come are decoded and checked, and what stands without a gap from the blob's
 * start is hashed.
 *
 * The file's frames are those of the index, one behind the other. A frame of a seed that was right so far is not looked
 * at: the digest of the whole speaks for it, and where that does not fit, assembly_recognize finds the wrong ones. */
#pragma once

#include <gio/gio.h>
#include <ingot/index.h>
#include <ingot/progress.h>

#include "transfer/seeds.h"

typedef enum {
    FRAME_MISSING,
    FRAME_THERE, /* in the file */
    FRAME_LATE,  /* to be fetched, though it seemed to be had here */
} FrameState;

typedef struct {
    IngotIndex *index;
    int fd;
    const char *name;     /* of the blob, for errors */
    const Seeds *seeds;   /* NULL: none */
    gboolean own_encoder; /* our zeros give its hole frames */
    IngotProgress *progress;
    GCancellable *cancellable; /* the caller's; NULL: none */
    guint8 *states;            /* FrameState, per chunk */
    guint32 *come;             /* per chunk: bytes of its frame that have come */

    GMutex lock; /* guards what follows, and writes to states */
    GCond changed;
    guint next;          /* chunk that is to be placed, or recognized, next */
    gboolean coming;     /* more may come */
    GArray *arrived;     /* of guint: chunks whose frames have come and are not checked */
    GArray *doubtful;    /* of guint: those that were found wrong */
    guint behind;        /* the first chunk that is not in the file */
    guint64 behind_size; /* bytes of the frames before it that are not hashed */
    guint hashed;        /* the first chunk that is not hashed */
    gboolean hashing;    /* a thread is at it */
    IngotHasher *hasher;
    GError *failure; /* the first */
} Assembly;

void assembly_init(Assembly *assembly, IngotIndex *index);
void assembly_clear(Assembly *assembly);

/* Whether the frame can be had without the network. */
gboolean assembly_has_local(const Assembly *assembly, guint chunk);

/* Looks which frames are in the file already. */
gboolean assembly_recognize(Assembly *assembly, GError **error);

/* Does the work in threads of its own while fetch(user) runs in the caller's, which calls assembly_add; then what is
 * left of it. */
gboolean assembly_run(Assembly *assembly, gboolean (*fetch)(gpointer user, GError **error), gpointer user,
                      GError **error);
/* Bytes of the blob have come: writes them. None comes twice: what is there may be checked and hashed by now. */
gboolean assembly_add(Assembly *assembly, guint64 offset, const void *data, gsize size, GError **error);

/* When all frames are there: that those which came are right (CORRUPT), and the hasher that has had all of them. */
gboolean assembly_end(Assembly *assembly, GError **error);
/* Where all frames were checked: whether some are right and others are not. */
gboolean assembly_is_partly_right(const Assembly *assembly);
