#include "server/auth/password.h"

#include <crypt.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <ingot/error.h>
#include <string.h>

#define LENGTH_MIN 8 /* characters */
#define COST 7       /* of yescrypt: N = 16384, r = 32 */

gboolean password_check(const char *password, GError **error)
{
    if (!g_utf8_validate(password, -1, NULL) || strlen(password) >= CRYPT_MAX_PASSPHRASE_SIZE) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a password is UTF-8 and has fewer than %d bytes",
                    CRYPT_MAX_PASSPHRASE_SIZE);
        return FALSE;
    }
    if (g_utf8_strlen(password, -1) < LENGTH_MIN) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the password is too short: %d characters at least",
                    LENGTH_MIN);
        return FALSE;
    }
    return TRUE;
}

/* NULL with errno set where crypt does not like its input. Free it. */
static char *hash_with(const char *password, const char *setting)
{
    struct crypt_data *data = g_new0(struct crypt_data, 1);
    const char *hash = crypt_r(password, setting, data);
    char *copy = hash == NULL || hash[0] == '*' ? NULL : g_strdup(hash);
    int saved = errno;
    explicit_bzero(data, sizeof *data);
    g_free(data);
    errno = saved;
    return copy;
}

char *password_hash(const char *password, GError **error)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    char *hash = NULL;
    if (password_check(password, error) && (crypt_gensalt_rn("$y$", COST, NULL, 0, setting, sizeof setting) == NULL ||
                                            (hash = hash_with(password, setting)) == NULL)) {
        ingot_error_set_errno(error, errno, "hashing the password");
    }
    return hash;
}

gboolean password_verify(const char *password, const char *hash)
{
    /* One that nobody has is as dear to check as one that somebody has. */
    char nobody[CRYPT_GENSALT_OUTPUT_SIZE];
    crypt_gensalt_rn("$y$", COST, "nobody's salt: 16", 16, nobody, sizeof nobody);
    g_autofree char *found = hash_with(password, hash == NULL ? nobody : hash);
    return hash != NULL && found != NULL && strlen(found) == strlen(hash) &&
           gnutls_memcmp(found, hash, strlen(hash)) == 0;
}
