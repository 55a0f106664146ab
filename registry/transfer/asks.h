/* When a registry is asked for an image: the option --pull of commands. */
#pragma once

#include <ingot/transfer.h>

/* "missing" (NULL, too), "always" or "never"; INVALID otherwise, and where "always" is asked of a reference without a
 * host. */
gboolean ingot_pull_parse(const char *text, const IngotReference *reference, IngotPull *pull, GError **error);
/* Whether the registry is to be asked, where the store does not give the image; problem: why it does not (NULL: it was
 * not looked at). */
gboolean ingot_pull_asks(IngotPull pull, const IngotReference *reference, const GError *problem);
