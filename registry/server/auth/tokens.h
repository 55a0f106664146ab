/* Long tokens: what a machine logs in with in a user's place.
 *
 * A token is "ingot_ID_SECRET": 12 and 64 hexadecimal digits. Only the SHA-256 of the secret is kept, so it can be
 * shown once. Its rights are those that both its scopes and its user's give, now: a user who loses one takes it from
 * all. */
#pragma once

#include "server/auth/accounts.h"

typedef struct {
    char *id;
    char *user;
    char **scopes;
    gint64 created, expires; /* seconds */
} Token;
void token_free(Token *token);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Token, token_free)

/* Whether a text is written as a token is. */
gboolean token_looks_like(const char *text);

/* The token's text; free it. DENIED for a scope that the user doesn't have. */
char *tokens_create(Accounts *accounts, const char *user, const char *const *scopes, gint64 expires, GError **error);
/* By its text, or by its id alone; NOT_FOUND where it is unknown or the secret is another. It may have expired. */
Token *tokens_find(Accounts *accounts, const char *text, GError **error);
Token *tokens_find_id(Accounts *accounts, const char *id, GError **error);
/* The same from memory (*token NULL: it is unknown or the secret is another). FALSE: that is not known. */
gboolean tokens_recall(Accounts *accounts, const char *text, Token **token);
gboolean tokens_recall_id(Accounts *accounts, const char *id, Token **token);
gboolean tokens_remove(Accounts *accounts, const char *id, GError **error);
/* By user and time: GPtrArray of Token. */
GPtrArray *tokens_list(Accounts *accounts, GError **error);
