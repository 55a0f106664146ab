/* Certificates as Sigstore's JSON has them, and the cleanup of OpenSSL's objects around them. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/x509.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)

/* {"rawBytes": DER in base64}. CORRUPT: it is not that, or more than 64 KiB. Free it. */
X509 *x509_read(const json_t *holder, GError **error);
/* The text of a certificate in PEM. NULL: it is not one. Free it. */
X509 *x509_read_pem(GBytes *pem);
/* The bytes of a member of an object, which is base64. NULL: it is missing, not base64, or of more than `most` bytes.
 */
GBytes *x509_member(const json_t *holder, const char *member, gsize most);
