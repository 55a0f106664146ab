#include "trust/timestamp.h"

#include <ingot/error.h>
#include <openssl/err.h>
#include <openssl/ts.h>
#include <time.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(TS_RESP, TS_RESP_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TS_VERIFY_CTX, TS_VERIFY_CTX_free)

/* What it says, whoever says it. FALSE: it is not a stamp, or of a hash that others can be made to fit. */
static gboolean timestamp_read(TS_RESP *response, gint64 *time)
{
    TS_TST_INFO *info = response == NULL ? NULL : TS_RESP_get_tst_info(response);
    const ASN1_GENERALIZEDTIME *told = info == NULL ? NULL : TS_TST_INFO_get_time(info);
    const ASN1_OBJECT *hash = NULL;
    struct tm parts;
    if (told == NULL || ASN1_TIME_to_tm(told, &parts) != 1) {
        return FALSE;
    }
    X509_ALGOR_get0(&hash, NULL, NULL, TS_MSG_IMPRINT_get_algo(TS_TST_INFO_get_msg_imprint(info)));
    int kind = OBJ_obj2nid(hash);
    *time = timegm(&parts);
    return kind == NID_sha256 || kind == NID_sha384 || kind == NID_sha512;
}

/* As of the time that it says: a stamp is good for ever if it was then. */
static gboolean timestamp_is_by(TS_RESP *response, GBytes *signature, const TrustAuthority *authority, gint64 time)
{
    gsize size;
    const void *bytes = g_bytes_get_data(signature, &size);
    g_autoptr(TS_VERIFY_CTX) context = TS_VERIFY_CTX_new();
    g_assert(context != NULL);
    TS_VERIFY_CTX_set_flags(context, TS_VFY_VERSION | TS_VFY_SIGNATURE | TS_VFY_DATA);
    TS_VERIFY_CTX_set_data(context, BIO_new_mem_buf(bytes, (int)size));
    TS_VERIFY_CTX_set_store(context, trust_authority_store(authority, time));
    TS_VERIFY_CTX_set_certs(context, X509_chain_up_ref(authority->others));
    return TS_RESP_verify_response(context, response) == 1;
}

gboolean timestamp_verify(GBytes *response, GBytes *signature, const TrustedRoot *root, gint64 *time, GError **error)
{
    gsize size;
    const unsigned char *at = g_bytes_get_data(response, &size);
    g_autoptr(TS_RESP) answer = d2i_TS_RESP(NULL, &at, (long)size);
    gboolean counts = FALSE;
    if (timestamp_read(answer, time)) {
        for (guint i = 0; i < root->stampers->len && !counts; i++) {
            const TrustAuthority *authority = g_ptr_array_index(root->stampers, i);
            counts = trust_window_has(&authority->valid, *time) && timestamp_is_by(answer, signature, authority, *time);
        }
    }
    ERR_clear_error();
    if (!counts) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "its time stamp is not one of an authority of the trusted root, of this signature");
    }
    return counts;
}
