#include "transfer/admit.h"

#include <ingot/error.h>

#include "transfer/signatures.h"
#include "trust/policy.h"

/* What the policy asks of one image. */
typedef struct {
    const char *path; /* the policy's */
    const IngotReference *asked;
    const IngotDigest *image;
    Policy *policy;
    const GPtrArray *demands; /* NULL: nothing */
    char *scope;
    GPtrArray *keys;  /* GPtrArray of TrustKey for each signature that is needed, in the order of the demands */
    const char *hint; /* where a signature may come from */
    gboolean stored;  /* the signatures are a store's */
} Admission;

static void admission_clear(Admission *admission)
{
    g_clear_pointer(&admission->policy, policy_free);
    g_clear_pointer(&admission->keys, g_ptr_array_unref);
    g_free(admission->scope);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Admission, admission_clear)

/* Always FALSE. */
static gboolean admission_refuse(const Admission *admission, const char *why, GError **error)
{
    g_autofree char *text = ingot_reference_to_text(admission->asked);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_REFUSED, "%s: refused by the policy %s (%s): %s", text, admission->path,
                admission->scope, why);
    return FALSE;
}

/* Without what it says, nothing is allowed. */
static gboolean admission_refuse_unread(const Admission *admission, const GError *problem, GError **error)
{
    g_autofree char *text = ingot_reference_to_text(admission->asked);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_REFUSED, "%s: refused, since the policy can't be applied: %s", text,
                problem->message);
    return FALSE;
}

static gboolean admission_add(Admission *admission, const Demand *demand, GError **error)
{
    g_autoptr(GError) problem = NULL;
    switch (demand->kind) {
    case DEMAND_NOTHING:
        return TRUE;
    case DEMAND_REJECT:
        return admission_refuse(admission, "it rejects all images there", error);
    case DEMAND_BEYOND:
        return admission_refuse(admission, demand->why, error);
    case DEMAND_SIGNATURE:
        break;
    }
    GPtrArray *keys = policy_keys(demand, &problem);
    if (keys == NULL) {
        return admission_refuse_unread(admission, problem, error);
    }
    g_ptr_array_add(admission->keys, keys);
    return TRUE;
}

/* All that can be told without a look at the image: what is left is a signature for each of admission->keys. */
static gboolean admission_begin(Admission *admission, const IngotPullOptions *options, GError **error)
{
    g_autoptr(GError) problem = NULL;
    admission->keys = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
    admission->path = options == NULL || options->remote == NULL ? NULL : options->remote->policy;
    if (admission->path == NULL) {
        return TRUE;
    }
    admission->policy = policy_read(admission->path, &problem);
    if (admission->policy == NULL) {
        return admission_refuse_unread(admission, problem, error);
    }
    admission->demands = policy_find(admission->policy, admission->asked, &admission->scope);
    for (guint i = 0; admission->demands != NULL && i < admission->demands->len; i++) {
        if (!admission_add(admission, g_ptr_array_index(admission->demands, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean admit_asks_of_tag(const IngotReference *asked, const IngotRemoteOptions *options)
{
    g_autoptr(Policy) policy = options->policy == NULL ? NULL : policy_read(options->policy, NULL);
    return policy == NULL ? options->policy != NULL : demands_ask(policy_find_tag(policy, asked));
}

gboolean admit_asks(const IngotReference *asked, const IngotRemoteOptions *options)
{
    g_autofree char *scope = NULL;
    g_autoptr(Policy) policy = options->policy == NULL ? NULL : policy_read(options->policy, NULL);
    return policy == NULL ? options->policy != NULL
                          : demands_ask(policy_find(policy, asked, &scope)) || policy_asks_of_tags(policy, asked);
}

gboolean admit_asks_anything(const IngotRemoteOptions *options)
{
    g_autoptr(Policy) policy = options->policy == NULL ? NULL : policy_read(options->policy, NULL);
    return policy == NULL ? options->policy != NULL : policy_asks(policy);
}

/* *why: of a signature by a right key, else of the first one. */
static gboolean admission_one_counts(const Admission *admission, const Demand *demand, const GPtrArray *keys,
                                     const GPtrArray *signatures, char **why)
{
    const TrustSigners signers = {.keys = (TrustKey *const *)keys->pdata, .count = keys->len};
    for (guint i = 0; i < signatures->len; i++) {
        g_auto(TrustResult) result = {0};
        g_autoptr(GError) problem = NULL;
        gboolean is_signed =
            signature_counts(g_ptr_array_index(signatures, i), &signers, admission->image, NULL, &result, &problem);
        if (is_signed && signed_identity_fits(&demand->identity, admission->asked, result.name, &problem)) {
            return TRUE;
        }
        if (is_signed || *why == NULL) {
            g_free(*why);
            *why = g_strdup(problem->message);
        }
    }
    return FALSE;
}

/* Always FALSE. What is missing is a signature, and only in a store: callers that take "not found" for an image that is
 * not there, or a tag that has moved, are not told that. */
static gboolean admission_refuse_unread_signature(const Admission *admission, const GError *unread, GError **error)
{
    gboolean lost = g_error_matches(unread, INGOT_ERROR, INGOT_ERROR_NOT_FOUND);
    gboolean damaged = lost || g_error_matches(unread, INGOT_ERROR, INGOT_ERROR_CORRUPT);
    g_autofree char *text = ingot_reference_to_text(admission->asked);
    g_set_error(error, unread->domain, lost ? INGOT_ERROR_FAILED : unread->code,
                "%s: not all of its signatures could be read, of which the policy %s needs one: %s%s", text,
                admission->path, unread->message,
                damaged && admission->stored ? " (`ingot fsck --repair` fetches what a store has lost)" : "");
    return FALSE;
}

/* That none of them counts can be said only where all were read. Always FALSE. */
static gboolean admission_refuse_signatures(const Admission *admission, const GPtrArray *signatures, const char *why,
                                            GError **error)
{
    const GError *unread = signatures_unread(signatures);
    if (unread != NULL) {
        return admission_refuse_unread_signature(admission, unread, error);
    }
    g_autofree char *words = signatures->len == 0 ? g_strdup_printf("it is not signed%s", admission->hint)
                                                  : g_strdup_printf("none of its %u signatures counts: %s%s",
                                                                    signatures->len, why, admission->hint);
    return admission_refuse(admission, words, error);
}

static gboolean admission_is_met(const Admission *admission, const GPtrArray *signatures, GError **error)
{
    guint needed = 0;
    for (guint i = 0; admission->demands != NULL && i < admission->demands->len; i++) {
        const Demand *demand = g_ptr_array_index(admission->demands, i);
        g_autofree char *why = NULL;
        if (demand->kind == DEMAND_SIGNATURE &&
            !admission_one_counts(admission, demand, g_ptr_array_index(admission->keys, needed++), signatures, &why)) {
            return admission_refuse_signatures(admission, signatures, why, error);
        }
    }
    return TRUE;
}

gboolean admit_stored(IngotStore *store, const IngotReference *asked, const IngotDigest *image,
                      const IngotPullOptions *options, GError **error)
{
    g_auto(Admission) admission = {.asked = asked, .image = image, .stored = TRUE};
    admission.hint = asked->host == NULL ? "" : " (`ingot pull` fetches what its registry has by now)";
    if (!admission_begin(&admission, options, error)) {
        return FALSE;
    }
    if (admission.keys->len == 0) {
        return TRUE;
    }
    g_autoptr(GPtrArray) signatures = signatures_of_store(store, image, error);
    return signatures != NULL && admission_is_met(&admission, signatures, error);
}

gboolean admit_pull(IngotStore *store, IngotRemote *remote, const IngotReference *asked, const IngotDigest *image,
                    const IngotPullOptions *options, GError **error)
{
    g_auto(Admission) admission = {.asked = asked, .image = image, .hint = ""};
    if (!admission_begin(&admission, options, error)) {
        return FALSE;
    }
    if (admission.keys->len == 0) {
        return TRUE;
    }
    g_autoptr(GPtrArray) kept = signatures_of_store(store, image, NULL);
    if (kept != NULL && admission_is_met(&admission, kept, NULL)) {
        return TRUE;
    }
    g_autoptr(GPtrArray) signatures = signatures_of_registry(remote, asked->name, image, error);
    return signatures != NULL && admission_is_met(&admission, signatures, error);
}
