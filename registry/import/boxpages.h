/* Lists that come in pages, and what HCP tells of a box in documents of its own. */
#pragma once

#include "vagrant/catalogue.h"

#define BOX_PAGES_MAX 5000u /* of a list */

/* A document of the site; *at: the URL that it came from (free it). */
typedef GBytes *(*BoxGet)(const char *url, gsize limit, char **at, gpointer user, GError **error);

/* What the documents of a box may have yet. */
typedef struct {
    gsize bytes, entries; /* entries: versions and providers */
} BoxRoom;

/* Each page of a HCP list at the URL, up to the last. FALSE from take: it ends, with an error. */
typedef gboolean (*BoxPageTake)(VagrantPage *page, gpointer user, GError **error);
typedef struct {
    BoxGet get;
    gpointer site;
    BoxPageTake take;
    gpointer user;
    BoxRoom *room; /* NULL: what is taken of the pages has its own bound */
} BoxPages;
gboolean box_pages(const BoxPages *pages, const char *url, const char *org, GError **error);

/* Versions, providers and architectures that a HCP box's own document leaves out, together no more than one document
 * may have (LIMIT). url: the document's. */
gboolean box_pages_complete(const char *url, VagrantBox *box, BoxGet get, gpointer site, GError **error);
