/* Runs a follower's command for one image. */
#pragma once

#include <glib.h>

typedef struct {
    const char *command; /* for sh */
    const char *reference, *digest, *version, *disk;
    const char *marker; /* where its shell writes the digest, once the command ended well */
    int turn;           /* an open file that the shell keeps open until then */
} Deployment;

/* *status: the command's, as a shell tells it (128 and more: a signal). FALSE: it could not be started, or INTERRUPTED:
 * the program is to end, and so did the command, by SIGTERM, or by SIGKILL where that was not enough for 30 s. */
gboolean deploy_run(const Deployment *deployment, int *status, GError **error);
