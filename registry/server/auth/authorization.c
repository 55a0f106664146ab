#include "server/auth/authorization.h"

#include <string.h>

#define LENGTH_MAX 16384 /* bytes of a header */
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static void free_secret(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        g_free(text);
    }
}

void authorization_clear(Authorization *authorization)
{
    g_free(authorization->user);
    free_secret(authorization->secret);
    *authorization = (Authorization){.kind = AUTHORIZATION_NONE};
}

/* What follows a scheme's name and its spaces; NULL: it is another scheme. */
static const char *after_scheme(const char *header, const char *scheme)
{
    gsize length = strlen(scheme);
    return g_ascii_strncasecmp(header, scheme, length) == 0 && header[length] == ' '
               ? header + length + strspn(header + length, " ")
               : NULL;
}

/* GLib's decoder skips what is no base64; such a text is not what the client meant. */
static gboolean is_base64(const char *text)
{
    gsize body = strspn(text, LETTERS "+/"), padding = strspn(text + body, "=");
    return body > 0 && text[body + padding] == '\0' && padding <= 2 && (body + padding) % 4 == 0;
}

static gboolean is_plain(const char *text, gsize size)
{
    for (gsize i = 0; i < size; i++) {
        if ((guchar)text[i] < 0x20 || text[i] == 0x7f) {
            return FALSE;
        }
    }
    return g_utf8_validate(text, (gssize)size, NULL);
}

static gboolean parse_basic(const char *text, Authorization *out)
{
    if (!is_base64(text)) {
        return FALSE;
    }
    gsize size;
    char *pair = (char *)g_base64_decode(text, &size);
    const char *colon = memchr(pair, ':', size);
    gboolean ok = colon != NULL && is_plain(pair, size);
    if (ok) {
        out->user = g_strndup(pair, (gsize)(colon - pair));
        out->secret = g_strndup(colon + 1, size - (gsize)(colon + 1 - pair));
    }
    explicit_bzero(pair, size);
    g_free(pair);
    return ok;
}

static gboolean parse_bearer(const char *text, Authorization *out)
{
    gsize body = strspn(text, LETTERS "-._~+/");
    if (body == 0 || text[body + strspn(text + body, "=")] != '\0') {
        return FALSE;
    }
    out->secret = g_strdup(text);
    return TRUE;
}

void authorization_parse(const char *header, Authorization *out)
{
    *out = (Authorization){.kind = AUTHORIZATION_NONE};
    if (header == NULL) {
        return;
    }
    const char *rest;
    out->kind = AUTHORIZATION_BROKEN;
    if (strlen(header) > LENGTH_MAX) {
        return;
    }
    if ((rest = after_scheme(header, "Basic")) != NULL && parse_basic(rest, out)) {
        out->kind = AUTHORIZATION_BASIC;
    } else if ((rest = after_scheme(header, "Bearer")) != NULL && parse_bearer(rest, out)) {
        out->kind = AUTHORIZATION_BEARER;
    }
}
