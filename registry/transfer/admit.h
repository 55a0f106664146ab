/* Whether an image may be used by the policy that the options name (options.h, trust/policy.h).
 *
 * asked is how the image is asked for: HOST/NAME with its tag, or with its digest where that is what was given.
 * Signatures must be about this very manifest. REFUSED, with the policy's words: it may not, or the policy or a key
 * that it needs can't be read. */
#pragma once

#include <ingot/transfer.h>

/* Whether the policy asks anything of that image, or of a tag of its name, or can't be read. */
gboolean admit_asks(const IngotReference *asked, const IngotRemoteOptions *options);
/* The same of that tag, by a scope of its own, and of any image of a registry. */
gboolean admit_asks_of_tag(const IngotReference *asked, const IngotRemoteOptions *options);
gboolean admit_asks_anything(const IngotRemoteOptions *options);
/* Before the disk is fetched: by the signatures that are attached in the store or in the registry. */
gboolean admit_pull(IngotStore *store, IngotRemote *remote, const IngotReference *asked, const IngotDigest *image,
                    const IngotPullOptions *options, GError **error);
/* Of an image of the store, by what is attached there. */
gboolean admit_stored(IngotStore *store, const IngotReference *asked, const IngotDigest *image,
                      const IngotPullOptions *options, GError **error);
