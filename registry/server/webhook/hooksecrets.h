/* Secrets that pipelines name, so that none stands in a pipeline's text: the ledger (follow/ledger.h) has them, with
 * where whoever keeps the server lets a check of theirs go. Each is for one URL and some names: whoever may write a
 * pipeline sends with it nothing to anywhere else, and nothing about other names. Thread safe. */
#pragma once

#include <glib.h>

#include "server/catalogue/database.h"

typedef struct {
    char *name, *secret;
    char *url, *pattern;                /* what it is for: the URL as a pipeline has it, and repositories' names */
    gboolean allow_private, allow_http; /* hookpost.h */
} HookSecret;
void hook_secret_free(HookSecret *secret);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HookSecret, hook_secret_free)

/* INVALID: a name is 1 to 64 letters, digits, dots, dashes and underscores. */
gboolean hook_secret_name_check(const char *name, GError **error);
/* In the place of the one that has the name. INVALID. */
gboolean hook_secrets_put(Database *ledger, const HookSecret *secret, GError **error);
/* NOT_FOUND says which command puts one there. */
HookSecret *hook_secrets_find(Database *ledger, const char *name, GError **error);
gboolean hook_secrets_remove(Database *ledger, const char *name, GError **error);
/* Of HookSecret *, which it owns, by name; without the secrets themselves. */
GPtrArray *hook_secrets_list(Database *ledger, GError **error);

/* Whether that URL may be asked with it about that repository. */
gboolean hook_secret_is_for(const HookSecret *secret, const char *url, const char *name);
