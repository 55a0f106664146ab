#include "trust/authority.h"

#include <ingot/error.h>

#define CERTIFICATES_MOST 16u
#define STRENGTH 2 /* OpenSSL's level: 112 bits; no SHA-1 */

gboolean trust_window_has(const TrustWindow *window, gint64 time)
{
    return window->start <= time && time <= window->end;
}

static gboolean window_end(const json_t *value, const char *member, gint64 *time, GError **error)
{
    const char *text = json_string_value(json_object_get(value, member));
    g_autoptr(GDateTime) date = text == NULL ? NULL : g_date_time_new_from_iso8601(text, NULL);
    if (date == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "validFor: '%s' is missing, or not a time", member);
        return FALSE;
    }
    *time = g_date_time_to_unix(date);
    return TRUE;
}

gboolean trust_window_read(const json_t *value, TrustWindow *window, GError **error)
{
    const json_t *end = json_object_get(value, "end");
    window->end = G_MAXINT64;
    return window_end(value, "start", &window->start, error) &&
           (end == NULL || json_is_null(end) || window_end(value, "end", &window->end, error));
}

void trust_authority_free(TrustAuthority *authority)
{
    sk_X509_pop_free(authority->anchors, X509_free);
    sk_X509_pop_free(authority->others, X509_free);
    g_free(authority);
}

/* Takes the certificate. */
static void authority_add(TrustAuthority *authority, X509 *certificate)
{
    gboolean is_anchor = X509_self_signed(certificate, 0) == 1;
    g_assert(sk_X509_push(is_anchor ? authority->anchors : authority->others, certificate) > 0);
}

TrustAuthority *trust_authority_read(const json_t *value, GError **error)
{
    const json_t *chain = json_object_get(json_object_get(value, "certChain"), "certificates");
    if (json_array_size(chain) == 0 || json_array_size(chain) > CERTIFICATES_MOST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "certChain: 1 to %u certificates are expected",
                    CERTIFICATES_MOST);
        return NULL;
    }
    g_autoptr(TrustAuthority) authority = g_new0(TrustAuthority, 1);
    authority->anchors = sk_X509_new_null();
    authority->others = sk_X509_new_null();
    g_assert(authority->anchors != NULL && authority->others != NULL);
    if (!trust_window_read(json_object_get(value, "validFor"), &authority->valid, error)) {
        return NULL;
    }
    for (size_t i = 0; i < json_array_size(chain); i++) {
        g_autoptr(GError) problem = NULL;
        X509 *certificate = x509_read(json_array_get(chain, i), &problem);
        if (certificate == NULL) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "certChain: %s", problem->message);
            return NULL;
        }
        authority_add(authority, certificate);
    }
    if (sk_X509_num(authority->anchors) == 0) {
        g_assert(sk_X509_push(authority->anchors, sk_X509_pop(authority->others)) > 0);
    }
    return g_steal_pointer(&authority);
}

X509_STORE *trust_authority_store(const TrustAuthority *authority, gint64 time)
{
    X509_STORE *store = X509_STORE_new();
    g_assert(store != NULL);
    X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
    for (int i = 0; i < sk_X509_num(authority->anchors); i++) {
        g_assert(X509_STORE_add_cert(store, sk_X509_value(authority->anchors, i)) == 1);
    }
    X509_VERIFY_PARAM_set_time(param, (time_t)time);
    X509_VERIFY_PARAM_set_auth_level(param, STRENGTH);
    /* An anchor need not be self-signed. */
    g_assert(X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) == 1);
    return store;
}
