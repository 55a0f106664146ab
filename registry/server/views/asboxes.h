/* What an image is as boxes of Vagrant's: for which providers, and the SHA-256 of each box's file.
 *
 * That is worked out of the image once and kept with it (storage_measure), so a catalogue of many versions reads no
 * index. It is kept when all sums are known; before, some are missing. Thread safe. */
#pragma once

#include "server/views/view.h"
#include "vagrant/providers.h"

typedef struct {
    const VagrantForm *form;
    char sum[2 * sizeof(IngotDigest) + 1]; /* hex; "": it is not known yet */
} AsBox;

typedef struct {
    char *architecture; /* Vagrant's word, "unknown" where the image has none */
    GArray *boxes;      /* of AsBox, in the order of vagrant_forms */
    gboolean is_whole;  /* all sums are known */
    gboolean is_here;   /* its disk is; else an upstream may have it */
} AsBoxes;
void as_boxes_free(AsBoxes *boxes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AsBoxes, as_boxes_free)

/* Of an image of the repository. NOT_FOUND, REFUSED: as for views_image; VIEW_ERROR_BUSY. */
AsBoxes *as_boxes(Views *views, const char *name, const IngotDigest *manifest, GError **error);
