/* DIR/users.sqlite: where users and tokens are kept, apart from what they may reach.
 *
 * Several processes have it open at once: the server reads it at each request, verbs change it. A change is on the disk
 * when the function that makes it returns. Its owner alone may read it. Thread safe; users.h and tokens.h are its rows.
 */
#pragma once

#include "server/catalogue/database.h"

#define ACCOUNTS_KEY_SIZE 32 /* bytes */

typedef struct Accounts Accounts;

/* Makes folder and file where they are missing, brings an older schema up to date; TOO_NEW for a newer one. */
Accounts *accounts_open(const char *folder, GError **error);
void accounts_close(Accounts *accounts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Accounts, accounts_close)

/* The key that access tokens are signed with; made once, never told. */
const guint8 *accounts_key(const Accounts *accounts);

/* Another key in its place: no access token, upload or link that was signed before counts any more. */
gboolean accounts_renew_key(Accounts *accounts, GError **error);

/* What the files look like from outside, which is another thing when any process has changed a row: to see whether that
 * is so without the locks that a query takes. */
typedef struct {
    guint64 size, time, file; /* of its log, to which every change goes: bytes, nanoseconds, number */
} AccountsLook;
void accounts_look(const Accounts *accounts, AccountsLook *look);
/* The last answer to users_any, and how the files looked before it; under a lock of its own. */
typedef struct {
    GMutex lock;
    gboolean known, any;
    AccountsLook look;
} AccountsMemory;
AccountsMemory *accounts_memory(Accounts *accounts);

/* Its rows are read and changed there. */
Database *accounts_database(const Accounts *accounts);
