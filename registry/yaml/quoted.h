/* Quoted scalars: the text that stands between quotes (YAML 1.2, sections 5.7 and 7.3).
 *
 * libfyaml 0.7 finds where they begin and end and refuses unknown escapes, but cuts the text of some: of single-quoted
 * ones with several quotes in a row, and of double-quoted ones that are folded or end in an escaped blank. */
#pragma once

#include <glib.h>

/* raw: what is between the quotes, length bytes of UTF-8; quote: which they are. Returns the text, size bytes and a
 * NUL, or NULL for an escape that is no character. Free it. */
char *quoted_text(const char *raw, gsize length, char quote, gsize *size);
