/* Images that are kept in memory for those who ask next: the ones used last, within IMAGE_CACHE_MAX bytes. The one used
 * last of all is kept whatever it takes, so that the many requests of one client share it. Thread safe. */
#pragma once

#include "server/views/image.h"

#define IMAGE_CACHE_MAX ((gsize)64 << 20) /* bytes */

typedef struct ImageCache ImageCache;

ImageCache *image_cache_new(void);
void image_cache_free(ImageCache *cache);
/* A reference; NULL: it is not kept. */
ViewImage *image_cache_find(ImageCache *cache, const char *name, const IngotDigest *manifest);
/* In the place of one that it has of the same manifest. */
void image_cache_add(ImageCache *cache, ViewImage *image);
/* Lets go of those of which that is true; NULL: of all. */
void image_cache_drop(ImageCache *cache, gboolean (*is_gone)(const ViewImage *image, gpointer user), gpointer user);
