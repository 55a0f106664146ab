/* A pull from a registry whose manifest is not true. */
#include "../remote/serve.h"

#include <ingot/manifest.h>
#include <ingot/store.h>
#include <ingot/transfer.h>

#include "base/file.h"
#include "base/json.h"

typedef struct {
    char *manifest, *config;
} Registry;

static char *answer(const char *request, gsize sent, gpointer user)
{
    const Registry *registry = user;
    (void)sent;
    return strstr(request, "/manifests/") != NULL
               ? serve_text("200 OK", "Content-Type: " INGOT_TYPE_MANIFEST "\r\n", registry->manifest)
               : serve_text("200 OK", "", registry->config);
}

/* Pulls an image whose manifest gives its config so many bytes more than it has. */
static void pull_config(gint64 more, const char *told)
{
    g_autoptr(json_t) config = ingot_config_new("amd64", 4096);
    g_autofree char *text = ingot_json_canonical(config);
    IngotManifest parts = {.config.size = (guint64)((gint64)strlen(text) + more), .index.size = 1, .disk.size = 1};
    ingot_digest_of(text, strlen(text), &parts.config.digest);
    g_autofree char *manifest = ingot_manifest_to_text(&parts);
    Registry registry = {.manifest = manifest, .config = text};
    Serve *serve = serve_new(answer, &registry);
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autoptr(IngotStore) store = ingot_store_open(ingot_workdir_path(folder), NULL);
    g_autofree char *whole = g_strdup_printf("%s/team/web:1.0.0", serve->where + strlen("http://"));
    g_autoptr(IngotReference) reference = ingot_reference_parse(whole, NULL);
    g_autoptr(GError) error = NULL;
    IngotDescriptor got;
    assert_false(ingot_transfer_pull(store, reference, NULL, &got, NULL, &error));
    serve_free(serve);
    if (strstr(error->message, told) == NULL) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(ingot_store_has(store, &parts.config.digest), more == 0);
    /* What has failed holds nothing, though its handle is not freed: others don't wait for it. */
    IngotGarbage garbage;
    g_autoptr(IngotStore) other = ingot_store_open(ingot_workdir_path(folder), NULL);
    assert_true(ingot_store_collect(other, &garbage, NULL));
    assert_int_equal(garbage.held, 0);
    assert_int_equal(garbage.blobs, more == 0 ? 1 : 0);
}

static void sizes_are_what_the_manifest_gives(void **state)
{
    (void)state;
    pull_config(1, "but it has another size");
    pull_config(-1, "but it has another size");
    pull_config(1 << 30, "more than such a blob has");
    pull_config(0, ""); /* its config is taken, and its index is none */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes_are_what_the_manifest_gives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
