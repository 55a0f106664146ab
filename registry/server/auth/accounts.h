/* DIR/users.sqlite: where users and tokens are kept, apart from what they may reach.
 *
 * Several processes have it open at once: the server reads it at each request, verbs change it. A change is on the disk
 * when the function that makes it returns. Its owner alone may read it. Thread safe; users.h and tokens.h are its rows.
 */
#pragma once

#include <glib.h>
#include <sqlite3.h>

#define ACCOUNTS_KEY_SIZE 32 /* bytes */

typedef struct Accounts Accounts;

/* Makes folder and file where they are missing, brings an older schema up to date; TOO_NEW for a newer one. */
Accounts *accounts_open(const char *folder, GError **error);
void accounts_close(Accounts *accounts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Accounts, accounts_close)

/* The key that access tokens are signed with; made once, never told. */
const guint8 *accounts_key(const Accounts *accounts);

/* A statement with its parameters bound, under the database's lock until accounts_end, which is due even if this is
 * NULL with an error. types: 's' text (may be NULL), 'i' gint64, 'b' blob as two: data, gsize. Bound data must live
 * until accounts_end. */
sqlite3_stmt *accounts_begin(Accounts *accounts, GError **error, const char *sql, const char *types, ...);
/* SQLITE_ROW or SQLITE_DONE, else 0 with an error. */
int accounts_step(Accounts *accounts, sqlite3_stmt *statement, GError **error);
void accounts_end(Accounts *accounts, sqlite3_stmt *statement);
/* All of that for a statement without rows; *changed (may be NULL): rows that it changed. */
gboolean accounts_change(Accounts *accounts, int *changed, GError **error, const char *sql, const char *types, ...);
/* A text column as a copy; free it. */
char *accounts_text(sqlite3_stmt *statement, int column);

/* Bytes from the kernel's generator. */
gboolean accounts_random(guint8 *bytes, gsize size, GError **error);
