#include "server/webhook/hooksign.h"

#include <ingot/error.h>
#include <openssl/crypto.h>
#include <string.h>

gboolean hook_secret_check(const char *secret, GError **error)
{
    gsize size = strlen(secret);
    if (size < HOOK_SECRET_LEAST || size > HOOK_SECRET_MOST || secret[strcspn(secret, "\r\n")] != '\0') {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a secret is a line of %u to %u bytes", HOOK_SECRET_LEAST,
                    HOOK_SECRET_MOST);
        return FALSE;
    }
    return TRUE;
}

char *hook_sign(const char *secret, const char *prefix, const char *body, gsize size)
{
    GHmac *hmac = g_hmac_new(G_CHECKSUM_SHA256, (const guchar *)secret, strlen(secret));
    g_hmac_update(hmac, (const guchar *)prefix, (gssize)strlen(prefix));
    g_hmac_update(hmac, (const guchar *)".", 1);
    g_hmac_update(hmac, (const guchar *)body, (gssize)size);
    char *signature = g_strconcat("sha256=", g_hmac_get_string(hmac), NULL);
    g_hmac_unref(hmac);
    return signature;
}

gboolean hook_verify(const char *secret, const char *prefix, const char *body, gsize size, const char *signature)
{
    g_autofree char *right = hook_sign(secret, prefix, body, size);
    return signature != NULL && strlen(signature) == strlen(right) &&
           CRYPTO_memcmp(signature, right, strlen(right)) == 0;
}
