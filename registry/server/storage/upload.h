/* An upload: a blob on its way in, taken apart into pieces as it comes (incoming.h). Nothing of it is visible before it
 * is finished. */
#pragma once

#include "server/storage/inside.h"

#define UPLOAD_AGE ((gint64)24 * 3600)   /* seconds for which an upload is kept that nobody goes on with */
#define UPLOAD_REFUSED_AGE ((gint64)900) /* the same of one for which there was no room */

#define UPLOAD_REFUSED_REST 3 /* within which its client may still hear why */

typedef struct Upload Upload;

void upload_unref(gpointer upload);
/* When a folder is opened: uploads that an older version of this program began have no row, and get one. */
gboolean uploads_adopt(Storage *storage, GError **error);
/* Drops those that are kept no longer and are not being worked on, and with them what they count on; what is at hand of
 * those that another process has gone on with is forgotten. Whether there was any. */
gboolean uploads_drop_lapsed(Storage *storage);
/* Drops the largest of those that the full disk refused and that are not being worked on; whether there was any. */
gboolean uploads_drop_refused(Storage *storage);
/* The same, and files that no upload has. */
void uploads_sweep(Storage *storage);
