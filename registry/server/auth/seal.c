#include "server/auth/seal.h"

#include <gnutls/gnutls.h>
#include <string.h>

char *seal_of(const Accounts *accounts, const char *text)
{
    g_autofree char *hash =
        g_compute_hmac_for_string(G_CHECKSUM_SHA256, accounts_key(accounts), ACCOUNTS_KEY_SIZE, text, -1);
    return g_strndup(hash, SEAL_DIGITS);
}

gboolean seal_opens(const Accounts *accounts, const char *text, const char *seal)
{
    g_autofree char *right = seal_of(accounts, text);
    return strlen(seal) == SEAL_DIGITS && gnutls_memcmp(right, seal, SEAL_DIGITS) == 0;
}
