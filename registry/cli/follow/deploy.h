/* Runs a follower's command for one image. */
#pragma once

#include <glib.h>

#define DEPLOY_GRACE 30000  /* milliseconds between SIGTERM and SIGKILL */
#define DEPLOY_EVERY 900000 /* milliseconds: 15 minutes */

typedef struct {
    const char *command; /* for sh */
    const char *reference, *digest, *version;
    char **disks;                   /* paths: one at least */
    const char *note, *marker;      /* once the command ended well, its shell puts the digest in the note, which then
                                       becomes the marker, and lasts */
    int turn;                       /* an open file that the shell keeps open until then */
    int grace;                      /* DEPLOY_GRACE, but for tests */
    int every;                      /* milliseconds: DEPLOY_EVERY, but for tests */
    void (*started)(gpointer user); /* called once the command runs */
    void (*runs)(gpointer user);    /* called each `every` while it does */
    gpointer user;
} Deployment;

/* *status: the command's, as a shell tells it (128 and more: a signal). FALSE: it could not be started, or INTERRUPTED:
 * the program is to end. Then the command and what it started, but for what has a session of its own, has been ended by
 * SIGTERM, or by SIGKILL where that was not enough; what ended well all the same is marked so. */
gboolean deploy_run(const Deployment *deployment, int *status, GError **error);
