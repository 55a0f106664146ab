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

/* The keys that access tokens and seals are signed with; never told. The first one signs. The others did, before a
 * rotation, and what they signed is accepted until their end. */
#define ACCOUNTS_KEYS 8
typedef struct {
    guint8 bytes[ACCOUNTS_KEYS][ACCOUNTS_KEY_SIZE];
    guint count;
} AccountsKeys;
/* As they are now, whichever process has rotated them; clear them after use. */
void accounts_keys(Accounts *accounts, AccountsKeys *keys);
void accounts_keys_clear(AccountsKeys *keys);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AccountsKeys, accounts_keys_clear)
/* A new key signs from now on; those before are accepted until then at most (seconds since 1970). Of more than there is
 * room for the oldest ends at once. */
gboolean accounts_rotate(Accounts *accounts, gint64 until, GError **error);
/* How many former keys are accepted still, and until when the last of them is (0: there is none). */
gboolean accounts_former_keys(Accounts *accounts, guint *count, gint64 *until, GError **error);

/* Another key in its place: no access token, upload or link that was signed before counts any more. */
gboolean accounts_renew_key(Accounts *accounts, GError **error);

/* What the rows look like from outside, which is another thing once any process has changed one, and not before: to see
 * whether that is so without the locks and reads that a query takes. The head of SQLite's index of its log, which is
 * shared memory: a commit counts from the moment at which it stands there (https://www.sqlite.org/walformat.html,
 * section 2.1). */
#define ACCOUNTS_LOOK 96 /* bytes: the head, twice */
typedef struct {
    guint8 head[ACCOUNTS_LOOK];
} AccountsLook;
void accounts_look(Accounts *accounts, AccountsLook *look);
/* What was read of it, and how the files looked before; under a lock of its own (recall.h). */
typedef struct {
    GMutex lock;
    gboolean known, any; /* whether there are users */
    GHashTable *rows;    /* by kind and key; NULL: nothing is known */
    AccountsLook look;
} AccountsMemory;
AccountsMemory *accounts_memory(Accounts *accounts);

/* Its rows are read and changed there. */
Database *accounts_database(const Accounts *accounts);
