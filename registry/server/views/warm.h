/* Warm: what takes a pass over a whole disk (the sizes in a format that compresses, the SHA-256 of a file) is worked
 * out here, by threads that give way to all others, and kept (storage_measure). No request does it itself: it asks for
 * it, waits a little, and else its client comes again.
 *
 * A new version is worked out unasked, in the formats that it was made ready for (its config's "outputs"), and as boxes
 * where the repository's catalogue is asked for; so is what a list names. What a client asked for comes first, so that
 * one thread is left for it and the other takes from both lines in turn; in each line the networks of those who asked
 * take turns. It ends early when the client leaves and nobody else wants it; where one was told to come again, it waits
 * in line for a minute at least, and ends once it has begun. A failure is told to all who ask within a minute. Both
 * lines and those who wait for them have bounds. Thread safe. */
#pragma once

#include "server/views/view.h"

typedef struct Warm Warm;

/* A format of an image, with the sums of its files or without. */
typedef struct {
    const char *name, *reference, *format;
    gboolean sums;
    gboolean listed; /* a list names it: it is worked out, whoever leaves */
    guint64 network; /* the client's (network.h) */
} WarmWish;

typedef enum {
    WARM_READY,  /* it is known now */
    WARM_LATER,  /* not yet: its client comes again */
    WARM_FAILED, /* with an error */
} WarmAnswer;

/* NULL: the system gives it no threads. */
Warm *warm_start(Views *views, GError **error);
/* A catalogue of boxes is asked for of that name: those of its new versions are worked out too. */
void warm_list(Warm *warm, const char *name);
/* A new version. */
void warm_add(Warm *warm, const char *name, const char *reference);
/* Asks for it, and waits for it until that time (monotonic), while `gone` does not say that its client has left. */
WarmAnswer warm_wait(Warm *warm, const WarmWish *wish, gint64 until, gboolean (*gone)(gpointer user), gpointer user,
                     GError **error);
/* Breaks off after an interrupt; what is left is worked out when it is asked for. */
void warm_stop(Warm *warm);
