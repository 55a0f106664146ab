/* An index of several platforms: which image is meant, and what an error says. */
#include "../remote/serve.h"

#include <ingot/manifest.h>
#include <ingot/transfer.h>

#include "transfer/platform.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define AMD "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}"
#define ARM "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}"
#define UNKNOWN "\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}"
#define DISK "\"artifactType\":\"" INGOT_TYPE_IMAGE "\""
#define ENTRY(digest, more) "{\"digest\":\"" digest "\"," more "}"
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"

static void which_is_meant(void **state)
{
    static const struct {
        const char *text;
        PlatformResult result;
        const char *chosen; /* or a part of the error */
    } rows[] = {
        {INDEX(ENTRY(A, ARM) "," ENTRY(B, AMD)), PLATFORM_CHOSEN, B},
        {INDEX(ENTRY(A, AMD) "," ENTRY(B, AMD)), PLATFORM_CHOSEN, A},
        {INDEX(ENTRY(A, AMD) "," ENTRY(B, AMD "," DISK)), PLATFORM_CHOSEN, B},
        {INDEX(ENTRY(A, AMD ",\"artifactType\":\"text/plain\"") "," ENTRY(B, AMD)), PLATFORM_CHOSEN, B},
        {INDEX(ENTRY(A, UNKNOWN) "," ENTRY(B, DISK)), PLATFORM_CHOSEN, B},
        {INDEX(ENTRY(A, DISK) "," ENTRY(B, DISK)), PLATFORM_NONE, "one without a platform (" A ")"},
        {INDEX(ENTRY(A, ARM) "," ENTRY(B, UNKNOWN)), PLATFORM_NONE, "linux/arm64 (" A "), unknown/unknown (" B ")"},
        {INDEX(ENTRY(A, "\"platform\":{\"os\":\"\\u001b[1m\"}")), PLATFORM_NONE, "/? ("},
        {INDEX(""), PLATFORM_NONE, "empty"},
        {INDEX("1,null"), PLATFORM_NONE, "without a platform"},
        {INDEX(ENTRY("sha256:a", AMD)), PLATFORM_NONE, "digest"},
        {"{\"manifests\":[],\"layers\":[]}", PLATFORM_SINGLE, NULL},
        {"{}", PLATFORM_SINGLE, NULL},
        {"nonsense", PLATFORM_SINGLE, NULL},
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        IngotDigest chosen;
        g_autoptr(GError) error = NULL;
        assert_int_equal(
            platform_choose(rows[i].text, strlen(rows[i].text), "amd64", "a.example/web:1", &chosen, &error),
            rows[i].result);
        assert_int_equal(error != NULL, rows[i].result == PLATFORM_NONE);
        g_autofree char *text = rows[i].result == PLATFORM_CHOSEN ? ingot_digest_to_text(&chosen)
                                : error != NULL                   ? g_strdup(error->message)
                                                                  : NULL;
        if (text != NULL && strstr(text, rows[i].chosen) == NULL) {
            fail_msg("%s: %s", rows[i].text, text);
        }
        assert_true(text == NULL || strchr(text, '\x1b') == NULL);
    }
}

/* A tag's index holds another index, with the image. */
typedef struct {
    const char *outer, *inner, *image;
    char *inner_digest, *image_digest;
} Registry;

static char *answer(const char *request, gsize sent, gpointer user)
{
    const Registry *registry = user;
    (void)sent;
    return serve_text("200 OK", "",
                      strstr(request, registry->image_digest) != NULL   ? registry->image
                      : strstr(request, registry->inner_digest) != NULL ? registry->inner
                                                                        : registry->outer);
}

static char *digest_text(const char *text)
{
    IngotDigest digest;
    ingot_digest_of(text, strlen(text), &digest);
    return ingot_digest_to_text(&digest);
}

static void an_index_in_an_index(void **state)
{
    Registry registry = {.image = "{\"layers\":[]}"};
    (void)state;
    registry.image_digest = digest_text(registry.image);
    g_autofree char *inner = g_strdup_printf("{\"manifests\":[{\"digest\":\"%s\"," AMD "}]}", registry.image_digest);
    registry.inner_digest = digest_text(inner);
    g_autofree char *outer = g_strdup_printf("{\"manifests\":[{\"digest\":\"%s\"," AMD "}]}", registry.inner_digest);
    registry.inner = inner;
    registry.outer = outer;
    Serve *serve = serve_new(answer, &registry);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    IngotDescriptor found;
    g_autoptr(IngotReference) reference = ingot_reference_parse("a.example/team/web:1", NULL);
    g_autoptr(GBytes) bytes = ingot_transfer_image_manifest(remote, reference, &found, NULL);
    assert_non_null(bytes);
    g_autofree char *text = ingot_digest_to_text(&found.digest);
    assert_string_equal(text, registry.image_digest);
    serve_free(serve);
    g_free(registry.image_digest);
    g_free(registry.inner_digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(which_is_meant), cmocka_unit_test(an_index_in_an_index)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
