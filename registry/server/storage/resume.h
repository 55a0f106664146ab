/* Going on with an upload: its state is kept from time to time, and read by whoever goes on with it, in this process or
 * another.
 *
 * What is kept was flushed before, so that what a row tells of is there after a power loss. What came behind it is
 * found again by the list, as far as it has its digests, and written once more. A state that was refused, or that
 * counts on pieces which have gone meanwhile, is not used: then all that came is read again, up to the first piece that
 * is not as the list says. */
#pragma once

#include "server/catalogue/uploadrows.h"
#include "server/storage/incoming.h"

/* Keeps what has come by now, where that has changed. EXISTS: another process has gone on with it. Where it can't be
 * flushed, nothing of the upload is at hand any more: it is resumed from what was kept before. */
gboolean upload_keep(Upload *upload, GError **error);
/* The same if much has come since it was kept, or long ago. */
gboolean upload_keep_sometimes(Upload *upload, GError **error);
/* Takes the upload over, which was reset, and whose memory is held (atrest_hold): reads what has come of it (all: also
 * since it was kept), and makes this process its owner. NOT_FOUND: nobody can go on with it any more. */
gboolean upload_resume(Upload *upload, const UploadRow *row, gboolean all, GError **error);
