/* An image on its way to a site, and the two things that it becomes there. */
#pragma once

#include <ingot/store.h>

#include "base/file.h"
#include "cli/publish/site.h"
#include "vagrant/catalogue.h"

typedef struct {
    Site *site;
    IngotStore *store;
    IngotWorkdir *work; /* of the boxes, until they are sent */
    IngotProgress *progress;
    const char *base;             /* the site's URL, without a slash at the end */
    const char *const *providers; /* whose boxes are made; NULL: of all that the image can have */
    guint64 max_size;             /* bytes that an object may have */
    const IngotImage *image;
    const char *name, *tag;   /* as it is called there */
    const char *architecture; /* as Vagrant calls it; NULL: not known */
    const VagrantBox *words;  /* what its registry's catalogue says of the name; NULL: nothing */
    const char *words_tag;    /* the version there */
} Publication;

/* The image in the site's OCI layout, oci/, with all that is attached to it: blobs first, then index.json. A version
 * never changes: EXISTS where that name is another image of the architecture there. */
gboolean publish_layout(const Publication *publication, GError **error);
/* The same question before anything is made. *there: it is that image. */
gboolean publish_layout_check(const Publication *publication, gboolean *there, GError **error);

/* Its boxes, boxes/NAME/TAG/PROVIDER/ARCHITECTURE.box, and then its name's catalogue, NAME and NAME.json. again: the
 * image was there already, and a box of it that the catalogue has is the same. */
gboolean publish_boxes(const Publication *publication, gboolean again, GError **error);
