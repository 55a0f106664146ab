/* The Authorization header (RFC 7617 "Basic", RFC 6750 "Bearer"): text in, credentials out, and nothing else.
 *
 * What comes out is UTF-8 without control characters; whatever is not exactly of one of the two forms is BROKEN. Pure,
 * whatever the text. */
#pragma once

#include <glib.h>

typedef struct {
    enum { AUTHORIZATION_NONE, AUTHORIZATION_BASIC, AUTHORIZATION_BEARER, AUTHORIZATION_BROKEN } kind;
    char *user;   /* BASIC */
    char *secret; /* a password or a token */
} Authorization;

/* header NULL: NONE. *out is to be cleared. */
void authorization_parse(const char *header, Authorization *out);
void authorization_clear(Authorization *authorization);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Authorization, authorization_clear)
