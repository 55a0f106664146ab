/* A certificate authority of a trusted root: the certificates of one chain, and when it is trusted. */
#pragma once

#include <openssl/x509_vfy.h>

#include "trust/x509.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE, X509_STORE_free)

/* Seconds since 1970; both ends are in it. */
typedef struct {
    gint64 start, end;
} TrustWindow;
gboolean trust_window_has(const TrustWindow *window, gint64 time);
/* "validFor": {"start", "end"}; without an end it is open. INVALID: not a time, or without a start. */
gboolean trust_window_read(const json_t *value, TrustWindow *window, GError **error);

typedef struct {
    STACK_OF(X509) * anchors; /* the self-signed ones, else the last */
    STACK_OF(X509) * others;  /* what lies between them and a signer */
    TrustWindow valid;
} TrustAuthority;
/* Of "certificateAuthorities" or "timestampAuthorities". INVALID: it is not one. */
TrustAuthority *trust_authority_read(const json_t *value, GError **error);
void trust_authority_free(TrustAuthority *authority);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrustAuthority, trust_authority_free)

/* A store that has the anchors, for a verification as of that time. Free it. */
X509_STORE *trust_authority_store(const TrustAuthority *authority, gint64 time);
