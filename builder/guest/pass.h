/* A person's command in a guest whose session is there already: for machines that let nobody in by ssh.
 *
 * What the command prints arrives byte for byte, stdout and stderr apart, while it runs: the session carries lines, so
 * the bytes go through it as hex, each run of lines behind a line with the stream's letter. */
#pragma once

#include "guest/guest.h"

/* Runs the words (NULL-terminated) as they are, as root, without input; what they print goes to the two descriptors of
 * this host. *status is the command's. */
gboolean pass_run(Guest *guest, const char *const *words, int out, int err, int *status, GError **error);
