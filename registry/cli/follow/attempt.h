/* Attempt: that a follower has begun to run its command for an image, which has not ended well as far as is known. A
 * note in the follower's folder keeps it over the end of the follower and of the host. */
#pragma once

#include <ingot/digest.h>

#define ATTEMPT_MAX 8192u /* bytes of a note */

typedef struct {
    IngotDigest digest;
    guint tries;          /* in a row, of that image, with this one */
    gint64 since;         /* seconds: when it began, or when it failed */
    char *failure;        /* NULL: how it ended is not known */
    gboolean interrupted; /* the follower was ended, and has ended it */
} Attempt;
void attempt_clear(Attempt *attempt);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Attempt, attempt_clear)

/* Replaces the note, which lasts from then on. */
gboolean attempt_write(const Attempt *attempt, const char *path, GError **error);
/* FALSE: there is none, or it can't be read. */
gboolean attempt_read(Attempt *attempt, const char *path);
