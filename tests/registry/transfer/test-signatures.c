/* Signatures of a registry that fails, is interrupted, or lists more than is read: nobody takes these for "not signed".
 */
#include "../remote/serve.h"

#include <ingot/manifest.h>
#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "store/lacking.h"
#include "transfer/attachments.h"
#include "transfer/signatures.h"
#include "trust/intoto.h"

#define NAME "team/web"
#define IMAGE "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}"
#define REPORT_TYPE "application/vnd.in-toto+json"

typedef struct {
    IngotDescriptor image;
    json_t *listed;           /* the referrers */
    GHashTable *texts;        /* what is there: digest -> text */
    GPtrArray *asked;         /* digests of manifests, in order */
    const char *fails;        /* the digest of what is answered with... */
    const char *status;       /* ...this */
    GCancellable *interrupts; /* where that is asked for; may be NULL */
} Registry;

static Registry *registry_new(void)
{
    Registry *registry = g_new0(Registry, 1);
    ingot_digest_of(IMAGE, strlen(IMAGE), &registry->image.digest);
    registry->image.size = strlen(IMAGE);
    registry->listed = json_array();
    registry->texts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    registry->asked = g_ptr_array_new_with_free_func(g_free);
    return registry;
}

static void registry_free(Registry *registry)
{
    json_decref(registry->listed);
    g_hash_table_unref(registry->texts);
    g_ptr_array_unref(registry->asked);
    g_free(registry);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Registry, registry_free)

static IngotDescriptor registry_put(Registry *registry, const char *text)
{
    IngotDescriptor put = {.size = strlen(text)};
    ingot_digest_of(text, strlen(text), &put.digest);
    g_hash_table_replace(registry->texts, ingot_digest_to_text(&put.digest), g_strdup(text));
    return put;
}

/* Attaches a text to the image. The digest of its manifest, which is the registry's. */
static const char *registry_attach(Registry *registry, const char *type, const char *text)
{
    const IngotDescriptor blob = registry_put(registry, text);
    registry_put(registry, "{}");
    g_autofree char *manifest = ingot_attachment_to_text(&registry->image, type, type, &blob);
    const IngotDescriptor own = registry_put(registry, manifest);
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&own.digest, digest);
    json_t *row = ingot_json_pack("{s:s, s:s, s:I, s:s}", "mediaType", INGOT_TYPE_MANIFEST, "digest", digest, "size",
                                  (json_int_t)own.size, "artifactType", type);
    json_array_append_new(registry->listed, row);
    return json_string_value(json_object_get(row, "digest"));
}

/* Signed by the key. */
static const char *registry_sign(Registry *registry, const TrustKey *key)
{
    g_autoptr(json_t) nothing = json_object();
    g_autofree char *statement = intoto_write(&registry->image.digest, NAME, TRUST_SIGNED_PREDICATE, nothing);
    g_autofree char *bundle = trust_bundle_sign(key, statement, NULL);
    return registry_attach(registry, TRUST_BUNDLE_TYPE, bundle);
}

static char *registry_list(const Registry *registry, const char *subject)
{
    g_autofree char *image = ingot_digest_to_text(&registry->image.digest);
    g_autoptr(json_t) list = g_str_has_prefix(subject, image) ? json_incref(registry->listed) : json_array();
    g_autoptr(json_t) index = ingot_json_pack("{s:i, s:O}", "schemaVersion", 2, "manifests", list);
    g_autofree char *text = ingot_json_canonical(index);
    return serve_text("200 OK", "", text);
}

static char *registry_answer(const char *request, gsize sent, gpointer user)
{
    Registry *registry = user;
    const char *referrers = strstr(request, "/referrers/"), *at = strstr(request, "sha256:");
    (void)sent;
    if (referrers != NULL) {
        return registry_list(registry, referrers + strlen("/referrers/"));
    }
    g_autofree char *digest = at == NULL ? NULL : g_strndup(at, INGOT_DIGEST_TEXT_SIZE - 1);
    const char *text = digest == NULL ? NULL : g_hash_table_lookup(registry->texts, digest);
    if (text != NULL && strstr(request, "/manifests/") != NULL) {
        g_ptr_array_add(registry->asked, g_strdup(digest));
    }
    if (digest != NULL && g_strcmp0(digest, registry->fails) == 0) {
        if (registry->interrupts != NULL) {
            g_cancellable_cancel(registry->interrupts);
        }
        return registry->status == NULL ? NULL : serve_text(registry->status, "", "");
    }
    return text == NULL ? serve_text("404 Not Found", "", "")
                        : serve_text("200 OK", "Content-Type: " INGOT_TYPE_MANIFEST "\r\n", text);
}

static GPtrArray *registry_signatures(Registry *registry, GError **error)
{
    Serve *serve = serve_new(registry_answer, registry);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    GPtrArray *list = signatures_of_registry(remote, NAME, &registry->image.digest, error);
    serve_free(serve);
    return list;
}

static gboolean counts(const GPtrArray *list, guint i, TrustKey *key, const Registry *registry, GError **error)
{
    g_auto(TrustResult) result = {0};
    TrustKey *const keys[] = {key};
    return signature_counts(g_ptr_array_index(list, i), &(TrustSigners){.keys = keys, .count = 1},
                            &registry->image.digest, NULL, &result, error);
}

/* A registry that fails has not said that the image is not signed. */
static void what_fails_is_not_refused(void **state)
{
    static const struct {
        const char *status;
        IngotError code;
        gboolean unread;
    } answers[] = {{"503 Service Unavailable", INGOT_ERROR_FAILED, TRUE},
                   {"401 Unauthorized", INGOT_ERROR_DENIED, TRUE},
                   {"403 Forbidden", INGOT_ERROR_DENIED, TRUE},
                   {NULL, INGOT_ERROR_NETWORK, TRUE}, /* it closes the connection */
                   {"404 Not Found", INGOT_ERROR_NOT_FOUND, FALSE}};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_autoptr(Registry) registry = registry_new();
        g_autoptr(TrustKey) key = trust_key_generate(NULL);
        registry->fails = registry_sign(registry, key);
        registry->status = answers[i].status;
        g_autoptr(GError) error = NULL, why = NULL;
        g_autoptr(GPtrArray) list = registry_signatures(registry, &error);
        assert_non_null(list);
        assert_int_equal(list->len, 1);
        assert_false(counts(list, 0, key, registry, &why));
        assert_true(g_error_matches(why, INGOT_ERROR, (gint)answers[i].code));
        const GError *unread = signatures_unread(list);
        assert_int_equal(unread != NULL, answers[i].unread);
        assert_true(unread == NULL || unread->code == (gint)answers[i].code);
    }
}

static void an_interrupt_ends_it(void **state)
{
    (void)state;
    g_autoptr(Registry) registry = registry_new();
    g_autoptr(TrustKey) key = trust_key_generate(NULL);
    g_autoptr(GCancellable) interrupts = g_cancellable_new();
    registry->fails = registry_sign(registry, key);
    registry->interrupts = interrupts;
    registry->status = "503 Service Unavailable";
    registry_attach(registry, TRUST_BUNDLE_TYPE, "another");
    g_autoptr(GError) error = NULL;
    g_cancellable_push_current(interrupts);
    g_autoptr(GPtrArray) list = registry_signatures(registry, &error);
    g_cancellable_pop_current(interrupts);
    assert_null(list);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
    assert_int_equal(registry->asked->len, 1);
}

/* What is behind the bound may count, and an empty bundle in front of it never hides it without a word. */
static void more_than_is_read_is_told(void **state)
{
    (void)state;
    g_autoptr(Registry) registry = registry_new();
    g_autoptr(TrustKey) key = trust_key_generate(NULL);
    for (guint i = 0; i < SIGNATURES_MOST; i++) {
        g_autofree char *text = g_strdup_printf("{\"number\":%u}", i);
        registry_attach(registry, TRUST_BUNDLE_TYPE, text);
    }
    g_autoptr(GError) error = NULL, why = NULL;
    g_autoptr(GPtrArray) all = registry_signatures(registry, &error);
    assert_int_equal(all->len, SIGNATURES_MOST);
    assert_null(signatures_unread(all));
    registry_sign(registry, key);
    g_autoptr(GPtrArray) some = registry_signatures(registry, &error);
    assert_int_equal(some->len, SIGNATURES_MOST + 1);
    assert_false(counts(some, SIGNATURES_MOST, key, registry, &why));
    assert_true(g_error_matches(why, INGOT_ERROR, INGOT_ERROR_LIMIT));
    assert_non_null(strstr(why->message, "1 more were not looked at"));
    assert_true(signatures_unread(some)->code == INGOT_ERROR_LIMIT);
}

static GPtrArray *pulled_signatures(Registry *registry, IngotStore *store)
{
    Serve *serve = serve_new(registry_answer, registry);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    g_autoptr(GError) error = NULL;
    guint64 received = 0;
    assert_true(attachments_pull(store, remote, NAME, &registry->image, NULL, &received, &error));
    serve_free(serve);
    GPtrArray *list = signatures_of_store(store, &registry->image.digest, &error);
    assert_non_null(list);
    return list;
}

/* They come along before anything else, whatever the registry lists first; and where one did not come, the store does
 * not take the image for unsigned. */
static void pulls_begin_with_signatures(void **state)
{
    (void)state;
    g_autoptr(Registry) registry = registry_new();
    g_autoptr(TrustKey) key = trust_key_generate(NULL);
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autoptr(IngotStore) store = ingot_store_open(ingot_workdir_path(folder), NULL);
    IngotDescriptor put;
    assert_true(ingot_store_put(store, IMAGE, strlen(IMAGE), &put, NULL));
    registry_attach(registry, REPORT_TYPE, "a report");
    const char *signature = registry_sign(registry, key);
    registry->fails = signature;
    registry->status = "403 Forbidden";
    g_autoptr(GError) why = NULL;
    g_autoptr(GPtrArray) without = pulled_signatures(registry, store);
    assert_string_equal(g_ptr_array_index(registry->asked, 0), signature);
    assert_int_equal(without->len, 1);
    assert_false(counts(without, 0, key, registry, &why));
    assert_non_null(signatures_unread(without));
    registry->fails = NULL;
    g_autoptr(GPtrArray) with = pulled_signatures(registry, store);
    assert_int_equal(with->len, 1);
    assert_true(counts(with, 0, key, registry, NULL));
    assert_null(signatures_unread(with));
}

/* A part that has no digest of a kind that is known is an error, not a part that may be left out. */
static void parts_without_a_digest_are_told(void **state)
{
    (void)state;
    g_autoptr(Registry) registry = registry_new();
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autoptr(IngotStore) store = ingot_store_open(ingot_workdir_path(folder), NULL);
    IngotDescriptor put;
    assert_true(ingot_store_put(store, IMAGE, strlen(IMAGE), &put, NULL));
    g_autofree char *image = ingot_digest_to_text(&registry->image.digest);
    g_autofree char *text = g_strdup_printf(
        "{\"artifactType\":\"" REPORT_TYPE "\",\"layers\":[{\"digest\":\"md5:00\",\"size\":1}],"
        "\"mediaType\":\"" INGOT_TYPE_MANIFEST "\",\"schemaVersion\":2,\"subject\":{\"digest\":\"%s\"}}",
        image);
    const IngotDescriptor own = registry_put(registry, text);
    g_autofree char *digest = ingot_digest_to_text(&own.digest);
    json_array_append_new(registry->listed,
                          ingot_json_pack("{s:s, s:s}", "digest", digest, "artifactType", REPORT_TYPE));
    g_autoptr(GPtrArray) list = pulled_signatures(registry, store);
    assert_int_equal(list->len, 0);
    g_autoptr(json_t) lacking = lacking_load(store, &registry->image.digest);
    assert_int_equal(json_array_size(lacking), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fails_is_not_refused),       cmocka_unit_test(an_interrupt_ends_it),
        cmocka_unit_test(more_than_is_read_is_told),       cmocka_unit_test(pulls_begin_with_signatures),
        cmocka_unit_test(parts_without_a_digest_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
