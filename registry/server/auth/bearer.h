/* Access tokens: JSON web tokens (RFC 7519), signed by HS256 with the registry's key, good for as long as is said when
 * they are made.
 *
 * A token says to whom it was given and which rights were granted on which names; it never says more than its bearer
 * may at the moment of its use, since both are asked. A token of any other algorithm, and one without an end, is
 * forged. */
#pragma once

#include <glib.h>

#define BEARER_AHEAD 300 /* seconds: as far a token may begin in the future, where clocks differ */

typedef struct {
    char *user;         /* NULL: anybody */
    gint64 serial;      /* of the user, see users.h */
    char *token;        /* id of the long token that it was fetched with, or NULL */
    GHashTable *rights; /* name -> GUINT_TO_POINTER (AccessRight, or-ed): these and none that they imply */
    gboolean catalog;   /* it may list repositories */
    gboolean whole;     /* all that its user may, on every name: rights says nothing */
} Grant;
Grant *grant_new(const char *user, gint64 serial, const char *token);
/* A name more, or more rights on one. */
void grant_add(Grant *grant, const char *name, guint rights);
void grant_free(Grant *grant);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Grant, grant_free)

/* key: 32 bytes; now and life: seconds. Free it; NULL where memory is short. */
char *bearer_issue(const guint8 *key, const Grant *grant, gint64 now, guint life);

typedef enum { BEARER_GOOD, BEARER_EXPIRED, BEARER_FORGED } BearerVerdict;
/* *grant is set where it is good. */
BearerVerdict bearer_check(const guint8 *key, const char *text, gint64 now, Grant **grant);
