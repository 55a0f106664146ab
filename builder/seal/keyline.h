/* The build's own line in an authorized_keys file, told from everybody else's by the key itself and not by its comment.
 */
#pragma once

#include <glib.h>

/* The text without the lines that hold the public key of `line` ("ssh-ed25519 AAAA… comment"), every other byte as it
 * was; NULL where it has none. Free it. */
char *keyline_remove(const char *text, const char *line);
