/* What a registry asks for: the values of WWW-Authenticate (RFC 9110, section 11.6.1), each of which may hold several
 * challenges. Pure, whatever the text. */
#pragma once

#include <glib.h>

typedef struct {
    char *scheme;       /* lower case: "bearer" */
    GHashTable *values; /* lower-case name -> value */
} Challenge;
void challenge_free(Challenge *challenge);
/* values: one header's in each line. GPtrArray of Challenge; what is none is left out. */
GPtrArray *challenges_parse(const char *values);
/* The first of a scheme; NULL: none. */
const Challenge *challenges_find(const GPtrArray *challenges, const char *scheme);
const char *challenge_get(const Challenge *challenge, const char *name);
