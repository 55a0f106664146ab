/* Running mmdebstrap so that nothing of it stays behind, however this process ends.
 *
 * It gets namespaces of its own for processes and mounts (without root in one for users first, where the kernel
 * allows): the kernel ends all of it with its parent, and no mount ever shows on the host. What it unpacks lies in the
 * work folder. */
#pragma once

#include <glib.h>

typedef struct {
    const char *suite;
    const char *sources;  /* lines "deb …" */
    const char *packages; /* separated by commas */
    const char *pattern;  /* of apt, for further packages */
    const char *apt_conf; /* path of a file of settings for apt */
    gint64 time;          /* SOURCE_DATE_EPOCH */
    const char *tar;      /* the archive to write */
    const char *workdir;
} MmdebstrapOptions;

gboolean mmdebstrap_run(const MmdebstrapOptions *options, GError **error);

/* Removes a work folder of a run, also of one that was killed: then other users' files may be in it. */
gboolean mmdebstrap_sweep(const char *workdir, GError **error);
