/* The images that a reference stands for: one, or those of an index (an OCI image index, which has one for each
 * architecture, or for each kind of box). */
#pragma once

#include "server/views/view.h"

#define VIEW_ENTRIES_MAX 256u /* of an index; what stands behind them is not looked at */

/* GArray of IngotDigest, in the index's order, of those that are images of Ingot's and are here. */
GArray *view_entries(Storage *storage, const char *name, const IngotDigest *manifest);

/* What is asked for by the digest of an index, or of an image. */
typedef struct {
    const char *name;
    const IngotDigest *manifest;
    const char *format;       /* NULL: none */
    const char *architecture; /* in Vagrant's or anybody's words; NULL: amd64, else the only one there is */
    IngotDiskGate gate;       /* asked before each image that is looked at; NULL: nothing ends it early */
    gpointer user;
} ViewWish;

/* Which image is meant: of those that are for the format, the first of the architecture; of those, an index says by its
 * platforms which are looked at first. A manifest that is not an index is taken as it is.
 *
 * INVALID: there is none, or it is not said which of several. An image that may be meant and can't be had is an error,
 * never passed over for another: REFUSED, it is withheld, or the index is; NOT_FOUND, it or what describes it is not
 * here; VIEW_ERROR_BUSY; the gate's. */
gboolean view_choose(Views *views, const ViewWish *wish, IngotDigest *image, GError **error);
