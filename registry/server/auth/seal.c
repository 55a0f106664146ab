#include "server/auth/seal.h"

#include <gnutls/gnutls.h>
#include <string.h>

static char *seal_with(const guint8 *key, const char *text)
{
    g_autofree char *hash = g_compute_hmac_for_string(G_CHECKSUM_SHA256, key, ACCOUNTS_KEY_SIZE, text, -1);
    return g_strndup(hash, SEAL_DIGITS);
}

char *seal_of(Accounts *accounts, const char *text)
{
    g_auto(AccountsKeys) keys;
    accounts_keys(accounts, &keys);
    return seal_with(keys.bytes[0], text);
}

gboolean seal_opens(Accounts *accounts, const char *text, const char *seal)
{
    g_auto(AccountsKeys) keys;
    gboolean opens = FALSE;
    accounts_keys(accounts, &keys);
    for (guint i = 0; i < keys.count && strlen(seal) == SEAL_DIGITS; i++) {
        g_autofree char *right = seal_with(keys.bytes[i], text);
        opens |= gnutls_memcmp(right, seal, SEAL_DIGITS) == 0;
    }
    return opens;
}
