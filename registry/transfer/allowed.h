/* Whether an image may be used, by what its registry has said of it (store/standing.h), and by the policy (admit.h). */
#pragma once

#include <ingot/transfer.h>

#include "base/json.h"

/* What the registry says of the manifest that the remote was asked for last: {"said", "base"}. */
json_t *allowed_words(const IngotRemote *remote);
/* Notes that of an image of the store. image NULL: of the one that the words name, which was refused; nothing is noted
 * where it is not there. */
void allowed_note(IngotStore *store, const json_t *words, const IngotReference *reference, const IngotDigest *image);
/* REFUSED: it is revoked or disabled, and the options do not allow that, or the policy does not. Else progress warns of
 * what was said, of the image and of a base that it stands on. asked: by a tag or by a digest (admit.h). */
gboolean allowed_check(IngotStore *store, const IngotReference *asked, const IngotDigest *image,
                       const IngotPullOptions *options, GError **error);
/* The same of an image of the store, as the reference found it. */
gboolean allowed_stored(IngotStore *store, const IngotReference *reference, const IngotStoreEntry *entry,
                        const IngotPullOptions *options, GError **error);
