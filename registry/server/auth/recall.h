/* Recall: the rows of accounts that requests have shown, kept in memory, so that an event loop need not read them.
 *
 * Invariant: what is recalled was read while the accounts' files looked as they do now: a change that any process makes
 * is seen by the next request. Thread safe. */
#pragma once

#include "server/auth/accounts.h"

/* FALSE: that is not known; it has to be read. */
gboolean recall_any(Accounts *accounts, gboolean *any);
/* The row of that kind and key: a copy, made by its kind; NULL: there is none. */
typedef gpointer (*RecallCopy)(gconstpointer row);
gboolean recall_row(Accounts *accounts, const char *key, RecallCopy copy, gpointer *row);

/* What was read, and how the files looked before. The row becomes the memory's (NULL: there is none). */
void recall_keep_any(Accounts *accounts, const AccountsLook *look, gboolean any);
void recall_keep_row(Accounts *accounts, const AccountsLook *look, const char *key, gpointer row, GDestroyNotify free);
