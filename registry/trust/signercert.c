#include "trust/signercert.h"

#include <ingot/error.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/text.h"
#include "trust/certlog.h"

/* Fulcio's extensions for the issuer: a DER string, and before that its bare bytes. */
#define ISSUER_OID "1.3.6.1.4.1.57264.1.8"
#define OLDER_ISSUER_OID "1.3.6.1.4.1.57264.1.1"
#define NAME_MOST 256u /* bytes of a name that is shown */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ASN1_OBJECT, ASN1_OBJECT_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ASN1_UTF8STRING, ASN1_UTF8STRING_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GENERAL_NAMES, GENERAL_NAMES_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE_CTX, X509_STORE_CTX_free)

static gboolean signercert_denied(GError **error, const char *why)
{
    g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_DENIED, why);
    return FALSE;
}

TrustKey *signercert_key(X509 *certificate, GError **error)
{
    unsigned char *der = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    TrustKey *key = size <= 0 ? NULL : trust_key_read_der(der, (gsize)size, "its certificate's key", NULL);
    OPENSSL_free(der);
    ERR_clear_error();
    if (key == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "its certificate's key is not ECDSA on the curve P-256");
    }
    return key;
}

/* --- who has issued it --- */

/* The signer's has to say that it is for signing code; those above it may not say that they are for something else. */
static gboolean signercert_for_code(STACK_OF(X509) * chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *one = sk_X509_value(chain, i);
        gboolean says = (X509_get_extension_flags(one) & EXFLAG_XKUSAGE) != 0;
        if (says ? (X509_get_extended_key_usage(one) & XKU_CODE_SIGN) == 0 : i == 0) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean signercert_issued(X509 *certificate, const TrustedRoot *root, const TrustAuthority *authority,
                                  gint64 time, GError **error)
{
    g_autoptr(X509_STORE) store = trust_authority_store(authority, time);
    g_autoptr(X509_STORE_CTX) context = X509_STORE_CTX_new();
    g_assert(context != NULL && X509_STORE_CTX_init(context, store, certificate, authority->others) == 1);
    gboolean issued = X509_verify_cert(context) == 1;
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);
    ERR_clear_error();
    if (!issued) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "its certificate was not good at the time of signing, by the trusted root: %s",
                    X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
        return FALSE;
    }
    if (sk_X509_num(chain) < 2 || X509_check_ca(certificate) != 0) {
        return signercert_denied(error, "its certificate is an authority's own, not a signer's");
    }
    if (!signercert_for_code(chain)) {
        return signercert_denied(error, "its certificate is not for signing code");
    }
    return certlog_verify(certificate, sk_X509_value(chain, 1), root, error);
}

gboolean signercert_verify(X509 *certificate, const TrustedRoot *root, gint64 time, GError **error)
{
    g_autoptr(GError) problem = NULL;
    for (guint i = 0; i < root->authorities->len; i++) {
        const TrustAuthority *authority = g_ptr_array_index(root->authorities, i);
        if (trust_window_has(&authority->valid, time)) {
            g_clear_error(&problem);
            if (signercert_issued(certificate, root, authority, time, &problem)) {
                return TRUE;
            }
        }
    }
    return signercert_denied(error, problem == NULL ? "no certificate authority of the trusted root is for that time"
                                                    : problem->message);
}

/* --- for whom it is --- */

/* NULL: it has a NUL in it, and so would be taken for another. Free it. */
static char *signercert_text(const ASN1_STRING *value)
{
    gsize size = (gsize)ASN1_STRING_length(value);
    g_autofree char *text = g_strndup((const char *)ASN1_STRING_get0_data(value), size);
    return strlen(text) == size ? g_steal_pointer(&text) : NULL;
}

/* NULL: it has none. */
static const ASN1_OCTET_STRING *signercert_extension(X509 *certificate, const char *oid)
{
    g_autoptr(ASN1_OBJECT) object = OBJ_txt2obj(oid, 1);
    g_assert(object != NULL);
    int at = X509_get_ext_by_OBJ(certificate, object, -1);
    return at < 0 ? NULL : X509_EXTENSION_get_data(X509_get_ext(certificate, at));
}

/* NULL: it names none. Free it. */
static char *signercert_issuer(X509 *certificate)
{
    const ASN1_OCTET_STRING *value = signercert_extension(certificate, ISSUER_OID);
    if (value == NULL) {
        const ASN1_OCTET_STRING *older = signercert_extension(certificate, OLDER_ISSUER_OID);
        return older == NULL ? NULL : signercert_text(older);
    }
    const unsigned char *bytes = ASN1_STRING_get0_data(value);
    g_autoptr(ASN1_UTF8STRING) text = d2i_ASN1_UTF8STRING(NULL, &bytes, ASN1_STRING_length(value));
    ERR_clear_error();
    return text == NULL ? NULL : signercert_text(text);
}

/* The address or URI. NULL: it is a name of another kind. Free it. */
static char *signercert_name(const GENERAL_NAME *name)
{
    int kind;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &kind);
    return kind == GEN_EMAIL || kind == GEN_URI ? signercert_text(value) : NULL;
}

static const TrustIdentity *signercert_find(const char *name, const char *issuer, const TrustIdentity *identities,
                                            guint count)
{
    for (guint i = 0; i < count; i++) {
        if (strcmp(identities[i].identity, name) == 0 && strcmp(identities[i].issuer, issuer) == 0) {
            return &identities[i];
        }
    }
    return NULL;
}

static char *signercert_shown(const char *text)
{
    g_autofree char *head = ingot_text_head(text, NAME_MOST);
    return ingot_text_line(head);
}

const TrustIdentity *signercert_identity(X509 *certificate, const TrustIdentity *identities, guint count,
                                         GError **error)
{
    const TrustIdentity *found = NULL;
    g_autofree char *issuer = signercert_issuer(certificate), *first = NULL;
    g_autoptr(GENERAL_NAMES) names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    ERR_clear_error();
    for (int i = 0; issuer != NULL && i < sk_GENERAL_NAME_num(names) && found == NULL; i++) {
        g_autofree char *name = signercert_name(sk_GENERAL_NAME_value(names, i));
        found = name == NULL ? NULL : signercert_find(name, issuer, identities, count);
        if (first == NULL) {
            first = g_steal_pointer(&name);
        }
    }
    if (found == NULL) {
        g_autofree char *shown = signercert_shown(first == NULL ? "nobody" : first);
        g_autofree char *by = signercert_shown(issuer == NULL ? "nobody" : issuer);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "it is signed by %s, for whom %s has vouched: not an identity that was given", shown, by);
    }
    return found;
}
