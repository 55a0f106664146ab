/* What is attached to an image of the store, and how much of it a registry is sent. */
#include "../remote/serve.h"

#include <ingot/manifest.h>

#include "base/file.h"
#include "store/attached.h"
#include "transfer/attachments.h"
#include "transfer/cosign.h"

#define IMAGE "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}"

/* It has all blobs, and takes each manifest. */
static char *answer(const char *request, gsize sent, gpointer user)
{
    GPtrArray *manifests = user;
    const char *at = strstr(request, "/manifests/");
    (void)sent;
    if (g_str_has_prefix(request, "PUT ") && at != NULL) {
        g_ptr_array_add(manifests, g_strndup(at + strlen("/manifests/"), INGOT_DIGEST_TEXT_SIZE - 1));
        return serve_text("201 Created", "OCI-Subject: sha256:0\r\n", "");
    }
    return serve_text("200 OK", "", "");
}

static IngotDescriptor attach(IngotStore *store, const IngotDescriptor *image, const char *text)
{
    g_autoptr(GBytes) content = g_bytes_new(text, strlen(text));
    IngotDescriptor attached;
    assert_true(attached_put(store, image, "text/mark", "text/plain", NULL, content, &attached, NULL));
    return attached;
}

/* A report is sent as soon as it is made: that sends nothing else that the store has of the image. */
static void one_goes_without_the_others(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autoptr(IngotStore) store = ingot_store_open(ingot_workdir_path(folder), NULL);
    IngotDescriptor image;
    assert_true(ingot_store_put(store, IMAGE, strlen(IMAGE), &image, NULL));
    attach(store, &image, "of old");
    const IngotDescriptor attached = attach(store, &image, "new");
    attach(store, &attached, "about the new one");
    g_autofree char *digest = ingot_digest_to_text(&attached.digest);
    g_autoptr(GPtrArray) manifests = g_ptr_array_new_with_free_func(g_free);
    Serve *serve = serve_new(answer, manifests);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    g_autoptr(GError) error = NULL;
    assert_true(attachment_push(store, remote, "team/web", &image, &attached, &error));
    assert_int_equal(manifests->len, 1);
    assert_string_equal(g_ptr_array_index(manifests, 0), digest);
    g_autofree char *left = NULL;
    assert_true(attachments_push(store, remote, "team/web", &image, TRUE, NULL, &left, &error));
    serve_free(serve);
    assert_null(left);
    assert_int_equal(manifests->len, 1 + 3);
}

static json_t *signatures(const char *words)
{
    g_auto(GStrv) list = g_strsplit(words, " ", -1);
    json_t *layers = json_array();
    for (guint i = 0; *words != '\0' && list[i] != NULL; i++) {
        json_array_append_new(layers, json_pack("{s:s, s:{s:s}}", "digest", "sha256:0", "annotations", "by", list[i]));
    }
    return json_pack("{s:o}", "layers", layers);
}

/* Which of two lists of signatures may stand for the other. */
static void a_list_holds_what_another_has(void **state)
{
    static const struct {
        const char *one, *other;
        gboolean holds;
    } cases[] = {
        {"a", "a", TRUE},  {"a b", "a", TRUE}, {"b a", "a b", TRUE}, {"a", "a b", FALSE},
        {"a", "b", FALSE}, {"", "a", FALSE},   {"a", "", FALSE}, /* nobody knows what that is */
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(json_t) one = signatures(cases[i].one), other = signatures(cases[i].other);
        assert_int_equal(cosign_holds(one, other), cases[i].holds);
    }
    g_autoptr(json_t) some = signatures("a");
    assert_false(cosign_holds(NULL, some));
    assert_false(cosign_holds(some, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_goes_without_the_others),
        cmocka_unit_test(a_list_holds_what_another_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
