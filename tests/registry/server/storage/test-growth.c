/* A version moves in one way: to an index that begins with what it named. */
#include "../fixture.h"

#include "base/json.h"
#include "image/architecture.h"
#include "server/storage/growth.h"
#include "transfer/platform.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define KIND "application/vnd.ingot.image.v1"

/* --- what is a growth of what --- */

/* Entries, whose digests are one letter. */
#define FOUR(letter) letter letter letter letter
#define DIGEST(letter) "sha256:" FOUR(FOUR(FOUR(letter)))
#define ENTRY(letter, more) "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" DIGEST(letter) "\",\"size\":7" more "}"
#define OURS ",\"artifactType\":\"" KIND "\""
#define ON(os, architecture) ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" architecture "\"}"
#define A ENTRY("a", OURS ON("linux", "amd64"))
#define B ENTRY("b", OURS ON("linux", "arm64"))
#define C ENTRY("c", "")
/* Of containers. */
#define ARM(letter, more) ENTRY(letter, ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\"" more "}")
#define V6 ",\"variant\":\"v6\""
#define V7 ",\"variant\":\"v7\""
#define NOTED(key, value) ",\"annotations\":{\"" key "\":\"" value "\"}"
#define ZSTD NOTED("io.github.containers.compression.zstd", "true")

#define IMAGE "{\"artifactType\":\"" KIND "\",\"layers\":[]}"
#define CONFIG "{\"architecture\":\"amd64\",\"os\":{\"id\":\"debian\"}}"

typedef struct {
    const char *type, *before, *config; /* of what DIGEST("a") names, of 7 bytes */
    const char *entries;                /* of the index */
    gboolean grows;
} Case;

static const Case cases[] = {
    /* An image, and what says of it what it says itself. */
    {MANIFEST, IMAGE, CONFIG, A "," B, TRUE},
    {MANIFEST, IMAGE, CONFIG, A "," B "," C, TRUE},
    {MANIFEST, IMAGE, CONFIG, A, FALSE},
    {MANIFEST, IMAGE, CONFIG, "", FALSE},
    {MANIFEST, IMAGE, CONFIG, B "," A, FALSE},
    {MANIFEST, IMAGE, CONFIG, ENTRY("a", OURS ON("linux", "arm64")) "," B, FALSE},
    {MANIFEST, IMAGE, CONFIG, ENTRY("a", OURS ON("windows", "amd64")) "," B, FALSE},
    {MANIFEST, IMAGE, CONFIG, ENTRY("a", OURS) "," B, FALSE},
    {MANIFEST, IMAGE, CONFIG, ENTRY("a", ON("linux", "amd64")) "," B, FALSE},
    {MANIFEST, IMAGE, CONFIG, ENTRY("a", ",\"artifactType\":\"x\"" ON("linux", "amd64")) "," B, FALSE},
    {MANIFEST, IMAGE, CONFIG, "{\"digest\":\"" DIGEST("a") "\",\"size\":7" OURS ON("linux", "amd64") "}," B, FALSE},
    {MANIFEST, IMAGE, CONFIG,
     "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" DIGEST("a") "\",\"size\":8" OURS ON("linux", "amd64") "}," B,
     FALSE},
    {MANIFEST, IMAGE, CONFIG, ENTRY("a", OURS ON("linux", "amd64") ZSTD) "," B, TRUE},
    {MANIFEST, IMAGE, CONFIG,
     ENTRY("a", OURS ON("linux", "amd64") NOTED("vnd.docker.reference.type", "attestation-manifest")) "," B, FALSE},
    {MANIFEST, IMAGE, CONFIG, ENTRY("a", OURS ON("linux", "amd64") ",\"Digest\":\"b\"") "," B, FALSE},
    {MANIFEST, IMAGE, CONFIG,
     ENTRY("a", OURS ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\",\"Architecture\":\"arm64\"}") "," B,
     FALSE},
    {MANIFEST, IMAGE, NULL, A "," B, FALSE},
    {MANIFEST, IMAGE, "[]", A "," B, FALSE},
    {MANIFEST, IMAGE, "{\"architecture\":\"x86_64\",\"os\":\"windows\",\"variant\":\"v2\"}", A "," B, TRUE},
    {MANIFEST, IMAGE, "{\"architecture\":\"x86_64\"}", ENTRY("a", OURS ON("linux", "x86_64")) "," B, FALSE},
    /* One whose disk has no system that is known. */
    {MANIFEST, IMAGE, "{\"architecture\":\"amd64\"}", A "," B, TRUE},
    {MANIFEST, IMAGE, "{\"architecture\":\"amd64\"}", ENTRY("a", OURS ON("windows", "amd64")) "," B, FALSE},
    {MANIFEST, IMAGE, "{\"architecture\":\"amd64\"}", ENTRY("a", OURS ON("linux", "arm64")) "," B, FALSE},
    {MANIFEST, IMAGE, "{\"architecture\":\"amd64\"}",
     ENTRY("a", OURS ",\"platform\":{\"architecture\":\"amd64\"}") "," B, FALSE},
    /* An image for containers, with its os as a word, and a variant. */
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}", ARM("a", "") "," B, FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}", ARM("a", V7) "," B, TRUE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}", ARM("a", V6) "," B, FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}", ARM("a", V7) "," B, FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}", ARM("a", "") "," B, TRUE},
    {MANIFEST, "{}", "{\"architecture\":\"386\",\"os\":\"linux\"}", ENTRY("a", ON("linux", "386")) "," B, TRUE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"windows\"}", ENTRY("a", ON("linux", "arm")) "," B, FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\"}", ENTRY("a", ON("linux", "arm")) "," B, FALSE},
    /* An artifact that is of no platform, or one of which that can't be read. */
    {MANIFEST, "{}", "{}", C "," B, FALSE},
    {MANIFEST, "{}", NULL, ENTRY("a", "") "," B, FALSE},
    {MANIFEST, IMAGE, NULL, ENTRY("a", OURS) "," B, FALSE},
    {MANIFEST, "{}", "{}", A "," B, FALSE},
    {MANIFEST, "{\"manifests\":[]}", "{}", A "," B, FALSE}, /* an image's is no index, whatever it holds */
    /* What comes behind for the same platform is not taken. */
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}", ARM("a", "") "," ARM("b", ""), TRUE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}", ARM("a", "") "," ARM("b", V7), FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}", ARM("a", V7) "," ARM("b", V6),
     FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}", ARM("a", "") "," ARM("b", ",\"os.version\":\"6\""),
     FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}",
     ARM("a", "") "," ENTRY("b", ON("linux", "arm") ZSTD), FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}",
     ARM("a", "") "," ENTRY("b", OURS ON("linux", "arm")), FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}", ARM("a", "") "," ENTRY("b", ON("linux", "armhf")),
     FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}",
     ARM("a", "") "," ENTRY("b", ON("Linux", "arm") ZSTD), FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}", ARM("a", "") "," ENTRY("b", ON("", "arm")), FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}",
     ARM("a", "") "," ENTRY("b", ",\"platform\":{\"architecture\":\"arm64\"}"), FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}",
     ARM("a", "") "," ENTRY("b", ON("linux", "s390x") ",\"Platform\":{}"), FALSE},
    {MANIFEST, "{}", "{\"architecture\":\"arm\",\"os\":\"linux\"}", ARM("a", "") "," ARM("b", ",\"Variant\":\"v7\""),
     FALSE},
    {MANIFEST, IMAGE, CONFIG, A "," ARM("b", V6) "," ARM("c", V7), TRUE},
    {MANIFEST, IMAGE, CONFIG, A "," ENTRY("b", ON("unknown", "unknown") NOTED("a", "b")), TRUE},
    /* An index. */
    {GROWTH_TYPE, "{\"manifests\":[" A "]}", NULL, A "," B, TRUE},
    {LIST, "{\"manifests\":[" A "," B "]}", NULL, A "," B "," C, TRUE},
    {LIST, "{\"manifests\":[" A "," C "]}", NULL, A "," C "," B, FALSE},
    {GROWTH_TYPE, "{\"manifests\":[" ARM("a", "") "]}", NULL, ARM("a", "") "," ARM("b", V7), FALSE},
    {GROWTH_TYPE, "{\"manifests\":[" ENTRY("a", ON("linux", "amd64")) "]}", NULL,
     ENTRY("a", ON("linux", "amd64")) "," ENTRY("b", OURS ON("linux", "amd64")), FALSE},
    {GROWTH_TYPE, "{\"manifests\":[" A "," C "]}", NULL, A "," C, FALSE},
    {GROWTH_TYPE, "{\"manifests\":[" A "," C "]}", NULL, A, FALSE},
    {GROWTH_TYPE, "{\"manifests\":[" A "," C "]}", NULL, C "," A "," B, FALSE},
    {GROWTH_TYPE, "{\"manifests\":[" A "," C "]}", NULL, A "," B "," C, FALSE},
    {GROWTH_TYPE, "{\"manifests\":[" A "]}", NULL, ENTRY("a", OURS ON("linux", "arm64")) "," B, FALSE},
    {GROWTH_TYPE, "{\"manifests\":[" A "]}", NULL, ENTRY("a", OURS ON("linux", "amd64") ",\"x\":1") "," B, FALSE},
    {GROWTH_TYPE, "{\"manifests\":[" ENTRY("a", ON("linux", "arm")) "]}", NULL,
     "{\"platform\":{\"architecture\":\"arm\",\"os\":\"linux\"},\"mediaType\":\"" MANIFEST
     "\",\"size\":7,\"digest\":\"" DIGEST("a") "\"}," B,
     TRUE},
    {GROWTH_TYPE, "{\"manifests\":[" C "]}", NULL,
     "{\"mediaType\":\"" GROWTH_TYPE "\",\"digest\":\"" DIGEST("a") "\",\"size\":7}," B, FALSE},
    {GROWTH_TYPE, "{\"manifests\":[]}", NULL, A, TRUE},
    {GROWTH_TYPE, "{}", NULL, "", FALSE},
};

static json_t *parse(const char *text)
{
    return text == NULL ? NULL : ingot_json_parse(text, strlen(text), "a test", NULL);
}

static void an_index_grows_from_what_it_begins_with(void **state)
{
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf("{\"manifests\":[%s]}", cases[i].entries);
        g_autoptr(json_t) index = parse(text), before = parse(cases[i].before), config = parse(cases[i].config);
        assert_non_null(index);
        assert_non_null(before);
        if (growth_is_of(index, &(Grown){DIGEST("a"), 7, cases[i].type, before, config}) != cases[i].grows) {
            fail_msg("case %u: %s", i, cases[i].entries);
        }
    }
    g_autoptr(json_t) other = parse("{\"manifests\":{}}"), image = parse("{}");
    assert_false(growth_is_of(other, &(Grown){DIGEST("a"), 7, MANIFEST, image, NULL}));
    assert_false(growth_is_of(image, &(Grown){DIGEST("a"), 7, MANIFEST, image, NULL}));
    /* Who reads keys in any letter case would read another list. */
    g_autoptr(json_t) grown = parse("{\"schemaVersion\":2,\"annotations\":{},\"manifests\":[" A "," B "]}"),
                      twice = parse("{\"manifests\":[" A "," B "],\"Manifests\":[]}"),
                      of = parse("{\"manifests\":[" A "]}");
    assert_true(growth_is_of(grown, &(Grown){DIGEST("a"), 7, GROWTH_TYPE, of, NULL}));
    assert_false(growth_is_of(twice, &(Grown){DIGEST("a"), 7, GROWTH_TYPE, of, NULL}));
}

/* What `ingot pull` takes of an index; NULL: nothing. Free it. */
static char *choose(const char *index, const char *architecture)
{
    IngotDigest digest;
    return platform_choose(index, strlen(index), architecture, "a test", &digest, NULL) == PLATFORM_CHOSEN
               ? ingot_digest_to_text(&digest)
               : NULL;
}

/* By whatever an image says of itself, and whatever the index says. */
static void what_is_pulled_stays_by_a_growth(void **state)
{
    static const char *const architectures[] = {"amd64", "arm64", "arm", "i386"};
    guint compared = 0;
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *after = g_strdup_printf("{\"manifests\":[%s]}", cases[i].entries);
        g_autoptr(json_t) config = parse(cases[i].config), before = parse(cases[i].before);
        const char *own = json_string_value(json_object_get(config, "architecture"));
        gboolean is_index = growth_is_index(cases[i].type);
        gboolean is_disk = json_object_get(before, "artifactType") != NULL;
        for (guint j = 0; cases[i].grows && j < G_N_ELEMENTS(architectures); j++) {
            g_autofree char *taken = is_index ? choose(cases[i].before, architectures[j])
                                     : is_disk && g_strcmp0(architecture_word(own), architectures[j]) == 0
                                         ? g_strdup(DIGEST("a"))
                                         : NULL;
            g_autofree char *now = choose(after, architectures[j]);
            if (taken != NULL && g_strcmp0(taken, now) != 0) {
                fail_msg("case %u, %s: %s", i, architectures[j], cases[i].entries);
            }
            compared += taken != NULL;
        }
    }
    assert_true(compared > 5);
}

/* --- in a storage --- */

static gboolean put(Storage *storage, const char *type, const char *text, const char *const tags[], IngotDigest *digest)
{
    g_autoptr(json_t) root = parse(text);
    g_autoptr(GArray) mentions = mentions_read(root);
    g_autoptr(GError) error = NULL;
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = type,
                                      .tag = tags[0],
                                      .further = tags + 1,
                                      .artifact = "",
                                      .mentions = mentions,
                                      .fixed = TRUE};
    gboolean ok = storage_put_manifest(storage, "a", &manifest, digest, &error);
    if (!ok && !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        fail_msg("%s", error->message);
    }
    assert_true(ok || strstr(error->message, "a version never moves") != NULL);
    return ok;
}

/* An image with a config of its own, by a tag; its entry in an index. */
static char *put_image(Storage *storage, const char *tag, const char *architecture)
{
    g_autofree char *config = g_strdup_printf("{\"architecture\":\"%s\",\"os\":\"linux\"}", architecture);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)config, (guint)strlen(config));
    IngotDigest blob = push(storage, "a", bytes), digest;
    g_autofree char *named = ingot_digest_to_text(&blob);
    g_autofree char *text = g_strdup_printf("{\"config\":{\"digest\":\"%s\",\"size\":%u}}", named, bytes->len);
    const char *const tags[] = {tag, NULL};
    assert_true(put(storage, MANIFEST, text, tags, &digest));
    g_autofree char *hex = ingot_digest_to_text(&digest);
    return g_strdup_printf("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"linux\","
                           "\"architecture\":\"%s\"}}",
                           MANIFEST, hex, strlen(text), architecture);
}

static gboolean put_index(Storage *storage, const char *const tags[], const char *one, const char *two,
                          const char *three)
{
    g_autofree char *text =
        g_strdup_printf("{\"manifests\":[%s,%s%s%s]}", one, two, three == NULL ? "" : ",", three == NULL ? "" : three);
    IngotDigest digest, found;
    gboolean ok = put(storage, GROWTH_TYPE, text, tags, &digest);
    assert_true(storage_find_tag(storage, "a", tags[0], &found, NULL));
    assert_int_equal(ingot_digest_equal(&found, &digest), ok);
    return ok;
}

static void assert_version(Storage *storage, const char *entry, const char *version)
{
    g_autoptr(json_t) parsed = parse(entry);
    IngotDigest digest;
    assert_true(ingot_digest_parse(json_string_value(json_object_get(parsed, "digest")), &digest, NULL));
    g_autofree char *found = storage_version_of(storage, "a", &digest);
    assert_string_equal(found == NULL ? "none" : found, version);
}

/* A channel that names what the version did shows the version still. */
static void what_a_version_named_is_of_it_still(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    const char *const first[] = {"1.0.0", NULL}, *const second[] = {"0.9.0", NULL};
    g_autofree char *amd64 = put_image(storage, "1.0.0", "amd64"), *arm64 = put_image(storage, "edge", "arm64"),
                    *s390x = put_image(storage, "0.9.0", "s390x");
    assert_version(storage, amd64, "1.0.0");
    assert_version(storage, arm64, "none");
    assert_true(put_index(storage, first, amd64, arm64, NULL));
    assert_true(put_index(storage, second, s390x, arm64, NULL));
    assert_version(storage, amd64, "1.0.0");
    assert_version(storage, arm64, "1.0.0");
    assert_version(storage, s390x, "0.9.0");
    assert_true(storage_remove_tag(storage, NULL, "a", "1.0.0", NULL));
    assert_version(storage, amd64, "none");
    assert_version(storage, arm64, "0.9.0");
}

static void a_version_grows_and_does_nothing_else(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    const char *const first[] = {"1.0.0", NULL}, *const both[] = {"1.1.0", "1.0.0", NULL};
    g_autofree char *amd64 = put_image(storage, "1.0.0", "amd64"), *arm64 = put_image(storage, "0.1.0", "arm64"),
                    *s390x = put_image(storage, "0.2.0", "s390x");
    assert_false(put_index(storage, first, arm64, amd64, NULL));
    assert_true(put_index(storage, first, amd64, arm64, NULL));
    assert_true(put_index(storage, first, amd64, arm64, NULL)); /* it is that */
    assert_false(put_index(storage, first, amd64, s390x, NULL));
    assert_false(put_index(storage, first, amd64, s390x, arm64));
    assert_true(put_index(storage, first, amd64, arm64, s390x));
    assert_false(put_index(storage, first, amd64, arm64, NULL));
    g_autofree char *other = put_image(storage, "1.1.0", "arm64");
    assert_string_equal(other, arm64);
    assert_false(put_index(storage, both, arm64, amd64, NULL)); /* all or none */
    assert_clean(storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_index_grows_from_what_it_begins_with),
        cmocka_unit_test(what_is_pulled_stays_by_a_growth),
        cmocka_unit_test_setup_teardown(a_version_grows_and_does_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_version_named_is_of_it_still, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}
