/* Errors of every Ingot function that can fail.
 *
 * A fallible function returns bool or a pointer and takes a last GError **. Messages name the thing that
 * failed (path, reference, URL, file:line:column), so that a caller passes them on as they are.
 *
 * What takes long asks the calling thread's current GCancellable (g_cancellable_push_current) whether to go on: once it
 * is cancelled, the function ends soon, with INTERRUPTED, and leaves nothing half-written. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef enum {
    INGOT_ERROR_FAILED,      /* anything without a code of its own */
    INGOT_ERROR_INVALID,     /* the user's input is wrong: usage, recipe, reference; exit status 2 */
    INGOT_ERROR_NOT_FOUND,   /* no such image, tag, blob, file */
    INGOT_ERROR_EXISTS,      /* a name that may not be taken twice */
    INGOT_ERROR_CORRUPT,     /* bytes do not match their digest or their format */
    INGOT_ERROR_TOO_NEW,     /* a format version that this program does not know */
    INGOT_ERROR_NETWORK,     /* a peer that cannot be reached, stalls, or breaks off */
    INGOT_ERROR_DENIED,      /* a peer or the system refuses */
    INGOT_ERROR_NO_SPACE,    /* ENOSPC, EDQUOT */
    INGOT_ERROR_INTERRUPTED, /* the thread's GCancellable was cancelled, or a signal arrived; exit status 130 */
    INGOT_ERROR_LIMIT,       /* more than somebody has allowed: a size, a quota, a channel that others move */
    INGOT_ERROR_REFUSED,     /* a gate or a policy says no; exit status 3 */
} IngotError;

#define INGOT_ERROR (ingot_error_quark())
GQuark ingot_error_quark(void);

/* Sets *error from errnum as "MESSAGE: strerror" with the code that fits it; always returns FALSE. */
gboolean ingot_error_set_errno(GError **error, int errnum, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* The exit status a program ends with for this error: 0 for NULL, 2 for INVALID, 3 for REFUSED, 130 for INTERRUPTED,
 * else 1. */
int ingot_error_exit_status(const GError *error);

#pragma GCC visibility pop
G_END_DECLS
