/* Running mmdebstrap so that nothing of it stays behind, however this process ends.
 *
 * As root it gets namespaces of its own for processes and mounts: the kernel ends all of it with its parent, and no
 * mount ever shows on the host. Without root mmdebstrap makes its own namespaces; it unpacks in a folder that its
 * mapped users can reach, and what a killed run left there is removed as those users by the next. */
#pragma once

#include <glib.h>

typedef struct {
    const char *suite;
    const char *sources;  /* lines "deb …" */
    const char *packages; /* separated by commas */
    const char *apt_conf; /* path of a file of settings for apt */
    gint64 time;          /* SOURCE_DATE_EPOCH */
    const char *tar;      /* the archive to write */
    const char *workdir;
} MmdebstrapOptions;

gboolean mmdebstrap_run(const MmdebstrapOptions *options, GError **error);
