/* Masking: a secret's value becomes "***" wherever it would be shown or kept.
 *
 * A value of several lines is masked line by line as well, since output arrives in lines. */
#pragma once

#include <glib.h>

/* Adds what must be masked for a value; the list (of char *) stays ordered longest first, without doubles. */
void mask_add(GPtrArray *secrets, const char *value);
/* Free the result. secrets may be NULL. */
char *mask_text(const GPtrArray *secrets, const char *text);
