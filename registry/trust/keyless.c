#include "trust/keyless.h"

#include <ingot/error.h>

#include "base/json.h"
#include "trust/timestamp.h"

#define ENTRIES_MOST 16u      /* log entries, and time stamps, that are looked at */
#define STAMP_MOST (1u << 18) /* bytes */

static gboolean keyless_denied(GError **error, const char *why)
{
    g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_DENIED, why);
    return FALSE;
}

static gboolean keyless_check_key(const SignedFact *fact, GError **error)
{
    g_autoptr(TrustKey) key = signercert_key(fact->certificate, error);
    gsize size;
    const void *bytes = g_bytes_get_data(fact->signature, &size);
    return key != NULL && (trust_key_verify(key, &fact->digest, bytes, size) ||
                           keyless_denied(error, "it is not signed by its certificate's key, or was changed since"));
}

/* The times that stamps prove; *why: what is wrong with the last of those that prove none. */
static void keyless_stamps(const json_t *material, const SignedFact *fact, const TrustedRoot *root, GArray *times,
                           GError **why)
{
    const json_t *stamps = json_object_get(json_object_get(material, "timestampVerificationData"), "rfc3161Timestamps");
    for (size_t i = 0; i < MIN(json_array_size(stamps), ENTRIES_MOST); i++) {
        gint64 time;
        g_autoptr(GBytes) stamp = x509_member(json_array_get(stamps, i), "signedTimestamp", STAMP_MOST);
        g_clear_error(why);
        if (stamp == NULL) {
            g_set_error(why, INGOT_ERROR, INGOT_ERROR_CORRUPT, "its time stamp is not base64, or missing");
        } else if (timestamp_verify(stamp, fact->signature, root, &time, why)) {
            g_array_append_val(times, time);
        }
    }
}

/* The log that has noted the signature, and the time that this proves. NULL: *why says what is wrong with the last of
 * the entries. */
static const TrustLog *keyless_logged(const json_t *material, const SignedFact *fact, const TrustedRoot *root,
                                      GArray *times, GError **why)
{
    const json_t *entries = json_object_get(material, "tlogEntries");
    for (size_t i = 0; i < MIN(json_array_size(entries), ENTRIES_MOST); i++) {
        const TrustLog *log;
        gint64 time;
        g_clear_error(why);
        if (logentry_verify(json_array_get(entries, i), fact, root, &log, &time, why)) {
            if (time != 0) {
                g_array_append_val(times, time);
            }
            return log;
        }
    }
    return NULL;
}

/* All times that are proved: one at least. *log: NULL where the trusted root has none. */
static gboolean keyless_times(const json_t *material, const SignedFact *fact, const TrustedRoot *root, GArray *times,
                              const TrustLog **log, GError **error)
{
    g_autoptr(GError) stamped = NULL, logged = NULL;
    keyless_stamps(material, fact, root, times, &stamped);
    *log = keyless_logged(material, fact, root, times, &logged);
    if (*log == NULL && root->logs->len > 0) {
        return keyless_denied(error, logged == NULL ? "no entry of a transparency log comes with it" : logged->message);
    }
    if (times->len == 0) {
        return keyless_denied(error, stamped == NULL ? "nothing proves when it was signed, and so that its certificate "
                                                       "was good then: neither a log's promise nor a time stamp"
                                                     : stamped->message);
    }
    return TRUE;
}

static gboolean keyless_check_certificate(const SignedFact *fact, const TrustedRoot *root, const GArray *times,
                                          const TrustLog *log, GError **error)
{
    for (guint i = 0; i < times->len; i++) {
        gint64 time = g_array_index(times, gint64, i);
        if (log != NULL && !trust_window_has(&log->valid, time)) {
            return keyless_denied(error, "the log that has noted it was not trusted at that time, by the trusted root");
        }
        if (!signercert_verify(fact->certificate, root, time, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

const TrustIdentity *keyless_verify(const json_t *material, SignedFact *fact, const TrustedIdentities *trusted,
                                    GError **error)
{
    const TrustIdentity *found = NULL;
    const TrustLog *log;
    g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(gint64));
    g_autoptr(X509) certificate = x509_read(json_object_get(material, "certificate"), error);
    fact->certificate = certificate;
    if (certificate != NULL && keyless_check_key(fact, error) &&
        keyless_times(material, fact, trusted->root, times, &log, error) &&
        keyless_check_certificate(fact, trusted->root, times, log, error)) {
        found = signercert_identity(certificate, trusted->identities, trusted->count, error);
    }
    fact->certificate = NULL;
    return found;
}
