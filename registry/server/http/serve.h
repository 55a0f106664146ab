/* Serving what never changes: whole, by ranges, or not at all to one who has it (RFC 9110, sections 13 and 14). */
#pragma once

#include "server/http/body.h"
#include "server/http/request.h"

#define SERVE_FOR_EVER "max-age=31536000, immutable"
/* The same for what not everybody may have: a cache that many share must not keep it. */
#define SERVE_FOR_EVER_PRIVATE "private, max-age=31536000, immutable"

typedef struct {
    const char *type;   /* media type */
    const char *tag;    /* entity tag, in its quotes */
    const char *keep;   /* Cache-Control */
    const char *digest; /* Docker-Content-Digest; NULL: none */
    const char *frames; /* Ingot-Frames; NULL: none */
    const char *ranges; /* Ingot-Ranges; NULL: none */
} ServeHeaders;

/* The body is yours no more. */
enum MHD_Result serve(Request *request, Body *body, const ServeHeaders *headers);
