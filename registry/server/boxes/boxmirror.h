/* Mirroring a catalogue of Vagrant boxes: those of a site (import/boximport.h) become images here, and what is said of
 * them is told here too: descriptions, versions, providers, architectures (boxrecords.h).
 *
 * A version is released when all of its boxes have come that can; those that come later stand behind them. What was
 * taken is not fetched again: its provider's record has "source", {"url", "checksum", "checksum_type"}. A box of a
 * version that was released stays what it is, whatever the site says then. A version that was published here, released
 * or not, stays as it is, and so does what a publisher here has said of a box. */
#pragma once

#include "import/boximport.h"
#include "server/storage/storage.h"

typedef struct {
    const char *from;                                   /* the site's URL */
    const char *const *names;                           /* as BoxImport has them */
    void (*tell)(const char *line, gpointer user);      /* hears of each box that is taken, left out, or can't be had */
    gboolean (*goes_on)(gpointer user, GError **error); /* FALSE: give up; any thread asks */
    gpointer user;
} BoxMirror;

/* *released: versions. FALSE: the site can't be asked, there is no room, or it was given up. */
gboolean box_mirror(Storage *storage, const BoxMirror *mirror, BoxReport *report, guint64 *released, GError **error);
