/* Scopes: texts like "push:*" that say what somebody may do to which repositories.
 *
 * A pattern's '*' stands for any run of characters, '/' among them. push, promote and delete imply pull, admin implies
 * all. Whoever has several scopes has what any of them gives; what no scope gives is not allowed. Pure functions. */
#pragma once

#include <glib.h>

typedef enum {
    ACCESS_PULL = 1 << 0,
    ACCESS_PUSH = 1 << 1,
    ACCESS_PROMOTE = 1 << 2,
    ACCESS_DELETE = 1 << 3,
    ACCESS_ADMIN = 1 << 4,
} AccessRight;
#define ACCESS_ALL (ACCESS_PULL | ACCESS_PUSH | ACCESS_PROMOTE | ACCESS_DELETE | ACCESS_ADMIN)

/* "push" -> ACCESS_PUSH; 0: no such right. And back. */
guint access_right_parse(const char *word);
const char *access_right_name(AccessRight right);

/* INVALID errors tell the grammar. */
gboolean scope_check(const char *text, GError **error);
/* The rights (AccessRight, or-ed) that a list ended by NULL gives on a repository's name. */
guint scopes_rights(const char *const *scopes, const char *name);
/* Whether one of the list gives all that another scope gives, on every name. */
gboolean scopes_cover(const char *const *scopes, const char *scope);

/* Lists are kept as one text, with spaces between; free what comes. */
char *scopes_to_text(const char *const *scopes);
char **scopes_of_text(const char *text);
