/* A seal: a keyed hash of a text, short enough for a URL, that only this registry can make.
 *
 * What it seals begins with a word for its purpose ("upload", "pass"), so that a seal of one kind never opens another.
 * Nothing is kept for it. Pure functions. */
#pragma once

#include <glib.h>

#include "server/auth/accounts.h"

#define SEAL_DIGITS 32 /* of hex: 128 bits */

/* Free it. */
char *seal_of(const Accounts *accounts, const char *text);
/* Whether the seal is that of the text; the time that it takes tells nothing of the right one. */
gboolean seal_opens(const Accounts *accounts, const char *text, const char *seal);
