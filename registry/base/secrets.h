/* Secrets: values that no output may show. Each becomes "***" wherever it stands in a text.
 *
 * A value is also found as XML, JSON, YAML and the shell spell it, and, since output arrives in lines, line by line.
 * The process knows all secrets of all recipes that it has read; progress displays and the printer of a command's error
 * mask with them, so that no caller has to. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A list (of char *, freed by it) of all spellings of some secrets, longest first, without doubles. */
GPtrArray *ingot_secrets_new(void);
/* An empty value is not a secret. */
void ingot_secrets_add(GPtrArray *secrets, const char *value);
/* The text with "***" in place of every secret. secrets may be NULL. Free it. */
char *ingot_secrets_mask(const GPtrArray *secrets, const char *text);

/* The secrets of this process; thread safe. One of less than four bytes is passed over: it stands everywhere. */
void ingot_secrets_register(const char *value);
char *ingot_secrets_mask_all(const char *text); /* free it */
/* The same of a text that is to be shown: what ingot_text_clean leaves of it. Masked before and after, since an escape
 * sequence in the midst of a secret hides it, and a secret may have control characters itself. Free it. */
char *ingot_secrets_clean(const char *text);

G_END_DECLS
