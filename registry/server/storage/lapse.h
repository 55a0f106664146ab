/* Uploads that nobody goes on with: they are kept for a time, those that the full disk refused for a short one, and
 * then give their room back. None goes while a request, of any process, is at work on it. */
#pragma once

#include "server/storage/upload.h"

#define UPLOAD_REFUSED_REST 3 /* seconds within which the client of a refused one may still hear why */

/* There was no room for it: it is kept for UPLOAD_REFUSED_AGE, unless somebody goes on with it. */
void upload_refuse(Upload *upload);

/* When a folder is opened: uploads that an older version of this program began have no row, and get one. */
gboolean uploads_adopt(Storage *storage, GError **error);
/* Drops those that are kept no longer and are not being worked on, and with them what they count on; what is at hand of
 * those that another process has gone on with is forgotten. Whether there was any. */
gboolean uploads_drop_lapsed(Storage *storage);
/* Drops the largest of those that the full disk refused and that are not being worked on; whether there was any. */
gboolean uploads_drop_refused(Storage *storage);
/* The same, and files that no upload has. */
void uploads_sweep(Storage *storage);
