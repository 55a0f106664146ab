/* Users: a name, the hash of a password, scopes.
 *
 * A user's serial is a random number that changes with the password and is another one when a name is given again: what
 * was issued to the former is worth nothing. */
#pragma once

#include "server/auth/accounts.h"

typedef struct {
    char *name;
    char *password; /* its hash */
    char **scopes;
    gint64 serial;
    gint64 created; /* seconds */
} User;
void user_free(User *user);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(User, user_free)

/* A letter or digit, then at most 63 of letters, digits, '.', '_', '-', '@'. INVALID. */
gboolean user_name_check(const char *name, GError **error);

/* password is a hash; EXISTS, INVALID. */
gboolean users_add(Accounts *accounts, const char *name, const char *password, const char *const *scopes,
                   GError **error);
gboolean users_set_password(Accounts *accounts, const char *name, const char *password, GError **error);
/* Tokens go with their user. The last one stays (DENIED) unless that is asked for: without any, all is open. */
gboolean users_remove(Accounts *accounts, const char *name, gboolean last_too, GError **error);
/* NOT_FOUND. */
User *users_find(Accounts *accounts, const char *name, GError **error);
/* The same from memory (*user NULL: there is none). FALSE: that is not known. */
gboolean users_recall(Accounts *accounts, const char *name, User **user);
/* By name: GPtrArray of User. */
GPtrArray *users_list(Accounts *accounts, GError **error);
gboolean users_any(Accounts *accounts, gboolean *any, GError **error); /* recall_any: from memory */
