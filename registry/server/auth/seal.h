/* A seal: a keyed hash of a text, short enough for a URL, that only this registry can make.
 *
 * What it seals begins with a word for its purpose ("upload", "pass"), so that a seal of one kind never opens another.
 * Nothing is kept for it. What a former key has sealed opens until that key ends. */
#pragma once

#include <glib.h>

#include "server/auth/accounts.h"

#define SEAL_DIGITS 32 /* of hex: 128 bits */

/* Free it. */
char *seal_of(Accounts *accounts, const char *text);
/* Whether the seal is that of the text; the time that it takes tells nothing of the right one. */
gboolean seal_opens(Accounts *accounts, const char *text, const char *seal);
