/* The lines that builds have put into an authorized_keys file. A kept disk may hold that of an earlier build, or of
 * another host's: so a line is a build's where it has this build's key, or a comment that is exactly that of all
 * builds' keys. */
#pragma once

#include <glib.h>

/* The text without the lines that hold the key or end in the comment of `line` ("ssh-ed25519 AAAA… comment"), every
 * other byte as it was; NULL where it has none. Free it. */
char *keyline_remove(const char *text, const char *line);
