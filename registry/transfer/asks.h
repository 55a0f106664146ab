/* When a registry is asked for an image: the option --pull of commands. */
#pragma once

#include <ingot/transfer.h>

/* "missing" (NULL, too), "always" or "never"; INVALID otherwise, and where "always" is asked of a reference without a
 * host. */
gboolean ingot_pull_parse(const char *text, const IngotReference *reference, IngotPull *pull, GError **error);
/* The same for what is said of the image that a reference names now, as by a signature or a test: without a text, the
 * registry is always asked for a tag of it that may move (any but a version), whatever the store has by that name. */
gboolean ingot_pull_parse_current(const char *text, const IngotReference *reference, IngotPull *pull, GError **error);
/* Whether the registry is to be asked, where the store does not give the image; problem: why it does not (NULL: it was
 * not looked at). */
gboolean ingot_pull_asks(IngotPull pull, const IngotReference *reference, const GError *problem);
