/* Tokens of ingotd's for programs that nobody logs in: $INGOT_TOKEN's. Each is for one registry and is shown to no
 * other, whatever a registry says of itself.
 *
 * The variable holds one or several, with blanks or newlines between them: HOST[:PORT]=TOKEN names the registry. A
 * TOKEN alone is for the one that $INGOT_TOKEN_HOST names, and without that variable for loopback addresses. */
#pragma once

#include <glib.h>

/* The texts of both variables, or what stands for them in the options; each may be NULL. */
typedef struct {
    const char *tokens, *host;
} LongTokens;

/* *token: the one for that HOST[:PORT], asked by that scheme (a port that is the scheme's own may be left out); NULL
 * where there is none. The first that is named for it counts. INVALID: the variables can't be read. */
gboolean long_tokens_find(const LongTokens *all, const char *host, const char *scheme, char **token, GError **error);
/* Whether there is a token of which nobody has said where it belongs. */
gboolean long_tokens_is_homeless(const LongTokens *all);
/* Whether a text is written as tokens are. */
gboolean long_token_check(const char *text);
