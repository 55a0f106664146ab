/* Passwords: kept as yescrypt hashes by crypt(3), compared in a time that tells nothing.
 *
 * A check takes about a tenth of a second and 64 MiB, also where there is no such user. Thread safe. */
#pragma once

#include <glib.h>

/* INVALID, with the rule that it breaks. */
gboolean password_check(const char *password, GError **error);
/* "$y$…"; free it. */
char *password_hash(const char *password, GError **error);
/* hash NULL: nobody's; FALSE, after as long a time. */
gboolean password_verify(const char *password, const char *hash);
