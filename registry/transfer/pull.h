/* Pulls for callers that know more of an image's names than the reference has. */
#pragma once

#include <ingot/transfer.h>

/* ingot_transfer_pull, named NAME:TAG whatever the reference says. A policy judges what is asked for by its digest as
 * that. */
gboolean pull_as(IngotStore *store, IngotReference *reference, const char *tag, const IngotPullOptions *options,
                 IngotDescriptor *manifest, guint64 *received, GError **error);
/* The same of NAME:TAG@DIGEST, where the registry has just given the digest for the tag: named by the tag, and judged
 * by a policy as what is asked for by it. */
gboolean pull_found(IngotStore *store, IngotReference *reference, const IngotPullOptions *options, GError **error);
/* ingot_transfer_image of NAME:TAG@DIGEST, where the digest is that of an image of the index that the registry has just
 * given for the tag: the image is named by its digest alone, and judged by a policy as what is asked for by the tag. */
IngotImage *pull_entry(IngotStore *store, IngotReference *reference, IngotPull pull, const IngotPullOptions *options,
                       GError **error);
/* pull_found of a tag that named `before` in the store (NULL: nothing) when the registry was asked for it. Where
 * another process has moved it since, it stays as it is, and the image is named by its digest alone. */
gboolean pull_since(IngotStore *store, IngotReference *reference, const char *tag, const IngotDigest *before,
                    const IngotPullOptions *options, GError **error);
/* Fetches what is missing or damaged of an image that the store names: no name is given, and none moves. */
gboolean pull_again(IngotStore *store, IngotReference *reference, const IngotPullOptions *options, GError **error);
