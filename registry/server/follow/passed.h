/* Passed: which version hosts have behind them that run an image without one. Its tag may be gone by now, as that of a
 * bad version which was rolled back and removed, or the image was promoted by its digest: it is not older than
 * everything for that. It came to its hosts by the channel, behind what that named before. Pure functions. */
#pragma once

#include <glib.h>
#include <ingot/digest.h>

/* The newest version that the channel named before it first came to the image by something else than a rollback, and
 * that no rollback had taken back by then. moves: of the channel (moves.h), the newest first; versions: by digests, as
 * texts. NULL: none, or the channel has never come to it. It belongs to versions. */
const char *passed_version(const GArray *moves, GHashTable *versions, const IngotDigest *image);
