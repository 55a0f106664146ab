/* Who makes a request, and what that gives on a name: the user's scopes, narrowed by those of the long token and by
 * what the access token grants, where there are such. Nothing is given that is not said here. */
#pragma once

#include "server/auth/bearer.h"
#include "server/auth/logins.h"
#include "server/auth/scopes.h"
#include "server/auth/users.h"

typedef struct Caller {
    enum { CALLER_NOBODY, CALLER_EVERYBODY, CALLER_USER } kind; /* EVERYBODY: there are no users, all may do all */
    guint64 network;                                            /* as network.h counts it */
    char *user;                                                 /* USER */
    gint64 serial;                                              /* of the user */
    char **scopes;                                              /* of the user */
    char *token;                                                /* id of a long token, or NULL */
    char **narrow;                                              /* its scopes */
    Grant *grant;                                               /* of an access token (of nobody's too), or NULL */

    gboolean waits;       /* for a pool to read its rows, or for its password to be checked */
    gboolean reads;       /* a pool has it: rows may be read */
    gboolean unread;      /* a row is not in memory */
    gboolean passed;      /* what the pool found */
    gboolean crowded;     /* no pool took it */
    gboolean checks;      /* its password is to be checked */
    char *claimed_name;   /* who it says it is, until then */
    User *claimed;        /* NULL: there is no such user */
    LoginVerdict verdict; /* then */
} Caller;

void caller_free(Caller *caller);
/* What the caller may do by all that was shown. anonymous: what anybody may do. */
guint caller_rights(const Caller *caller, guint anonymous, const char *name);
/* The same whatever the access token grants: what another one could. */
guint caller_rights_beyond(const Caller *caller, guint anonymous, const char *name);
