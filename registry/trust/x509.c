#include "trust/x509.h"

#include <ingot/error.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "trust/base64.h"
#include "trust/pem.h"

#define CERTIFICATE_MOST 65536u /* bytes of DER */

GBytes *x509_member(const json_t *holder, const char *member, gsize most)
{
    const char *text = json_string_value(json_object_get(holder, member));
    return text == NULL ? NULL : base64_read(text, most);
}

X509 *x509_read(const json_t *holder, GError **error)
{
    g_autoptr(GBytes) der = x509_member(holder, "rawBytes", CERTIFICATE_MOST);
    gsize size = 0;
    const unsigned char *at = der == NULL ? NULL : g_bytes_get_data(der, &size);
    const unsigned char *end = at == NULL ? NULL : at + size;
    g_autoptr(X509) certificate = at == NULL ? NULL : d2i_X509(NULL, &at, (long)size);
    ERR_clear_error();
    if (certificate == NULL || at != end) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "its certificate is damaged: rawBytes is not X.509 in DER");
        return NULL;
    }
    return g_steal_pointer(&certificate);
}

X509 *x509_read_pem(GBytes *pem)
{
    gsize size;
    const void *text = g_bytes_get_data(pem, &size);
    g_autoptr(BIO) bio = BIO_new_mem_buf(text, (int)size);
    X509 *certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, pem_passphrase, (gpointer) "");
    ERR_clear_error();
    return certificate;
}
