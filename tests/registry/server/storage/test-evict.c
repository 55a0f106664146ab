/* Eviction: what came from an upstream goes as whole images, those used longest ago first, and nothing else does. */
#include "../fixture.h"

#include <sqlite3.h>

#include "server/storage/channels.h"
#include "server/storage/collect.h"
#include "server/storage/movetag.h"
#include "server/storage/rebuild.h"

#define SIZE 1000000u /* of a blob */

static CollectReport collect(Storage *storage, gboolean dry_run)
{
    const CollectOptions options = {.grace = 24 * 3600, .untagged_grace = 24 * 3600, .dry_run = dry_run};
    CollectReport report;
    g_autoptr(GError) error = NULL;
    if (!storage_collect(storage, &options, &report, &error)) {
        fail_msg("%s", error->message);
    }
    return report;
}

/* As one that is pulled through: `manifests` says what the blobs are. */
static IngotDigest put_cached(Storage *storage, const char *name, const char *tag, const char *text,
                              const IngotDigest *blobs, guint count, gboolean manifests, const IngotDigest *subject)
{
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    g_autofree char *json = g_strdup_printf("{\"text\":\"%s\"}", text);
    for (guint i = 0; i < count; i++) {
        Mention mention = {.digest = blobs[i], .manifest = manifests};
        g_array_append_val(mentions, mention);
    }
    const StorageManifest manifest = {.data = json,
                                      .size = strlen(json),
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .tag = tag,
                                      .subject = subject,
                                      .mentions = mentions,
                                      .partial = TRUE,
                                      .cached = TRUE};
    if (!storage_put_manifest(storage, name, &manifest, &digest, &error)) {
        fail_msg("%s", error->message);
    }
    return digest;
}

/* An image of one blob of its own. */
static IngotDigest cache_image(Storage *storage, const char *name, const char *tag, guint32 seed)
{
    g_autoptr(GByteArray) bytes = noise(seed, SIZE);
    g_autofree char *text = g_strdup_printf("%s %u", tag, seed);
    IngotDigest blob = digest_of(bytes);
    IngotDigest manifest = put_cached(storage, name, tag, text, &blob, 1, FALSE, NULL);
    push(storage, name, bytes);
    return manifest;
}

/* It was pulled so many days from now. */
static void set_used(void **state, const char *name, const IngotDigest *manifest, guint day)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    g_autofree char *text = ingot_digest_to_text(manifest);
    g_autofree char *sql = g_strdup_printf(
        "INSERT INTO used (repository, manifest, at) SELECT id, x'%s', strftime('%%s', 'now')+%u FROM repositories"
        " WHERE name='%s' ON CONFLICT (repository, manifest) DO UPDATE SET at=excluded.at",
        text + strlen("sha256:"), day * 24 * 3600, name);
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    sqlite3_busy_timeout(handle, 10000);
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    }
    sqlite3_close(handle);
}

static gboolean has_tag(Storage *storage, const char *name, const char *tag)
{
    IngotDigest digest;
    return storage_find_tag(storage, name, tag, &digest, NULL) && storage_has_manifest(storage, name, &digest);
}

static gboolean has_noise(Storage *storage, const char *name, guint32 seed)
{
    g_autoptr(GByteArray) bytes = noise(seed, SIZE);
    return try_pull(storage, name, bytes, NULL);
}

static Storage *open_cache(void **state, guint64 limit)
{
    Storage *storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.cache = limit});
    return storage;
}

/* --- what goes --- */

static void what_was_used_longest_ago_goes(void **state)
{
    g_autoptr(Storage) storage = open_cache(state, 3 * SIZE + SIZE / 2);
    static const guint days[] = {3, 1, 4, 2, 5};
    static const char *const tags[] = {"1.0.0", "2.0.0", "prod", "latest", "5.0.0"};
    for (guint i = 0; i < G_N_ELEMENTS(days); i++) {
        const char *name = i % 2 == 0 ? "a" : "b/c";
        IngotDigest digest = cache_image(storage, name, tags[i], i);
        set_used(state, name, &digest, days[i]);
    }
    CollectReport dry = collect(storage, TRUE);
    assert_int_equal(dry.tags, 2);
    assert_true(has_tag(storage, "b/c", "2.0.0"));
    CollectReport report = collect(storage, FALSE);
    assert_int_equal(report.tags, 2);
    assert_int_equal(report.manifests, 2);
    assert_int_equal(report.pieces, dry.pieces);
    assert_int_equal(report.bytes, dry.bytes);
    for (guint i = 0; i < G_N_ELEMENTS(days); i++) {
        const char *name = i % 2 == 0 ? "a" : "b/c";
        assert_int_equal(has_tag(storage, name, tags[i]), days[i] > 2);
        assert_int_equal(has_noise(storage, name, i), days[i] > 2);
    }
    assert_int_equal(collect(storage, FALSE).tags, 0);
}

static void without_need_nothing_goes(void **state)
{
    g_autoptr(Storage) storage = open_cache(state, 0);
    cache_image(storage, "a", "1.0.0", 1);
    cache_image(storage, "a", "2.0.0", 2);
    assert_int_equal(collect(storage, FALSE).tags, 0);
    storage_limit(storage, &(StorageLimits){.cache = 3 * SIZE});
    assert_int_equal(collect(storage, FALSE).tags, 0);
    assert_true(has_noise(storage, "a", 1) && has_noise(storage, "a", 2));
}

/* The one that is pulled would else be copied at every pull. */
static void the_last_one_stays_however_large(void **state)
{
    g_autoptr(Storage) storage = open_cache(state, 1000);
    IngotDigest old = cache_image(storage, "a", "1.0.0", 1), new = cache_image(storage, "a", "2.0.0", 2);
    set_used(state, "a", &old, 1);
    set_used(state, "a", &new, 2);
    assert_int_equal(collect(storage, FALSE).tags, 1);
    assert_true(has_tag(storage, "a", "2.0.0") && has_noise(storage, "a", 2));
    assert_false(has_tag(storage, "a", "1.0.0"));
}

/* Pushed before it was cached, after that, and never cached; a channel is no exception, for it can be had again. */
static void what_was_pushed_stays(void **state)
{
    g_autoptr(Storage) storage = open_cache(state, 1000);
    g_autoptr(GByteArray) bytes = noise(7, SIZE);
    IngotDigest blob = push(storage, "a", bytes), digest;
    put_manifest(storage, "a", "own", "own", &blob, 1);
    IngotDigest before = cache_image(storage, "a", "cached", 1);
    g_autofree char *type = NULL;
    g_autoptr(GBytes) json = storage_manifest(storage, "a", &before, &type, NULL);
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    const StorageManifest pushed = {.data = g_bytes_get_data(json, NULL),
                                    .size = g_bytes_get_size(json),
                                    .type = type,
                                    .tag = "pushed",
                                    .mentions = none};
    assert_true(storage_put_manifest(storage, "a", &pushed, &digest, NULL));
    assert_true(ingot_digest_equal(&before, &digest));
    cache_image(storage, "a", "cached", 1);
    cache_image(storage, "b", "prod", 2);
    IngotDigest last = cache_image(storage, "c", "1.0.0", 3);
    set_used(state, "c", &last, 1);
    assert_int_equal(collect(storage, FALSE).tags, 1);
    assert_false(has_tag(storage, "b", "prod"));
    assert_true(has_tag(storage, "a", "own") && has_tag(storage, "a", "cached") && has_tag(storage, "a", "pushed"));
    assert_true(has_noise(storage, "a", 7) && has_noise(storage, "a", 1));
}

/* An index, its entries and what is attached are one image; a layer that another image needs stays. */
static void an_image_goes_whole(void **state)
{
    g_autoptr(Storage) storage = open_cache(state, 2 * SIZE + SIZE / 2);
    g_autoptr(GByteArray) shared = noise(10, SIZE), own = noise(11, SIZE), other = noise(12, SIZE);
    IngotDigest blobs[] = {push(storage, "a", shared), push(storage, "a", own)};
    IngotDigest entries[] = {put_cached(storage, "a", NULL, "one", blobs, 2, FALSE, NULL),
                             put_cached(storage, "a", NULL, "two", blobs, 1, FALSE, NULL)};
    IngotDigest index = put_cached(storage, "a", "1.0.0", "index", entries, 2, TRUE, NULL);
    IngotDigest attached = put_cached(storage, "a", NULL, "report", NULL, 0, FALSE, &entries[0]);
    IngotDigest both[] = {blobs[0], push(storage, "a", other)};
    IngotDigest last = put_cached(storage, "a", "2.0.0", "last", both, 2, FALSE, NULL);
    set_used(state, "a", &entries[0], 1);
    set_used(state, "a", &last, 2);
    assert_int_equal(collect(storage, FALSE).manifests, 4);
    assert_false(storage_has_manifest(storage, "a", &index) || storage_has_manifest(storage, "a", &entries[0]) ||
                 storage_has_manifest(storage, "a", &entries[1]) || storage_has_manifest(storage, "a", &attached));
    assert_false(has_noise(storage, "a", 11));
    assert_true(has_noise(storage, "a", 10) && has_noise(storage, "a", 12));
    /* The entry was pulled last: so was its image. */
    IngotDigest again = put_cached(storage, "a", "1.0.0", "index", entries, 2, TRUE, NULL);
    push(storage, "a", own);
    put_cached(storage, "a", NULL, "one", blobs, 2, FALSE, NULL);
    set_used(state, "a", &entries[0], 3);
    collect(storage, FALSE);
    assert_true(has_tag(storage, "a", "1.0.0") && storage_has_manifest(storage, "a", &again) &&
                storage_has_manifest(storage, "a", &entries[0]));
    assert_false(has_tag(storage, "a", "2.0.0"));
}

/* A catalogue that is made again knows what came from where. */
static void it_is_known_after_a_rebuild(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(Storage) storage = open_cache(state, 0);
    g_autoptr(GByteArray) bytes = noise(7, SIZE);
    IngotDigest blob = push(storage, "a", bytes);
    put_manifest(storage, "a", "own", "own", &blob, 1);
    cache_image(storage, "a", "1.0.0", 1);
    storage_close(g_steal_pointer(&storage));
    RebuildReport report;
    assert_true(storage_rebuild(path, &(RebuildOptions){0}, &report, NULL));
    storage = open_cache(state, 1000);
    IngotDigest last = cache_image(storage, "b", "last", 2);
    set_used(state, "b", &last, 1);
    assert_int_equal(collect(storage, FALSE).tags, 1);
    assert_true(has_tag(storage, "a", "own") && has_tag(storage, "b", "last"));
}

static void promote(Storage *storage, const char *name, const char *channel, const IngotDigest *to)
{
    g_autoptr(GError) error = NULL;
    const StorageMoving moving = {.name = name, .tag = channel, .to = to};
    if (!storage_move_tag(storage, &moving, &error)) {
        fail_msg("%s", error->message);
    }
}

/* Whoever promotes an image to a channel keeps it: also in a catalogue that is made again. */
static void what_was_promoted_stays(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(Storage) storage = open_cache(state, 1000);
    IngotDigest promoted = cache_image(storage, "a", "1.0.0", 1), found;
    promote(storage, "a", "prod", &promoted);
    for (guint day = 1; day <= 2; day++) {
        IngotDigest last = cache_image(storage, "b", day == 1 ? "1.0.0" : "2.0.0", day + 1);
        set_used(state, "b", &last, day);
        collect(storage, FALSE);
        assert_true(storage_find_tag(storage, "a", "prod", &found, NULL) && ingot_digest_equal(&found, &promoted));
        assert_true(has_noise(storage, "a", 1) && has_tag(storage, "a", "1.0.0"));
        storage_close(g_steal_pointer(&storage));
        RebuildReport report;
        assert_true(storage_rebuild(path, &(RebuildOptions){0}, &report, NULL));
        storage = open_cache(state, 1000);
    }
    assert_false(has_tag(storage, "b", "1.0.0"));
}

static GPtrArray *guard_prod(const GPtrArray *now, gpointer pattern, GError **error)
{
    (void)now, (void)error;
    g_autoptr(json_t) body = json_pack("{s:[{s:s}]}", "channels", "name", "prod");
    GPtrArray *pipelines = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    g_ptr_array_add(pipelines, pipeline_new(pattern, body));
    return pipelines;
}

/* Nor can a channel be had again, of which no upstream is asked since a pipeline guards it. */
static void what_a_guarded_channel_names_stays(void **state)
{
    g_autoptr(Storage) storage = open_cache(state, 1000);
    cache_image(storage, "a", "prod", 1);
    cache_image(storage, "a", "test", 2);
    assert_true(storage_change_pipelines(storage, NULL, guard_prod, "a", NULL));
    IngotDigest last = cache_image(storage, "b", "prod", 3);
    set_used(state, "b", &last, 1);
    assert_int_equal(collect(storage, FALSE).tags, 1);
    assert_true(has_tag(storage, "a", "prod") && has_noise(storage, "a", 1));
    assert_false(has_tag(storage, "a", "test"));
}

/* So does what an older version has left among what came from an upstream, once its channel is set again. */
static void what_is_promoted_again_stays(void **state)
{
    g_autoptr(Storage) storage = open_cache(state, 1000);
    IngotDigest promoted = cache_image(storage, "a", "1.0.0", 1);
    const StorageMoving again = {.name = "a", .tag = "prod", .to = &promoted, .expected = &promoted};
    promote(storage, "a", "prod", &promoted);
    in_catalogue(state, "INSERT INTO cached SELECT repository, digest FROM tags JOIN blobs ON blobs.id=tags.blob WHERE"
                        " tags.name='prod'");
    assert_true(storage_move_tag(storage, &again, NULL));
    IngotDigest last = cache_image(storage, "b", "1.0.0", 2);
    set_used(state, "b", &last, 1);
    collect(storage, FALSE);
    assert_true(has_tag(storage, "a", "prod") && has_noise(storage, "a", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_used_longest_ago_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_need_nothing_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_one_stays_however_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_pushed_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_image_goes_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_known_after_a_rebuild, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_promoted_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_guarded_channel_names_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_promoted_again_stays, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
