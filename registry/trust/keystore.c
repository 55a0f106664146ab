#include "trust/keystore.h"

#include <ingot/error.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/prompt.h"

#define PIN "pin-value="

typedef OSSL_STORE_CTX StoreContext;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OSSL_STORE_INFO, OSSL_STORE_INFO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OSSL_STORE_LOADER, OSSL_STORE_LOADER_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UI_METHOD, UI_destroy_method)

static void store_context_close(StoreContext *context)
{
    OSSL_STORE_close(context);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StoreContext, store_context_close)

gboolean trust_keystore_is_uri(const char *name)
{
    const char *scheme = g_uri_peek_scheme(name);
    return scheme != NULL && scheme[1] != '\0';
}

char *trust_keystore_shown(const char *name)
{
    if (!trust_keystore_is_uri(name)) {
        return g_strdup(name);
    }
    GString *shown = g_string_new(name);
    for (const char *at = strstr(shown->str, PIN); at != NULL; at = strstr(at, PIN)) {
        at += strlen(PIN);
        gssize start = at - shown->str;
        g_string_erase(shown, start, (gssize)strcspn(at, "&;"));
        g_string_insert(shown, start, "...");
        at = shown->str + start;
    }
    return g_string_free(shown, FALSE);
}

/* A key's URI while it is read. */
typedef struct {
    const char *uri, *shown;
    int kind; /* what is looked for, as OSSL_STORE_INFO_PKEY */
    TrustKeyAsk ask;
    gboolean asked;
    GError *problem; /* of asking */
} Reading;

/* OpenSSL's question. -1 where there is no answer. */
static int reading_passphrase(char *buffer, int size, int writing, void *user)
{
    Reading *reading = user;
    (void)writing;
    if (reading->problem != NULL) {
        return -1;
    }
    reading->asked = TRUE;
    g_autoptr(IngotSecret) passphrase = reading->ask(reading->shown, &reading->problem);
    gsize length = passphrase == NULL ? 0 : strlen(passphrase);
    if (length == 0 || length > (gsize)size) {
        return -1;
    }
    memcpy(buffer, passphrase, length); // NOLINT(bugprone-not-null-terminated-result): its length is told
    return (int)length;
}

/* OpenSSL's own reason; its queue is empty afterwards. */
static char *keystore_reason(void)
{
    const char *data = NULL;
    int flags = 0;
    unsigned long code = ERR_peek_last_error_all(NULL, NULL, NULL, &data, &flags);
    const char *reason = ERR_SYSTEM_ERROR(code) ? g_strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    gboolean more = data != NULL && *data != '\0' && (flags & ERR_TXT_STRING) != 0 && strstr(data, PIN) == NULL;
    char *text = more ? g_strdup_printf("%s (%s)", reason == NULL ? "OpenSSL failed" : reason, data)
                      : g_strdup(reason == NULL ? "OpenSSL failed" : reason);
    ERR_clear_error();
    return text;
}

/* Always NULL. */
static gpointer reading_fails(Reading *reading, GError **error)
{
    g_autofree char *reason = keystore_reason();
    if (reading->problem != NULL) {
        g_propagate_prefixed_error(error, g_steal_pointer(&reading->problem), "%s: ", reading->shown);
    } else if (reading->asked) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "%s: the passphrase or PIN is not this key's: %s",
                    reading->shown, reason);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", reading->shown, reason);
    }
    return NULL;
}

static gboolean keystore_check_scheme(const Reading *reading, GError **error)
{
    const char *scheme = g_uri_peek_scheme(reading->uri);
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL); /* whose providers count */
    g_autoptr(OSSL_STORE_LOADER) loader = OSSL_STORE_LOADER_fetch(NULL, scheme, NULL);
    ERR_clear_error();
    if (loader != NULL) {
        return TRUE;
    }
    if (strcmp(scheme, "pkcs11") == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: OpenSSL has no provider for PKCS#11 here: install pkcs11-provider and name it in openssl.cnf, "
                    "as ingot(1) shows under SIGNATURES",
                    reading->shown);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: OpenSSL has no provider for the scheme '%s'; a file of this name is written ./%s",
                    reading->shown, scheme, reading->shown);
    }
    return FALSE;
}

/* The key of what a store has; NULL: it has something else. */
static EVP_PKEY *keystore_key(const OSSL_STORE_INFO *info)
{
    switch (OSSL_STORE_INFO_get_type(info)) {
    case OSSL_STORE_INFO_PKEY:
        return OSSL_STORE_INFO_get1_PKEY(info);
    case OSSL_STORE_INFO_PUBKEY:
        return OSSL_STORE_INFO_get1_PUBKEY(info);
    case OSSL_STORE_INFO_CERT:
        return X509_get_pubkey(OSSL_STORE_INFO_get0_CERT(info));
    default:
        return NULL;
    }
}

/* Whether OpenSSL has failed, rather than found nothing: what is not of the kind that is looked for is "unsupported",
 * and the end of a file fails without a word. */
static gboolean keystore_failed(void)
{
    unsigned long code = ERR_peek_last_error();
    return code != 0 && (ERR_SYSTEM_ERROR(code) || ERR_GET_REASON(code) != ERR_R_UNSUPPORTED);
}

/* All that are there: EVP_PKEY. */
static GPtrArray *keystore_list(Reading *reading, StoreContext *context, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func((GDestroyNotify)EVP_PKEY_free);
    gboolean ends = FALSE;
    while (!ends && OSSL_STORE_eof(context) == 0) {
        g_autoptr(OSSL_STORE_INFO) info = OSSL_STORE_load(context);
        EVP_PKEY *key = info == NULL || OSSL_STORE_INFO_get_type(info) != reading->kind ? NULL : keystore_key(info);
        ends = info == NULL && OSSL_STORE_error(context) != 0;
        if (key != NULL) {
            g_ptr_array_add(keys, key);
        }
    }
    if (keys->len == 0 && (reading->problem != NULL || keystore_failed())) {
        return reading_fails(reading, error);
    }
    g_clear_error(&reading->problem); /* the provider has asked by itself */
    ERR_clear_error();
    return g_steal_pointer(&keys);
}

/* NULL without an error: there is none of the kind. */
static EVP_PKEY *keystore_find(Reading *reading, GError **error)
{
    g_autoptr(UI_METHOD) method = UI_UTIL_wrap_read_pem_callback(reading_passphrase, 0);
    g_autoptr(StoreContext) context =
        method == NULL ? NULL : OSSL_STORE_open_ex(reading->uri, NULL, NULL, method, reading, NULL, NULL, NULL);
    if (context == NULL || OSSL_STORE_expect(context, reading->kind) != 1) {
        return reading_fails(reading, error);
    }
    g_autoptr(GPtrArray) keys = keystore_list(reading, context, error);
    if (keys != NULL && keys->len > 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: it names %u keys: one is expected, so say more (token=, object=, id=)", reading->shown,
                    keys->len);
        return NULL;
    }
    return keys != NULL && keys->len == 1 ? g_ptr_array_steal_index(keys, 0) : NULL;
}

/* Always NULL. A passphrase that is wrong may look like one that is right, of a file with something else. */
static gpointer keystore_has_none(const Reading *reading, const char *noun, GError **error)
{
    if (reading->asked) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "%s: there is no %s that this passphrase or PIN opens",
                    reading->shown, noun);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: there is no %s%s", reading->shown, noun,
                    strstr(reading->uri, "pin-") != NULL ? ", or the URI's PIN is wrong" : "");
    }
    return NULL;
}

/* The first of the kinds that is there; 0 ends them. */
static TrustKey *keystore_read(Reading *reading, const int *kinds, const char *noun, GError **error)
{
    g_autofree char *shown = trust_keystore_shown(reading->uri);
    g_autoptr(EVP_PKEY) key = NULL;
    GError *problem = NULL;
    reading->shown = shown;
    if (!keystore_check_scheme(reading, error)) {
        return NULL;
    }
    for (guint i = 0; key == NULL && problem == NULL && kinds[i] != 0; i++) {
        reading->kind = kinds[i];
        key = keystore_find(reading, &problem);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    if (key == NULL) {
        return keystore_has_none(reading, noun, error);
    }
    return trust_key_copy(key, reading->kind == OSSL_STORE_INFO_PKEY, shown, error);
}

TrustKey *trust_keystore_read_private(const char *uri, TrustKeyAsk ask, GError **error)
{
    static const int kinds[] = {OSSL_STORE_INFO_PKEY, 0};
    Reading reading = {.uri = uri, .ask = ask};
    return keystore_read(&reading, kinds, "private key", error);
}

TrustKey *trust_keystore_read_public(const char *uri, TrustKeyAsk ask, GError **error)
{
    static const int kinds[] = {OSSL_STORE_INFO_PUBKEY, OSSL_STORE_INFO_CERT, 0};
    Reading reading = {.uri = uri, .ask = ask};
    return keystore_read(&reading, kinds, "public key or certificate", error);
}
