/* An upload: a blob on its way in, taken apart into pieces as it comes (incoming.h). Nothing of it is visible before it
 * is finished. */
#pragma once

#include "server/storage/inside.h"

#define UPLOAD_AGE ((gint64)24 * 3600)   /* seconds for which an upload is kept that nobody goes on with */
#define UPLOAD_REFUSED_AGE ((gint64)900) /* the same of one for which there was no room */

typedef struct Upload Upload;

void upload_unref(gpointer upload);
