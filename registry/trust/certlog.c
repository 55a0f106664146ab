#include "trust/certlog.h"

#include <ingot/error.h>
#include <openssl/ct.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define LENGTH_MOST 0xffffffu /* bytes of a certificate: RFC 6962 writes its length in 24 bits */

/* Its bytes without the timestamps that were added when the log had seen them. Free it with OPENSSL_free; -1: OpenSSL
 * failed. */
static int certlog_body(X509 *certificate, unsigned char **body)
{
    g_autoptr(X509) bare = X509_dup(certificate);
    int at = bare == NULL ? -1 : X509_get_ext_by_NID(bare, NID_ct_precert_scts, -1);
    if (at < 0) {
        return -1;
    }
    X509_EXTENSION_free(X509_delete_ext(bare, at));
    return i2d_re_X509_tbs(bare, body);
}

static gboolean certlog_issuer(X509 *issuer, IngotDigest *digest)
{
    unsigned char *key = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(issuer), &key);
    if (size > 0) {
        ingot_digest_of(key, (gsize)size, digest);
    }
    OPENSSL_free(key);
    return size > 0;
}

static void certlog_number(GByteArray *text, guint64 number, guint bytes)
{
    for (guint i = bytes; i > 0; i--) {
        guint8 byte = (guint8)(number >> (8 * (i - 1)));
        g_byte_array_append(text, &byte, 1);
    }
}

/* What the log signs (RFC 6962, section 3.2), of a certificate whose timestamps lie in itself. */
static GByteArray *certlog_text(const SCT *sct, const IngotDigest *issuer, const unsigned char *body, gsize size)
{
    unsigned char *extensions = NULL;
    gsize more = SCT_get0_extensions(sct, &extensions);
    GByteArray *text = g_byte_array_new();
    certlog_number(text, SCT_VERSION_V1, 1);
    certlog_number(text, 0, 1); /* certificate_timestamp */
    certlog_number(text, SCT_get_timestamp(sct), 8);
    certlog_number(text, CT_LOG_ENTRY_TYPE_PRECERT, 2);
    g_byte_array_append(text, issuer->bytes, sizeof issuer->bytes);
    certlog_number(text, size, 3);
    g_byte_array_append(text, body, (guint)size);
    certlog_number(text, more, 2);
    if (more > 0) {
        g_byte_array_append(text, extensions, (guint)more);
    }
    return text;
}

static gboolean certlog_counts(const SCT *sct, const TrustedRoot *root, const IngotDigest *issuer,
                               const unsigned char *body, gsize size)
{
    unsigned char *id = NULL, *signature = NULL;
    gsize id_size = SCT_get0_log_id(sct, &id), signature_size = SCT_get0_signature(sct, &signature);
    if (SCT_get_version(sct) != SCT_VERSION_V1 || SCT_get_signature_nid(sct) != NID_ecdsa_with_SHA256 || id == NULL) {
        return FALSE;
    }
    const TrustLog *log = trusted_root_log(root->cert_logs, id, id_size);
    if (log == NULL || !trust_window_has(&log->valid, (gint64)(SCT_get_timestamp(sct) / 1000))) {
        return FALSE;
    }
    g_autoptr(GByteArray) text = certlog_text(sct, issuer, body, size);
    return trust_log_verify(log, text->data, text->len, signature, signature_size);
}

gboolean certlog_verify(X509 *certificate, X509 *issuer, const TrustedRoot *root, GError **error)
{
    if (root->cert_logs->len == 0) {
        return TRUE;
    }
    IngotDigest issuer_key;
    unsigned char *body = NULL;
    gboolean counts = FALSE;
    STACK_OF(SCT) *all = X509_get_ext_d2i(certificate, NID_ct_precert_scts, NULL, NULL);
    int size = all == NULL ? -1 : certlog_body(certificate, &body);
    if (size > 0 && (guint)size <= LENGTH_MOST && certlog_issuer(issuer, &issuer_key)) {
        for (int i = 0; i < sk_SCT_num(all) && !counts; i++) {
            counts = certlog_counts(sk_SCT_value(all, i), root, &issuer_key, body, (gsize)size);
        }
    }
    SCT_LIST_free(all);
    OPENSSL_free(body);
    ERR_clear_error();
    if (!counts) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "no certificate log of the trusted root has promised to list its certificate");
    }
    return counts;
}
