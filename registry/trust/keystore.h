/* Keys that a URI names, as OpenSSL's stores find them: in a token (pkcs11:..., RFC 7512), a file (file:/PATH), or
 * wherever else a provider that openssl.cnf names looks by the URI's scheme.
 *
 * A private key stays where it is: it signs there. A URI may hold a PIN, which no message shows. */
#pragma once

#include "trust/key.h"

/* The passphrase or PIN of a key, asked for where its store wants one. Free it with ingot_secret_free. */
typedef char *(*TrustKeyAsk)(const char *shown, GError **error);

/* Whether a key's name is a URI, by its scheme. A file with such a name is written ./NAME. */
gboolean trust_keystore_is_uri(const char *name);
/* The name of a key for messages: a URI's PIN is left out. Free it. */
char *trust_keystore_shown(const char *name);
/* INVALID: no provider knows the scheme, or the URI names no key of the kind, or several. DENIED: the passphrase or PIN
 * is wrong. */
TrustKey *trust_keystore_read_private(const char *uri, TrustKeyAsk ask, GError **error);
/* A public key, or that of a certificate. */
TrustKey *trust_keystore_read_public(const char *uri, TrustKeyAsk ask, GError **error);
