/* An image as the source: what its tag stood for when the build began, unpacked once, checked at each use. */
#include "../../registry/remote/serve.h"

#include "base/file.h"
#include "base/process.h"
#include "bundle/download.h"
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/source.h"
#include "transfer/signatures.h"
#include "trust/base64.h"
#include "trust/intoto.h"

#define SIZE (4 << 20) /* bytes */
#define NOBODY 65534   /* a user who owns nothing */

typedef struct {
    IngotWorkdir *workdir;
    char *cache;
    IngotStore *store;
    char *first; /* digest of the image that team/base:1.0.0 is at first */
    Recipe recipe;
    SourceContext context;
} Fixture;

/* team/base:1.0.0 is now a disk of that text. Its digest; free it. */
static char *tag_disk(const Fixture *fixture, const char *text)
{
    g_autofree char *path = ingot_workdir_file(fixture->workdir, "disk.raw");
    assert_true(g_file_set_contents(path, text, -1, NULL));
    assert_int_equal(truncate(path, SIZE), 0);
    const IngotPackOptions options = {.threads = 1};
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, "raw", NULL);
    g_autoptr(IngotPacked) packed = ingot_store_pack(fixture->store, blocks, &options, NULL);
    g_autoptr(json_t) config = ingot_config_new("amd64", SIZE);
    const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
    IngotDescriptor manifest;
    assert_true(ingot_store_add_image(fixture->store, "team/base", "1.0.0", config, NULL, &disk, 1, &manifest, NULL));
    return ingot_digest_to_text(&manifest.digest);
}

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->cache = ingot_workdir_file(fixture->workdir, "cache");
    g_autofree char *store = ingot_workdir_file(fixture->workdir, "store");
    fixture->store = ingot_store_open(store, NULL);
    assert_non_null(fixture->store);
    fixture->first = tag_disk(fixture, "first");
    fixture->recipe.tree = json_pack("{s:{s:s, s:s}}", "source", "kind", "from", "reference", "team/base:1.0.0");
    fixture->context = (SourceContext){.recipe = &fixture->recipe,
                                       .store = fixture->store,
                                       .cache = fixture->cache,
                                       .workdir = ingot_workdir_path(fixture->workdir)};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    json_decref(fixture->recipe.tree);
    ingot_store_free(fixture->store);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->cache);
    g_free(fixture->first);
    g_free(fixture);
    return 0;
}

static Source *make(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, &error);
    g_autoptr(Source) source = identity == NULL ? NULL : source_prepare(&fixture->context, identity, &error);
    assert_null(error);
    g_auto(SourceLook) look = source_look(&fixture->context, identity);
    assert_string_equal(look.disk, source->path);
    assert_null(look.due);
    assert_null(look.fetch);                                /* it is in the store */
    assert_null(json_object_get(source->config, "source")); /* the base's own config says what it was made from */
    return g_steal_pointer(&source);
}

static void expect_disk(const Source *source, const char *text)
{
    g_autoptr(GBytes) bytes = ingot_file_read(source->path, SIZE, NULL);
    assert_non_null(bytes);
    assert_int_equal(g_bytes_get_size(bytes), SIZE);
    assert_string_equal((const char *)g_bytes_get_data(bytes, NULL), text);
}

static const char *base_of(const Source *source)
{
    return json_string_value(json_object_get(json_object_get(source->config, "base"), "digest"));
}

/* What another user has unpacked is used where nothing can be written; what nobody has is unpacked for one build. */
static void test_cache_of_another_user(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(Source) first = make(fixture);
    g_clear_pointer(&first->use, ingot_lock_release);
    const char *lend[] = {"chmod", "-R", "a+rX,a-w", fixture->cache, ingot_store_path(fixture->store), NULL};
    const char *take_back[] = {"chmod", "-R", "u+w", fixture->cache, ingot_store_path(fixture->store), NULL};
    assert_true(ingot_process_run(lend, NULL, NULL, NULL));
    assert_int_equal(chmod(ingot_workdir_path(fixture->workdir), 0777), 0);
    uid_t own = geteuid();
    assert_true(own != 0 || seteuid(NOBODY) == 0);
    g_autoptr(Source) second = make(fixture);
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, NULL);
    fixture->context.refresh = TRUE;
    g_autoptr(Source) third = source_prepare(&fixture->context, identity, &error);
    assert_true(own != 0 || seteuid(own) == 0);
    assert_true(ingot_process_run(take_back, NULL, NULL, NULL));
    assert_string_equal(first->path, second->path);
    assert_null(error);
    expect_disk(third, "first");
    assert_false(g_str_has_prefix(third->path, fixture->cache));
}

/* A cache that nobody can make costs time alone: what the machine starts from is this build's own. */
static void test_no_cache_can_be_made(void **state)
{
    Fixture *fixture = *state;
    fixture->context.cache = "/proc/nowhere";
    g_autoptr(GError) error = NULL;
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, &error);
    g_autoptr(Source) source = identity == NULL ? NULL : source_prepare(&fixture->context, identity, &error);
    if (source == NULL) {
        fail_msg("%s", error->message);
    }
    expect_disk(source, "first");
    assert_true(g_str_has_prefix(source->path, ingot_workdir_path(fixture->workdir)));
}

/* What a build would pull is said, and nobody is asked for that. */
static void test_due_pull(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *name = g_strconcat("127.0.0.1:1/team/base@", fixture->first, NULL);
    json_decref(fixture->recipe.tree);
    fixture->recipe.tree = json_pack("{s:{s:s, s:s}}", "source", "kind", "from", "reference", name);
    g_autoptr(SourceIdentity) there = source_identify(&fixture->context, NULL);
    g_auto(SourceLook) none = source_look(&fixture->context, there);
    assert_null(none.fetch); /* by whatever name it came into the store */
    name[strlen(name) - 1] = name[strlen(name) - 1] == '0' ? '1' : '0';
    json_object_set_new(json_object_get(fixture->recipe.tree, "source"), "reference", json_string(name));
    g_autoptr(SourceIdentity) missing = source_identify(&fixture->context, NULL);
    g_auto(SourceLook) look = source_look(&fixture->context, missing);
    g_autofree char *wanted = g_strconcat(name, " is pulled first", NULL);
    assert_string_equal(look.fetch, wanted);
}

/* A tag that moves while the build runs: it starts over, and never builds on what it was not planned on. */
static void test_tag_moves(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, NULL);
    g_autofree char *second = tag_disk(fixture, "second");
    assert_null(source_prepare(&fixture->context, identity, &error));
    assert_true(g_error_matches(error, SOURCE_ERROR, SOURCE_ERROR_CHANGED));
    g_autoptr(SourceIdentity) later = source_identify(&fixture->context, NULL);
    g_autoptr(Source) moved = source_prepare(&fixture->context, later, NULL);
    assert_string_not_equal(source_identity_key(identity), source_identity_key(later));
    expect_disk(moved, "second");
    assert_string_equal(base_of(moved), second);
}

static void pin(const Fixture *fixture)
{
    g_autofree char *pinned = g_strdup_printf("team/base:1.0.0@%s", fixture->first);
    json_object_set_new(json_object_get(fixture->recipe.tree, "source"), "reference", json_string(pinned));
}

/* The blob of that digest is lost. */
static void lose(const Fixture *fixture, const IngotDigest *digest)
{
    g_autofree char *path = ingot_store_blob_path(fixture->store, digest);
    assert_int_equal(g_remove(path), 0);
}

/* A reference with a digest is that image, though another build has moved its tag. */
static void test_pinned(void **state)
{
    const Fixture *fixture = *state;
    pin(fixture);
    {
        g_autoptr(Source) source = make(fixture);
        expect_disk(source, "first");
        assert_string_equal(base_of(source), fixture->first);
    }
    g_autofree char *second = tag_disk(fixture, "second");
    g_autoptr(Source) again = make(fixture);
    expect_disk(again, "first");
    assert_string_equal(base_of(again), fixture->first);
}

/* The pin is that image or none: it never becomes another one. */
static void test_pinned_is_lost(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(IngotReference) reference = ingot_reference_parse("team/base:1.0.0", NULL);
    g_autoptr(IngotImage) image = ingot_store_image(fixture->store, reference, NULL);
    const IngotDigest *const blobs[] = {&ingot_manifest_disk(image->manifest, 0)->disk.digest,
                                        &image->entry->manifest.digest};
    pin(fixture);
    g_autofree char *second = tag_disk(fixture, "second");
    for (guint i = 0; i < G_N_ELEMENTS(blobs); i++) {
        g_autoptr(GError) error = NULL;
        lose(fixture, blobs[i]);
        g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, NULL);
        assert_null(source_prepare(&fixture->context, identity, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    }
}

/* --- a tag of a registry --- */

typedef enum { NEVER, BEFORE_PULL, WITHIN_PULL } Moment;

typedef struct {
    const Fixture *fixture;
    char *name;   /* HOST/team/base */
    Moment moves; /* when another process gives the tag to the third image */
    char *third;
} Registry;

static IngotDescriptor descriptor_of(const Fixture *fixture, const char *digest)
{
    g_autoptr(IngotReference) exact = ingot_reference_new(NULL, "team/base", NULL, digest);
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(fixture->store, exact, NULL);
    assert_non_null(entry);
    return entry->manifest;
}

/* The digest of an image that stays, whatever tag it loses. Free it. */
static char *keep_disk(const Fixture *fixture, const char *text)
{
    g_autofree char *digest = tag_disk(fixture, text);
    IngotDescriptor manifest = descriptor_of(fixture, digest);
    assert_true(ingot_store_tag(fixture->store, "team/base", NULL, &manifest, NULL));
    return g_steal_pointer(&digest);
}

/* As another process does it. */
static void move_tag(const Registry *registry, const char *digest)
{
    g_autoptr(IngotStore) other = ingot_store_open(ingot_store_path(registry->fixture->store), NULL);
    IngotDescriptor manifest = descriptor_of(registry->fixture, digest);
    assert_true(ingot_store_tag(other, registry->name, "prod", &manifest, NULL));
}

/* The tag is the first image there, and all blobs but manifests are in the store. */
static char *answer(const char *request, gsize sent, gpointer user)
{
    const Registry *registry = user;
    const char *pinned = strstr(request, "/manifests/sha256:");
    g_autofree char *digest = pinned == NULL ? g_strdup(registry->fixture->first)
                                             : g_strndup(pinned + strlen("/manifests/"), strlen("sha256:") + 64);
    (void)sent;
    if (pinned == NULL && strstr(request, "/manifests/prod ") == NULL) {
        return serve_text("404 Not Found", "", "{}");
    }
    if (pinned != NULL && registry->moves == WITHIN_PULL) {
        move_tag(registry, registry->third);
    }
    IngotDescriptor manifest = descriptor_of(registry->fixture, digest);
    g_autofree char *path = ingot_store_blob_path(registry->fixture->store, &manifest.digest), *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return serve_text("200 OK", "Content-Type: " INGOT_TYPE_MANIFEST "\r\n", text);
}

/* had: what the tag is in the store when the build begins; NULL: nothing. */
static void build_on_tag(const Fixture *fixture, Registry *registry, const char *had, Moment moves)
{
    g_autofree char *text = g_strconcat(registry->name, ":prod", NULL);
    g_autoptr(IngotReference) tag = ingot_reference_parse(text, NULL);
    g_autoptr(IngotStoreEntry) old = ingot_store_find(fixture->store, tag, NULL);
    assert_true(old == NULL || ingot_store_remove(fixture->store, old, NULL, NULL));
    if (had != NULL) {
        move_tag(registry, had);
    }
    json_object_set_new(json_object_get(fixture->recipe.tree, "source"), "reference", json_string(text));
    registry->moves = moves;
    g_autoptr(GError) error = NULL;
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, &error);
    if (moves == BEFORE_PULL) {
        move_tag(registry, registry->third);
    }
    g_autoptr(Source) source = identity == NULL ? NULL : source_prepare(&fixture->context, identity, &error);
    if (source == NULL) {
        fail_msg("%s", error->message);
    }
    expect_disk(source, "first");
    assert_string_equal(base_of(source), fixture->first);
    g_autoptr(IngotStoreEntry) now = ingot_store_find(fixture->store, tag, NULL);
    g_autofree char *digest = ingot_digest_to_text(&now->manifest.digest);
    assert_string_equal(digest, moves == NEVER ? fixture->first : registry->third);
}

/* What another process has pulled by the tag since the build asked for it keeps the name: the build's own is older. */
static void test_tag_of_registry(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *first = keep_disk(fixture, "first"), *second = keep_disk(fixture, "second"),
                    *third = keep_disk(fixture, "third");
    Registry registry = {.fixture = fixture, .third = third};
    Serve *serve = serve_new(answer, &registry);
    registry.name = g_strdup_printf("%s/team/base", serve->where + strlen("http://"));
    assert_string_equal(first, fixture->first);
    const char *const had[] = {NULL, second};
    for (guint i = 0; i < G_N_ELEMENTS(had); i++) {
        build_on_tag(fixture, &registry, had[i], NEVER);
        build_on_tag(fixture, &registry, had[i], BEFORE_PULL);
        build_on_tag(fixture, &registry, had[i], WITHIN_PULL);
    }
    build_on_tag(fixture, &registry, first, NEVER);
    build_on_tag(fixture, &registry, first, BEFORE_PULL);
    serve_free(serve);
    g_free(registry.name);
}

static void expect_refused(const Fixture *fixture, const SourceIdentity *identity)
{
    g_autoptr(GError) error = NULL;
    assert_false(source_allow(&fixture->context, identity, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_REFUSED));
}

/* A policy speaks of a name's images; what another recipe's build has just given under that name is this machine's own.
 */
static void test_policy(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *policy = ingot_workdir_file(fixture->workdir, "policy.json");
    g_autofree char *name = g_strconcat("r.example/team/base:1.0.0@", fixture->first, NULL);
    IngotDescriptor manifest = descriptor_of(fixture, fixture->first);
    assert_true(g_file_set_contents(policy, "{\"default\":[{\"type\":\"reject\"}]}", -1, NULL));
    assert_true(ingot_store_tag(fixture->store, "r.example/team/base", "1.0.0", &manifest, NULL));
    g_setenv("INGOT_POLICY", policy, TRUE);
    json_decref(fixture->recipe.tree);
    fixture->recipe.tree = json_pack("{s:{s:s, s:s}}", "source", "kind", "from", "reference", name);
    g_autoptr(GError) error = NULL;
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, NULL);
    assert_null(source_prepare(&fixture->context, identity, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_REFUSED));
    expect_refused(fixture, identity);
    name[strlen(name) - 1] = name[strlen(name) - 1] == '0' ? '1' : '0'; /* one that the store has not */
    json_object_set_new(json_object_get(fixture->recipe.tree, "source"), "reference", json_string(name));
    g_autoptr(SourceIdentity) missing = source_identify(&fixture->context, NULL);
    expect_refused(fixture, missing);
    assert_true(g_file_set_contents(policy, "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}", -1, NULL));
    assert_true(source_allow(&fixture->context, missing, NULL)); /* nobody is asked for it */
    assert_true(source_allow(&fixture->context, identity, NULL));
    assert_true(g_file_set_contents(policy, "{\"default\":[{\"type\":\"reject\"}]}", -1, NULL));
    json_decref(fixture->recipe.tree);
    fixture->recipe.tree = json_pack("{s:{s:s, s:s}}", "source", "kind", "recipe", "path", "base.yaml");
    g_autofree char *parent = g_strconcat("r.example/team/base:1.0.0@", fixture->first, NULL);
    fixture->context.parent = parent;
    g_autoptr(Source) given = make(fixture);
    expect_disk(given, "first");
    g_autoptr(SourceIdentity) own = source_identify(&fixture->context, NULL);
    assert_true(source_allow(&fixture->context, own, NULL));
    g_unsetenv("INGOT_POLICY");
}

/* Signs team/base:1.0.0 in the store, and says so in the policy. The digest of the bundle's blob. */
static IngotDigest sign_base(const Fixture *fixture, const char *policy)
{
    IngotDigest bundle;
    g_autoptr(TrustKey) key = trust_key_generate(NULL);
    g_autoptr(json_t) nothing = json_object();
    IngotDescriptor manifest = descriptor_of(fixture, fixture->first);
    g_autofree char *said = intoto_write(&manifest.digest, "team/base:1.0.0", TRUST_SIGNED_PREDICATE, nothing);
    g_auto(NewSignature) signature = {0};
    new_signature_init(&signature, &manifest, trust_bundle_sign(key, said, NULL), TRUST_SIGNED_PREDICATE);
    assert_true(signature_put_store(fixture->store, &signature, NULL));
    g_autofree char *pem = trust_key_public_pem(key), *data = base64_write(pem, strlen(pem));
    g_autofree char *text =
        g_strdup_printf("{\"default\":[{\"type\":\"reject\"}],\"transports\":{\"containers-storage\":"
                        "{\"\":[{\"type\":\"sigstoreSigned\",\"keyData\":\"%s\"}]}}}",
                        data);
    assert_true(g_file_set_contents(policy, text, -1, NULL));
    ingot_digest_of(signature.bundle, strlen(signature.bundle), &bundle);
    return bundle;
}

/* A signature that the store has lost is damage, which nothing that starts over heals: the tag has not moved. */
static void test_signature_is_lost(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *policy = ingot_workdir_file(fixture->workdir, "policy.json");
    const IngotDigest bundle = sign_base(fixture, policy);
    g_setenv("INGOT_POLICY", policy, TRUE);
    {
        g_autoptr(Source) counted = make(fixture);
        expect_disk(counted, "first");
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, NULL);
    lose(fixture, &bundle);
    assert_null(source_prepare(&fixture->context, identity, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_FAILED));
    assert_non_null(strstr(error->message, "not all of its signatures could be read"));
    assert_non_null(strstr(error->message, "fsck --repair"));
    g_unsetenv("INGOT_POLICY");
}

static void test_flipped_byte(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *path = NULL;
    {
        g_autoptr(Source) source = make(fixture);
        path = g_strdup(source->path);
    }
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pwrite(fd, "x", 1, 3 << 20) == 1);
    close(fd);
    g_autoptr(Source) again = make(fixture);
    assert_string_equal(again->path, path);
    expect_disk(again, "first");
    char byte = 'x';
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && pread(fd, &byte, 1, 3 << 20) == 1);
    close(fd);
    assert_int_equal(byte, 0);
}

/* What a killed build left unfinished is neither used nor in the way. */
static void test_remains(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *making =
        g_strdup_printf("%s/sources/from-%s/disk.raw.making", fixture->cache, fixture->first + strlen("sha256:"));
    g_autofree char *folder = g_path_get_dirname(making);
    assert_true(ingot_file_make_folder(folder, NULL) && g_file_set_contents(making, "half", -1, NULL));
    g_autoptr(Source) source = make(fixture);
    expect_disk(source, "first");
    assert_false(g_file_test(making, G_FILE_TEST_EXISTS));
}

static void test_keeps_nothing(void **state)
{
    Fixture *fixture = *state;
    fixture->context.refresh = fixture->context.no_cache = TRUE;
    g_autoptr(Source) source = make(fixture);
    expect_disk(source, "first");
    assert_false(g_file_test(fixture->cache, G_FILE_TEST_EXISTS));
}

static gpointer prepare_apart(gpointer user)
{
    return make(user);
}

/* Evicted between its unpacking and its use: unpacked again. */
static void test_eviction_races(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *folder = g_strdup_printf("%s/sources/from-%s", fixture->cache, fixture->first + strlen("sha256:"));
    g_autofree char *use_path = g_strconcat(folder, INGOT_DOWNLOAD_USE, NULL);
    g_autofree char *sources = g_path_get_dirname(folder);
    g_autofree char *disk = g_build_filename(folder, "disk.raw", NULL);
    assert_true(ingot_file_make_folder(sources, NULL));
    IngotLock *eviction = ingot_lock_take(use_path, TRUE, TRUE, NULL);
    GThread *thread = g_thread_new("prepare", prepare_apart, fixture);
    while (!g_file_test(disk, G_FILE_TEST_EXISTS)) {
        g_usleep(1000);
    }
    /* The other thread now waits for the lock, or is about to. */
    assert_true(ingot_file_remove_tree(folder, NULL));
    ingot_lock_release(eviction);
    g_autoptr(Source) source = g_thread_join(thread);
    assert_non_null(source);
    expect_disk(source, "first");
}

static void test_missing(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    json_object_set_new(json_object_get(fixture->recipe.tree, "source"), "reference", json_string("team/none:1.0.0"));
    assert_null(source_identify(&fixture->context, &error));
    assert_non_null(strstr(error->message, "team/none"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_due_pull),
                                       TEST(test_tag_moves),
                                       TEST(test_pinned),
                                       TEST(test_pinned_is_lost),
                                       TEST(test_tag_of_registry),
                                       TEST(test_policy),
                                       TEST(test_signature_is_lost),
                                       TEST(test_flipped_byte),
                                       TEST(test_remains),
                                       TEST(test_keeps_nothing),
                                       TEST(test_eviction_races),
                                       TEST(test_missing),
                                       TEST(test_cache_of_another_user),
                                       TEST(test_no_cache_can_be_made)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
