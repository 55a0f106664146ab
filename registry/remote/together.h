/* What a tag names, changed by several at once: each reads it, and writes it again with something more.
 *
 * Some registries write only over what was read, where they are told what that was; most write whatever comes last, so
 * that two who have read the same lose what the one has added. So each looks again, after as long as it took itself to
 * read and write, and adds its own once more where it is gone; after a while that is another's by chance. */
#pragma once

#include <ingot/remote.h>

typedef struct {
    /* Reads it; *has: all is there. */
    gboolean (*read)(gpointer user, gboolean *has, GError **error);
    /* Writes what was read, and what is to be added. TRUE, too, where the registry did not, since it has another one
     * by now. */
    gboolean (*write)(gpointer user, GError **error);
    gpointer user;
} Together;

/* *has: all is there, as it was read last; FALSE: it was written `most` times, and others have taken it away each time.
 * FALSE, where either function fails, or the process is to end. */
gboolean together_write(IngotRemote *remote, const Together *work, guint most, gboolean *has, GError **error);
