/* What a follower (cli/follow) has deployed on this host, for whoever asks. */
#pragma once

#include <ingot/digest.h>
#include <ingot/reference.h>

/* Where a channel's follower has its folder, unless it is told another. Free it. */
char *deployed_folder(const IngotReference *channel);
/* The file in it that holds the digest of the last image for which the command ended well. Free it. */
char *deployed_marker(const char *folder);
/* What that says, whoever has the folder now; NOT_FOUND. */
gboolean deployed_last(const char *folder, IngotDigest *digest, GError **error);
