#include "server/http/tls.h"

#include <ingot/error.h>

#include "base/file.h"
#include "base/text.h"
#include "server/http/log.h"

#define FILE_MAX (1u << 20)   /* bytes */
#define CHAIN_MAX 16          /* certificates */
#define SOON (7L * 24 * 3600) /* seconds */

typedef struct {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
    gint64 begins, expires; /* when all of the chain is valid; seconds since 1970 */
} Pair;

static char *certificate_path, *key_path;
static Pair *current;     /* atomic */
static GPtrArray *former; /* of Pair: connections may still use them */

static void pair_free(gpointer data)
{
    Pair *pair = data;
    for (unsigned i = 0; i < pair->count; i++) {
        gnutls_pcert_deinit(&pair->chain[i]);
    }
    if (pair->key != NULL) {
        gnutls_privkey_deinit(pair->key);
    }
    g_free(pair);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pair, pair_free)

static gboolean failed(const char *path, int code, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s", path, gnutls_strerror(code));
    return FALSE;
}

static gnutls_datum_t datum_of(GBytes *bytes)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    return (gnutls_datum_t){.data = (unsigned char *)data, .size = (unsigned)size};
}

/* GnuTLS itself tells whether the two belong together. */
static gboolean check_pair(const gnutls_datum_t *certificate, const gnutls_datum_t *key, GError **error)
{
    gnutls_certificate_credentials_t credentials;
    int code = gnutls_certificate_allocate_credentials(&credentials);
    if (code == 0) {
        code = gnutls_certificate_set_x509_key_mem(credentials, certificate, key, GNUTLS_X509_FMT_PEM);
        gnutls_certificate_free_credentials(credentials);
    }
    return code >= 0 || failed(certificate_path, code, error);
}

/* From when and until when all of the chain is valid. */
static gboolean find_times(Pair *pair, GError **error)
{
    pair->expires = G_MAXINT64;
    for (unsigned i = 0; i < pair->count; i++) {
        gnutls_x509_crt_t certificate;
        int code = gnutls_pcert_export_x509(&pair->chain[i], &certificate);
        if (code < 0) {
            return failed(certificate_path, code, error);
        }
        pair->begins = MAX(pair->begins, (gint64)gnutls_x509_crt_get_activation_time(certificate));
        pair->expires = MIN(pair->expires, (gint64)gnutls_x509_crt_get_expiration_time(certificate));
        gnutls_x509_crt_deinit(certificate);
    }
    return TRUE;
}

/* Clients refuse it, or will soon: nobody else may have noticed. */
static void warn_of_times(const Pair *pair)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    g_autofree char *begins = ingot_text_time(pair->begins), *expires = ingot_text_time(pair->expires);
    if (now < pair->begins) {
        log_warning("%s: the certificate is not valid before %s", certificate_path, begins);
    } else if (now >= pair->expires) {
        log_warning("%s: the certificate ran out on %s; clients refuse it. Renew it, and send SIGHUP", certificate_path,
                    expires);
    } else if (pair->expires - now < SOON) {
        log_warning("%s: the certificate runs out on %s; renew it, and send SIGHUP", certificate_path, expires);
    }
}

static Pair *read_pair(GError **error)
{
    g_autoptr(GBytes) certificate_bytes = ingot_file_read(certificate_path, FILE_MAX, error);
    g_autoptr(GBytes) key_bytes = certificate_bytes == NULL ? NULL : ingot_file_read(key_path, FILE_MAX, error);
    if (key_bytes == NULL) {
        return NULL;
    }
    gnutls_datum_t certificate = datum_of(certificate_bytes), key = datum_of(key_bytes);
    if (!check_pair(&certificate, &key, error)) {
        return NULL;
    }
    g_autoptr(Pair) pair = g_new0(Pair, 1);
    unsigned count = CHAIN_MAX;
    int code = gnutls_pcert_list_import_x509_raw(pair->chain, &count, &certificate, GNUTLS_X509_FMT_PEM, 0);
    if (code < 0) {
        failed(certificate_path, code, error);
        return NULL;
    }
    pair->count = count;
    if (!find_times(pair, error)) {
        return NULL;
    }
    if ((code = gnutls_privkey_init(&pair->key)) < 0 ||
        (code = gnutls_privkey_import_x509_raw(pair->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0)) < 0) {
        failed(key_path, code, error);
        return NULL;
    }
    return g_steal_pointer(&pair);
}

gboolean tls_load(const char *certificate, const char *key, GError **error)
{
    certificate_path = g_strdup(certificate);
    key_path = g_strdup(key);
    former = g_ptr_array_new_with_free_func(pair_free);
    Pair *pair = read_pair(error);
    g_atomic_pointer_set(&current, pair);
    if (pair != NULL) {
        warn_of_times(pair);
    }
    return pair != NULL;
}

gboolean tls_reload(GError **error)
{
    Pair *pair = read_pair(error);
    if (pair == NULL) {
        return FALSE;
    }
    g_ptr_array_add(former, g_atomic_pointer_get(&current));
    g_atomic_pointer_set(&current, pair);
    warn_of_times(pair);
    return TRUE;
}

gint64 tls_expires(void)
{
    const Pair *pair = g_atomic_pointer_get(&current);
    return pair == NULL ? 0 : pair->expires;
}

void tls_unload(void)
{
    g_clear_pointer(&current, pair_free);
    g_clear_pointer(&former, g_ptr_array_unref);
    g_clear_pointer(&certificate_path, g_free);
    g_clear_pointer(&key_path, g_free);
}

int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
                 const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain, unsigned *count,
                 gnutls_privkey_t *key)
{
    (void)session, (void)names, (void)name_count, (void)algorithms, (void)algorithm_count;
    Pair *pair = g_atomic_pointer_get(&current);
    *chain = pair->chain;
    *count = pair->count;
    *key = pair->key;
    return 0;
}
