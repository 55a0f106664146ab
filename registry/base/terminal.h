/* What a command prints while it works, on stderr, secrets masked: a bar on a terminal (drawn anew every second by a
 * thread), plain lines elsewhere, nothing but warnings if quiet. Several things that go on at once share the terminal's
 * last line; each line has the name of its own before it. */
#pragma once

#include <ingot/progress.h>

IngotProgress *terminal_progress_new(gboolean quiet);
/* Every line of this progress goes to a file too, also where it is quiet; an older file is replaced. */
gboolean terminal_progress_log(IngotProgress *progress, const char *path, GError **error);
