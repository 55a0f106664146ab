/* The server's certificate and private key, as files in PEM; read anew when they have been renewed.
 *
 * Connections that stand go on with the pair that they began with. There is one such pair in a process: GnuTLS's
 * callback carries nothing of ours. */
#pragma once

#include <glib.h>
#include <gnutls/abstract.h>

/* TLS 1.2 and newer. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* The certificate may be followed by those that signed it. INVALID where they are no pair. One that has run out, or is
 * going to within a week, is served, and the log warns of it. */
gboolean tls_load(const char *certificate, const char *key, GError **error);
/* Reads the same files again; on failure the pair stays what it was. */
gboolean tls_reload(GError **error);
/* When the first certificate of the chain that is served runs out, seconds since 1970; 0: none is served. */
gint64 tls_expires(void);
/* Once no connection is left. */
void tls_unload(void);
/* For MHD_OPTION_HTTPS_CERT_CALLBACK. */
gnutls_certificate_retrieve_function2 tls_retrieve;
