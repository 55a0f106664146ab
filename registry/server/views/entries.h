/* The images that a reference stands for: one, or those of an index (an OCI image index, which has one for each
 * architecture, or for each kind of box). */
#pragma once

#include "server/views/view.h"

#define VIEW_ENTRIES_MAX 256u /* of an index; what stands behind them is not looked at */

/* GArray of IngotDigest, in the index's order, of those that are images of Ingot's and are here. */
GArray *view_entries(Storage *storage, const char *name, const IngotDigest *manifest);

/* Which of them a format is asked of (NULL: no format is): of those that are meant for it the first
 * of the architecture (in Vagrant's or anybody's words; NULL: amd64, else the only one there is). INVALID: there is
 * none, or it is not said which of several. One that is no index is taken as it is. */
gboolean view_choose(Views *views, const char *name, const IngotDigest *manifest, const char *format,
                     const char *architecture, IngotDigest *image, GError **error);
