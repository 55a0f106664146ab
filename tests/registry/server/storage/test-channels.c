/* What a channel names or needs, in its own repository, is not removed beside channels; all else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "../fixture.h"
#include "server/storage/channels.h"
#include "server/storage/moves.h"
#include "server/storage/movetag.h"

static void expect_removal(Storage *storage, const char *name, const IngotDigest *digest, gboolean manifest,
                           const char *channel)
{
    g_autoptr(GError) error = NULL;
    gboolean gone = storage_remove_beside_channels(storage, NULL, name, digest, manifest, &error);
    assert_int_equal(gone, channel == NULL);
    if (channel != NULL) {
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
        assert_non_null(strstr(error->message, channel));
        assert_true(storage_has(storage, name, digest));
    }
}

static void what_channels_need_stays(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) shared = noise(1, 5000), alone = noise(2, 5000);
    IngotDigest blobs[] = {push(storage, "a", shared), push(storage, "a", alone)};
    IngotDigest loose = put_manifest(storage, "a", "1.0.0", "loose", blobs, 2);
    IngotDigest child = put_manifest(storage, "a", NULL, "child", blobs, 1);
    IngotDigest index = put_manifest(storage, "a", "latest", "index", &child, 1);
    put_manifest(storage, "a", "test", "index", &child, 1);
    assert_true(storage_mount(storage, NULL, "a", "b", &blobs[0], NULL));

    expect_removal(storage, "a", &index, TRUE, "'test'");
    expect_removal(storage, "a", &index, FALSE, "'test'");
    expect_removal(storage, "a", &child, TRUE, "'test'");
    expect_removal(storage, "a", &blobs[0], FALSE, "'test'");
    expect_removal(storage, "b", &blobs[0], FALSE, NULL); /* no channel of that repository */
    expect_removal(storage, "a", &loose, TRUE, NULL);
    expect_removal(storage, "a", &blobs[1], FALSE, NULL);

    assert_true(storage_remove_tag(storage, NULL, "a", "test", NULL));
    expect_removal(storage, "a", &index, TRUE, NULL);
    expect_removal(storage, "a", &child, TRUE, NULL);
    expect_removal(storage, "a", &blobs[0], FALSE, NULL);
}

static GPtrArray *these(const GPtrArray *now, gpointer user, GError **error)
{
    (void)now;
    (void)error;
    return g_ptr_array_ref(user);
}

/* Which tags are channels is for the pipeline to say. */
static void a_pipeline_says_what_is_a_channel(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(json_t) body = json_pack("{s:[{s:s}]}", "channels", "name", "stable");
    g_autoptr(json_t) none = json_object();
    g_autoptr(GPtrArray) pipelines = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    g_autoptr(GByteArray) bytes = noise(3, 5000);
    IngotDigest blobs[] = {push(storage, "team/a", bytes), push(storage, "b", bytes)};
    IngotDigest guarded = put_manifest(storage, "team/a", "stable", "one", &blobs[0], 1);
    IngotDigest usual = put_manifest(storage, "b", "dev", "two", &blobs[1], 1);
    assert_true(storage_is_channel(storage, "team/a", "dev"));
    assert_false(storage_is_guarded(storage, "team/a", "dev"));
    assert_true(storage_may_remove_channels(storage, "team/a"));

    g_ptr_array_add(pipelines, pipeline_new("team/*", body));
    assert_true(storage_change_pipelines(storage, NULL, these, pipelines, NULL));
    assert_false(storage_is_channel(storage, "team/a", "dev"));
    assert_true(storage_is_guarded(storage, "team/a", "stable"));
    assert_true(storage_is_channel(storage, "b", "dev"));
    assert_false(storage_may_remove_channels(storage, "team/a"));
    expect_removal(storage, "team/a", &guarded, TRUE, "'stable'");
    expect_removal(storage, "b", &usual, TRUE, "'dev'");

    g_ptr_array_set_size(pipelines, 0);
    g_ptr_array_add(pipelines, pipeline_new("team/*", none));
    assert_true(storage_change_pipelines(storage, NULL, these, pipelines, NULL));
    assert_true(storage_is_channel(storage, "team/a", "dev"));
    assert_false(storage_is_guarded(storage, "team/a", "stable"));
}

static void put_copied(Storage *storage, const char *tag, const char *text, const char *type, gboolean cached,
                       gboolean may)
{
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = type,
                                      .tag = tag,
                                      .mentions = none,
                                      .partial = cached,
                                      .cached = cached,
                                      .copied = TRUE,
                                      .promotes = !cached};
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    assert_int_equal(storage_put_manifest(storage, "team/a", &manifest, &digest, &error), may);
    assert_int_equal(storage_has_manifest(storage, "team/a", &digest), TRUE);
    assert_true(may || strstr(error->message, "team/a:stable") != NULL);
}

static void assert_names(Storage *storage, const char *tag, const char *text)
{
    IngotDigest digest, found;
    ingot_digest_of(text, strlen(text), &digest);
    assert_int_equal(storage_find_tag(storage, "team/a", tag, &found, NULL), text[0] != '\0');
    assert_true(text[0] == '\0' || ingot_digest_equal(&found, &digest));
}

/* What a mirror or a cache brings is here, and sets or takes away no channel that a pipeline guards. */
static void no_copy_moves_a_guarded_channel(void **state)
{
    static const char *const image = "application/vnd.oci.image.manifest.v1+json";
    g_autoptr(json_t) body = json_pack("{s:[{s:s}, {s:s}]}", "channels", "name", "stable", "name", "next");
    g_autoptr(GPtrArray) pipelines = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    g_ptr_array_add(pipelines, pipeline_new("team/*", body));
    for (gint cached = FALSE; cached <= TRUE; cached++) {
        g_autoptr(Storage) storage = open_storage(state);
        put_copied(storage, "stable", "{\"n\":1}", image, cached, TRUE);
        put_copied(storage, "stable", "{\"n\":2}", image, cached, TRUE);
        assert_names(storage, "stable", "{\"n\":2}");
        assert_true(storage_change_pipelines(storage, NULL, these, pipelines, NULL));
        put_copied(storage, "stable", "{\"n\":3}", image, cached, TRUE);
        put_copied(storage, "next", "{\"n\":3}", image, cached, TRUE);
        put_copied(storage, "1.0.0", "{\"n\":3}", image, cached, TRUE);
        assert_names(storage, "stable", "{\"n\":2}");
        assert_names(storage, "next", "");
        assert_names(storage, "1.0.0", "{\"n\":3}");
        put_copied(storage, "2.0.0", "{\"n\":2}", "application/vnd.docker.distribution.manifest.v2+json", FALSE, FALSE);
        storage_withdraw_tag(storage, NULL, "team/a", "stable", NULL);
        assert_names(storage, "stable", "{\"n\":2}");
        g_clear_pointer(&storage, storage_close);
        tear_down(state);
        set_up(state);
    }
}

/* Takes away what there is, and puts another one. */
static GPtrArray *replace_all(const GPtrArray *now, gpointer user, GError **error)
{
    (void)error;
    g_autoptr(json_t) none = json_object();
    GPtrArray *wanted = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    for (guint i = 0; i < now->len; i++) {
        g_ptr_array_add(wanted, pipeline_new(((const Pipeline *)g_ptr_array_index(now, i))->pattern, none));
    }
    g_ptr_array_add(wanted, pipeline_ref(user));
    return wanted;
}

static GPtrArray *nothing(const GPtrArray *now, gpointer user, GError **error)
{
    *(guint *)user = now->len;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "no");
    return NULL;
}

/* What another process has put counts for whoever changes pipelines, and asks for them. */
static void pipelines_change_from_what_they_are(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(Storage) here = storage_open_shared(path, NULL), there = storage_open_shared(path, NULL);
    g_autoptr(json_t) body = json_pack("{s:[{s:s}]}", "channels", "name", "stable");
    g_autoptr(Pipeline) first = pipeline_new("first", body), second = pipeline_new("second", body);
    assert_non_null(here);
    assert_non_null(there);
    assert_true(storage_change_pipelines(here, NULL, replace_all, first, NULL));
    assert_true(storage_change_pipelines(there, NULL, replace_all, second, NULL));
    assert_false(storage_is_guarded(there, "first", "stable"));
    assert_true(storage_is_guarded(there, "second", "stable"));
    assert_false(storage_is_guarded(here, "first", "stable"));
    assert_true(storage_is_guarded(here, "second", "stable"));
    g_autoptr(GError) error = NULL;
    guint count = 0;
    assert_false(storage_change_pipelines(here, NULL, nothing, &count, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
    assert_int_equal(count, 1);
    assert_true(storage_is_guarded(here, "second", "stable"));
}

/* The event loop asks memory alone, which does not know what another process may have put. */
static void memory_says_when_it_may_be_old(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(Storage) here = storage_open_shared(path, NULL), there = storage_open_shared(path, NULL);
    g_autoptr(json_t) body = json_pack("{s:[{s:s}]}", "channels", "name", "stable");
    g_autoptr(Pipeline) applied = pipeline_new("a", body);
    assert_true(storage_refresh_pipelines(there, NULL));
    g_autoptr(Pipeline) usual = storage_recall_pipeline(there, "a");
    assert_null(usual->pattern);
    assert_true(storage_change_pipelines(here, NULL, replace_all, applied, NULL));
    assert_null(storage_recall_pipeline(there, "a"));
    g_autoptr(Pipeline) asked = storage_pipeline(there, "a");
    assert_true(pipeline_equal(asked, applied));
    g_autoptr(Pipeline) recalled = storage_recall_pipeline(there, "a");
    assert_ptr_equal(recalled, asked);
    put_manifest(here, "b", "1.0.0", "one", NULL, 0); /* nothing that matters, but who knows that */
    assert_null(storage_recall_pipeline(there, "a"));
    g_autoptr(Pipeline) same = storage_pipeline(there, "a");
    assert_ptr_equal(same, asked);
}

/* A change goes by the pipeline that counts while it is made: whoever has looked before it may have seen another. */
static void changes_go_by_the_pipeline_of_now(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(Storage) here = storage_open_shared(path, NULL), there = storage_open_shared(path, NULL);
    g_autoptr(json_t) body = json_pack("{s:[{s:s}]}", "channels", "name", "stable");
    g_autoptr(Pipeline) applied = pipeline_new("a", body), before = storage_pipeline(there, "a");
    IngotDigest one = put_manifest(there, "a", "1.0.0", "one", NULL, 0), two;
    put_manifest(there, "a", "stable", "one", NULL, 0);
    StorageMoving moving = {.name = "a", .tag = "stable", .to = &one, .expected = &one, .pipeline = before};
    assert_true(storage_change_pipelines(here, NULL, replace_all, applied, NULL));

    g_autoptr(GError) pushed = NULL, moved = NULL, untagged = NULL, removed = NULL;
    assert_false(try_manifest(there, "a", "stable", "two", NULL, 0, NULL, &two, &pushed));
    assert_true(g_error_matches(pushed, INGOT_ERROR, INGOT_ERROR_EXISTS));
    assert_false(storage_move_tag(there, &moving, &moved));
    assert_true(g_error_matches(moved, INGOT_ERROR, INGOT_ERROR_EXISTS));
    moving.pipeline = NULL; /* which is no promotion */
    g_autoptr(GError) set = NULL;
    assert_false(storage_move_tag(there, &moving, &set));
    assert_true(g_error_matches(set, INGOT_ERROR, INGOT_ERROR_EXISTS));
    assert_false(storage_remove_tag(there, NULL, "a", "stable", &untagged));
    assert_true(g_error_matches(untagged, INGOT_ERROR, INGOT_ERROR_EXISTS));
    assert_false(storage_remove_manifest(there, NULL, "a", &one, &removed));
    assert_true(g_error_matches(removed, INGOT_ERROR, INGOT_ERROR_LIMIT));

    moving.pipeline = applied;
    assert_true(storage_move_tag(there, &moving, NULL));
    g_autoptr(GArray) moves = storage_moves(there, "a", "stable", 0, 100, NULL);
    assert_int_equal(moves->len, 1); /* it is a channel there, so it is noted */
}

/* What was put counts as soon as it can be read, whatever stood against that at first. */
static void what_could_not_be_read_is_read_later(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(json_t) body = json_pack("{s:[{s:s}]}", "channels", "name", "stable");
    g_autoptr(Pipeline) applied = pipeline_new("a", body);
    g_autoptr(GError) error = NULL, moved = NULL;
    IngotDigest digest;
    in_catalogue(state, "CREATE TRIGGER spoil AFTER INSERT ON records WHEN new.kind='pipeline' BEGIN"
                        " UPDATE records SET sum=sum+1 WHERE kind='pipeline'; END");
    assert_false(storage_change_pipelines(storage, NULL, replace_all, applied, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_null(storage_recall_pipeline(storage, "a"));
    assert_false(try_manifest(storage, "a", "stable", "one", NULL, 0, NULL, &digest, &moved));
    assert_true(g_error_matches(moved, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    in_catalogue(state, "DROP TRIGGER spoil; UPDATE records SET sum=sum-1 WHERE kind='pipeline'");
    assert_true(storage_is_guarded(storage, "a", "stable"));
    g_autoptr(Pipeline) recalled = storage_recall_pipeline(storage, "a");
    assert_true(pipeline_equal(recalled, applied));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_channels_need_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pipeline_says_what_is_a_channel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_copy_moves_a_guarded_channel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pipelines_change_from_what_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_says_when_it_may_be_old, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_could_not_be_read_is_read_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_go_by_the_pipeline_of_now, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
