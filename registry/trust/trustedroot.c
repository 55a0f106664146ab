#include "trust/trustedroot.h"

#include <ingot/error.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

#define VALUES_MOST (1u << 14) /* of JSON */
#define ENTRIES_MOST 64u       /* of each list */
#define ID_MOST 64u            /* bytes of a log's number */
#define KEY_MOST 4096u         /* bytes of its key */

/* That of JSON files, as it was and as it is written since. */
static const char *const types[] = {
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    NULL,
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)

typedef gpointer (*EntryRead)(const json_t *value, GError **error);

static void log_free(gpointer data)
{
    TrustLog *log = data;
    EVP_PKEY_free(log->edwards);
    g_bytes_unref(log->id);
    trust_key_free(log->key);
    g_free(log);
}

/* NULL: it is a key of another kind. */
static EVP_PKEY *log_edwards(const unsigned char *der, gsize size)
{
    EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)size);
    ERR_clear_error();
    if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

static gpointer log_read(const json_t *value, GError **error)
{
    const json_t *key = json_object_get(value, "publicKey");
    TrustWindow valid;
    g_autoptr(GBytes) id = x509_member(json_object_get(value, "logId"), "keyId", ID_MOST);
    g_autoptr(GBytes) der = x509_member(key, "rawBytes", KEY_MOST);
    if (id == NULL || der == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "logId.keyId and publicKey.rawBytes are expected, in base64");
        return NULL;
    }
    if (!trust_window_read(json_object_get(key, "validFor"), &valid, error)) {
        return NULL;
    }
    gsize size;
    const void *bytes = g_bytes_get_data(der, &size);
    TrustLog *log = g_new0(TrustLog, 1);
    log->id = g_steal_pointer(&id);
    log->key = trust_key_read_der(bytes, size, "a log's key", NULL);
    log->edwards = log->key == NULL ? log_edwards(bytes, size) : NULL;
    log->valid = valid;
    return log;
}

gboolean trust_log_verify(const TrustLog *log, const void *text, gsize size, const void *signature, gsize length)
{
    if (log->key != NULL) {
        IngotDigest digest;
        ingot_digest_of(text, size, &digest);
        return trust_key_verify(log->key, &digest, signature, length);
    }
    g_autoptr(EVP_MD_CTX) context = log->edwards == NULL ? NULL : EVP_MD_CTX_new();
    gboolean fits = context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, log->edwards) == 1 &&
                    EVP_DigestVerify(context, signature, length, text, size) == 1;
    ERR_clear_error();
    return fits;
}

static gpointer authority_entry_read(const json_t *value, GError **error)
{
    return trust_authority_read(value, error);
}

static void authority_entry_free(gpointer authority)
{
    trust_authority_free(authority);
}

/* What is missing is an empty list. */
static gboolean root_list(const json_t *root, const char *member, EntryRead read, GPtrArray *list, GError **error)
{
    const json_t *values = json_object_get(root, member);
    if (values == NULL || json_is_null(values)) {
        return TRUE;
    }
    if (!json_is_array(values) || json_array_size(values) > ENTRIES_MOST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a list of at most %u is expected", member,
                    ENTRIES_MOST);
        return FALSE;
    }
    for (size_t i = 0; i < json_array_size(values); i++) {
        gpointer entry = read(json_array_get(values, i), error);
        if (entry == NULL) {
            g_prefix_error(error, "%s[%zu]: ", member, i);
            return FALSE;
        }
        g_ptr_array_add(list, entry);
    }
    return TRUE;
}

static gboolean root_fill(TrustedRoot *trusted, const json_t *root, GError **error)
{
    const char *type = json_string_value(json_object_get(root, "mediaType"));
    if (type == NULL || !g_strv_contains(types, type)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "not a Sigstore trusted root (mediaType %s): %s or its "
                    "version 0.2 is expected",
                    type == NULL ? "is missing" : type, types[0]);
        return FALSE;
    }
    return root_list(root, "certificateAuthorities", authority_entry_read, trusted->authorities, error) &&
           root_list(root, "timestampAuthorities", authority_entry_read, trusted->stampers, error) &&
           root_list(root, "tlogs", log_read, trusted->logs, error) &&
           root_list(root, "ctlogs", log_read, trusted->cert_logs, error);
}

TrustedRoot *trusted_root_parse(const void *text, gsize size, const char *what, GError **error)
{
    gsize room = VALUES_MOST;
    g_autoptr(GError) problem = NULL;
    g_autoptr(json_t) root =
        size > TRUSTED_ROOT_MAX ? NULL : ingot_json_parse_within(text, size, "its JSON", &room, &problem);
    g_autoptr(TrustedRoot) trusted = g_new0(TrustedRoot, 1);
    trusted->authorities = g_ptr_array_new_with_free_func(authority_entry_free);
    trusted->stampers = g_ptr_array_new_with_free_func(authority_entry_free);
    trusted->logs = g_ptr_array_new_with_free_func(log_free);
    trusted->cert_logs = g_ptr_array_new_with_free_func(log_free);
    if (root == NULL || !root_fill(trusted, root, &problem)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s", what,
                    problem == NULL ? "a trusted root has at most 1 MiB" : problem->message);
        return NULL;
    }
    return g_steal_pointer(&trusted);
}

TrustedRoot *trusted_root_read(const char *path, GError **error)
{
    g_autoptr(GBytes) text = ingot_file_read(path, TRUSTED_ROOT_MAX, error);
    return text == NULL ? NULL : trusted_root_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), path, error);
}

void trusted_root_free(TrustedRoot *root)
{
    g_ptr_array_unref(root->authorities);
    g_ptr_array_unref(root->stampers);
    g_ptr_array_unref(root->logs);
    g_ptr_array_unref(root->cert_logs);
    g_free(root);
}

const TrustLog *trusted_root_log(const GPtrArray *logs, const void *id, gsize size)
{
    for (guint i = 0; i < logs->len; i++) {
        const TrustLog *log = g_ptr_array_index(logs, i);
        if (g_bytes_get_size(log->id) == size && memcmp(g_bytes_get_data(log->id, NULL), id, size) == 0) {
            return log;
        }
    }
    return NULL;
}
