/* Mirroring: repositories of another registry whose names match a pattern, with all their tags, versions and what is
 * attached to them, are copied here. What is here and not there stays, and so do the channels of copy.h. */
#pragma once

#include <gio/gio.h>

#include "server/storage/storage.h"

typedef struct {
    guint64 repositories;     /* that matched */
    guint64 manifests, blobs; /* that were not here */
    guint64 tags;             /* that were new, or named another manifest */
    guint64 received;         /* bytes of blobs that came over the network */
    guint64 failed;           /* tags that could not be copied, repositories whose tags could not be listed */
    guint64 left;             /* attachments that could not be copied */
    guint64 kept;             /* channels that name something else here than there, and stay */
} MirrorReport;

typedef struct {
    const char *from;                              /* HOST[:PORT], or a URL whose scheme is kept */
    const char *pattern;                           /* * is any run of characters */
    void (*tell)(const char *line, gpointer user); /* hears of each tag that is copied, and of each that can't be */
    gboolean (*goes_on)(gpointer user, GError **error); /* FALSE: give up */
    gpointer user;
} MirrorOptions;

/* FALSE: the other registry's list can't be had, or it was given up. */
gboolean mirror_run(Storage *storage, const MirrorOptions *options, MirrorReport *report, GError **error);
