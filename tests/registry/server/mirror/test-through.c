/* Through: what a cache says of the attachments of an image is all of them, or that it does not know. */
#include "../../remote/serve.h"
#include "../fixture.h"

#include "server/mirror/through.h"
#include "server/storage/channels.h"

#define NAME "team/web"
#define MANIFEST "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"n\":\"%s\"%s}"
#define TYPE "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n"
#define ATTACHED 2
#define WAIT 1000 /* looks, of a hundredth of a second */

/* A registry with one image, and what is attached to that. */
typedef struct {
    gint is_down;      /* atomic: it answers nothing but 503 */
    gint count;        /* of attachments */
    const char *spoil; /* atomic: what it answers for the last one; NULL: the attachment */
    const char *body;  /* of that answer; NULL: none */
    const char *deny;  /* atomic: what it answers for their list; NULL: the list */
    gint lists;        /* atomic: how often that was asked for */
    char *image;
    char *attached[ATTACHED];
    Serve *serve;
    Storage *storage;
    Through *through;
    OciDigest subject;
} Fixture;

static char *name_of(const char *text)
{
    IngotDigest digest;
    ingot_digest_of(text, strlen(text), &digest);
    return ingot_digest_to_text(&digest);
}

static char *attached_list(const Fixture *all)
{
    g_autoptr(GString) text = g_string_new("{\"schemaVersion\":2,\"manifests\":[");
    for (gint i = 0; i < all->count; i++) {
        g_autofree char *digest = name_of(all->attached[i]);
        g_string_append_printf(text, "%s{\"digest\":\"%s\",\"size\":%zu}", i == 0 ? "" : ",", digest,
                               strlen(all->attached[i]));
    }
    g_string_append(text, "]}");
    return serve_text("200 OK", "", text->str);
}

static char *answer(const char *request, gsize sent, gpointer user)
{
    Fixture *all = user;
    (void)sent;
    if (g_atomic_int_get(&all->is_down)) {
        return serve_text("503 Service Unavailable", "", "");
    }
    if (strstr(request, "/referrers/") != NULL) {
        const char *deny = g_atomic_pointer_get(&all->deny);
        g_atomic_int_inc(&all->lists);
        return deny != NULL ? serve_text(deny, "", "") : attached_list(all);
    }
    const char *spoil = g_atomic_pointer_get(&all->spoil);
    for (gint i = 0; i < all->count; i++) {
        g_autofree char *digest = name_of(all->attached[i]);
        if (strstr(request, digest) != NULL) {
            return i == all->count - 1 && spoil != NULL ? serve_text(spoil, "", all->body == NULL ? "" : all->body)
                                                        : serve_text("200 OK", TYPE, all->attached[i]);
        }
    }
    return strstr(request, "HEAD ") == request ? serve_text("405 Method Not Allowed", "", "")
                                               : serve_text("200 OK", TYPE, all->image);
}

static Fixture *fixture_new(void **state, gint count)
{
    Fixture *all = g_new0(Fixture, 1);
    g_autofree char *folder = ingot_workdir_file(*state, "colds");
    GPtrArray *upstreams = g_ptr_array_new_with_free_func((GDestroyNotify)upstream_free);
    IngotDigest digest;
    all->count = count;
    all->image = g_strdup_printf(MANIFEST, "image", "");
    ingot_digest_of(all->image, strlen(all->image), &digest);
    all->subject = oci_digest_from_sha256(&digest);
    g_autofree char *subject = oci_digest_to_text(&all->subject);
    g_autofree char *about = g_strdup_printf(",\"subject\":{\"digest\":\"%s\",\"size\":1}", subject);
    for (guint i = 0; i < ATTACHED; i++) {
        g_autofree char *number = g_strdup_printf("%u", i);
        all->attached[i] = g_strdup_printf(MANIFEST, number, about);
    }
    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    all->serve = serve_new(answer, all);
    all->storage = open_storage(state);
    g_ptr_array_add(upstreams, upstream_new("", all->serve->where));
    all->through = through_new(all->storage, folder, upstreams, 0);
    return all;
}

static void fixture_free(Fixture *all)
{
    through_free(all->through);
    storage_close(all->storage);
    serve_free(all->serve);
    g_free(all->image);
    for (guint i = 0; i < ATTACHED; i++) {
        g_free(all->attached[i]);
    }
    g_free(all);
}

/* Once it is known. */
static FetchOutcome attached(Fixture *all)
{
    FetchOutcome outcome;
    while ((outcome = through_referrers(all->through, NAME, &all->subject)) == FETCH_PENDING) {
        g_usleep(10000);
    }
    return outcome;
}

static FetchOutcome attached_when_down(Fixture *all)
{
    g_atomic_int_set(&all->is_down, TRUE);
    FetchOutcome outcome = attached(all);
    g_atomic_int_set(&all->is_down, FALSE);
    return outcome;
}

static gint count_here(const Fixture *all)
{
    g_autoptr(GArray) here = storage_referrers(all->storage, NAME, &all->subject.key, NULL, NULL, 10, NULL);
    return (gint)here->len;
}

static void pull_image(Fixture *all)
{
    FetchOutcome outcome;
    while ((outcome = through_manifest(all->through, NAME, "1")) == FETCH_PENDING) {
        g_usleep(10000);
    }
    assert_int_equal(outcome, FETCH_DONE);
}

/* One attachment can't be had: what is here is a part, now and when the upstream is away. */
static void a_part_is_not_the_whole(void **state)
{
    static const char *const spoils[] = {"500 Internal Server Error", "429 Too Many Requests"};
    for (gint count = 1; count <= ATTACHED; count++) {
        Fixture *all = fixture_new(state, count);
        for (guint i = 0; i < G_N_ELEMENTS(spoils); i++) {
            g_atomic_pointer_set(&all->spoil, spoils[i]);
            pull_image(all);
            assert_int_equal(attached(all), FETCH_FAILED);
            assert_int_equal(attached_when_down(all), FETCH_FAILED);
            assert_int_equal(count_here(all), count - 1);
        }
        g_atomic_pointer_set(&all->spoil, NULL);
        assert_int_equal(attached(all), FETCH_DONE);
        assert_int_equal(attached_when_down(all), FETCH_DONE);
        assert_int_equal(count_here(all), count);
        IngotDigest one;
        ingot_digest_of(all->attached[0], strlen(all->attached[0]), &one);
        assert_true(storage_remove_manifest(all->storage, NULL, NAME, &one, NULL)); /* as an eviction does */
        assert_int_equal(attached_when_down(all), FETCH_FAILED);
        assert_int_equal(attached(all), FETCH_DONE);
        assert_int_equal(count_here(all), count);
        fixture_free(all);
        tear_down(state);
        set_up(state);
    }
}

/* The upstream lists one that it has no more, has other bytes for, or refuses: no further try brings it, and the
 * others are had without it. */
static void what_is_lost_is_not_waited_for(void **state)
{
    g_autofree char *large = g_strnfill(INGOT_MANIFEST_MAX + 1, ' ');
    const char *const spoils[][2] = {
        {"404 Not Found", ""}, {"200 OK", "other bytes"}, {"200 OK", large}, {"403 Forbidden", ""}};
    for (guint i = 0; i < G_N_ELEMENTS(spoils); i++) {
        Fixture *all = fixture_new(state, ATTACHED);
        all->body = spoils[i][1];
        g_atomic_pointer_set(&all->spoil, spoils[i][0]);
        pull_image(all);
        assert_int_equal(attached(all), FETCH_DONE);
        assert_int_equal(attached_when_down(all), FETCH_DONE);
        assert_int_equal(count_here(all), ATTACHED - 1);
        g_atomic_pointer_set(&all->spoil, NULL); /* it is asked for again all the same */
        assert_int_equal(attached(all), FETCH_DONE);
        assert_int_equal(count_here(all), ATTACHED);
        fixture_free(all);
        tear_down(state);
        set_up(state);
    }
}

/* Where nothing of the list comes, it may be that the cache is let in no more. */
static void a_refusal_of_all_says_nothing(void **state)
{
    Fixture *all = fixture_new(state, 1);
    g_atomic_pointer_set(&all->spoil, "403 Forbidden");
    pull_image(all);
    assert_int_equal(attached(all), FETCH_FAILED);
    assert_int_equal(attached_when_down(all), FETCH_FAILED);
    fixture_free(all);
}

/* Whoever pulls the image asks for no attachments: the cache does, once. */
static void attachments_come_with_their_image(void **state)
{
    for (gint count = 0; count <= ATTACHED; count++) {
        Fixture *all = fixture_new(state, count);
        assert_int_equal(attached_when_down(all), FETCH_FAILED);
        pull_image(all);
        for (guint i = 0; i < WAIT && (g_atomic_int_get(&all->lists) == 0 || count_here(all) < count); i++) {
            g_usleep(10000);
        }
        assert_int_equal(count_here(all), count);
        FetchOutcome outcome = FETCH_FAILED;
        for (guint i = 0; i < WAIT && outcome != FETCH_DONE; i++) { /* until the list is noted */
            g_usleep(10000);
            outcome = attached_when_down(all);
        }
        assert_int_equal(outcome, FETCH_DONE);
        pull_image(all);
        assert_int_equal(all->lists, 1);
        fixture_free(all);
        tear_down(state);
        set_up(state);
    }
}

/* Of what was pushed to the cache it knows itself what is attached. */
static void what_was_pushed_needs_no_upstream(void **state)
{
    Fixture *all = fixture_new(state, 0);
    const IngotDigest digest = put_manifest(all->storage, NAME, "own", "own", NULL, 0);
    all->subject = oci_digest_from_sha256(&digest);
    assert_int_equal(attached_when_down(all), FETCH_DONE);
    fixture_free(all);
}

static gboolean decides(Fixture *all, const IngotDigest *image)
{
    g_autoptr(GError) error = NULL;
    gboolean known = through_attached(all->through, NAME, image, &error);
    assert_true(known || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NETWORK));
    return known;
}

static gboolean decides_when_down(Fixture *all, const IngotDigest *image)
{
    g_atomic_int_set(&all->is_down, TRUE);
    gboolean known = decides(all, image);
    g_atomic_int_set(&all->is_down, FALSE);
    return known;
}

/* Whoever decides by what is attached needs what the upstream says now; but of what somebody has pushed here. */
static void what_was_told_before_decides_nothing(void **state)
{
    static const StorageActor alice = {.name = "alice"};
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    Fixture *all = fixture_new(state, 1);
    pull_image(all);
    assert_int_equal(attached(all), FETCH_DONE);
    assert_int_equal(attached_when_down(all), FETCH_DONE);
    assert_false(decides_when_down(all, &all->subject.key));
    all->count = ATTACHED;
    assert_true(decides(all, &all->subject.key));
    assert_int_equal(count_here(all), ATTACHED);
    const StorageManifest pushed = {.data = "{}",
                                    .size = 2,
                                    .type = "application/vnd.oci.image.manifest.v1+json",
                                    .mentions = none,
                                    .actor = &alice};
    IngotDigest own;
    assert_true(storage_put_manifest(all->storage, NAME, &pushed, &own, NULL));
    assert_true(decides_when_down(all, &own));
    fixture_free(all);
}

/* Of an image that is here a refusal of the list says nothing: more may be attached since. Of one that is not, it says
 * that there is none. */
static void a_refusal_of_the_list_decides_nothing(void **state)
{
    static const char *const refusals[] = {"401 Unauthorized", "403 Forbidden"};
    for (guint i = 0; i < G_N_ELEMENTS(refusals); i++) {
        Fixture *all = fixture_new(state, 1);
        g_atomic_pointer_set(&all->deny, refusals[i]);
        assert_int_equal(attached(all), FETCH_ABSENT);
        pull_image(all);
        assert_int_equal(attached(all), FETCH_FAILED);
        assert_false(decides(all, &all->subject.key));
        g_atomic_pointer_set(&all->deny, NULL);
        assert_true(decides(all, &all->subject.key));
        g_atomic_pointer_set(&all->deny, refusals[i]);
        assert_int_equal(attached(all), FETCH_DONE);
        assert_false(decides(all, &all->subject.key));
        fixture_free(all);
        tear_down(state);
        set_up(state);
    }
}

static GPtrArray *guard_one(const GPtrArray *now, gpointer channel, GError **error)
{
    (void)now, (void)error;
    g_autoptr(json_t) body = json_pack("{s:[{s:s}]}", "channels", "name", channel);
    GPtrArray *pipelines = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    g_ptr_array_add(pipelines, pipeline_new(NAME, body));
    return pipelines;
}

/* Of a channel that a pipeline of here guards no upstream is asked, here or not; of any other tag it is. */
static void a_guarded_channel_is_ours(void **state)
{
    Fixture *all = fixture_new(state, 0);
    IngotDigest digest;
    assert_true(storage_change_pipelines(all->storage, NULL, guard_one, "1", NULL));
    assert_int_equal(through_manifest(all->through, NAME, "1"), FETCH_ABSENT);
    assert_false(storage_find_tag(all->storage, NAME, "1", &digest, NULL));
    assert_true(storage_change_pipelines(all->storage, NULL, guard_one, "2", NULL));
    pull_image(all);
    assert_true(storage_find_tag(all->storage, NAME, "1", &digest, NULL));
    g_free(all->image);
    all->image = g_strdup_printf(MANIFEST, "another", "");
    assert_true(storage_change_pipelines(all->storage, NULL, guard_one, "1", NULL));
    pull_image(all);
    assert_true(storage_find_tag(all->storage, NAME, "1", &digest, NULL));
    assert_true(ingot_digest_equal(&digest, &all->subject.key));
    fixture_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_part_is_not_the_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_lost_is_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_of_all_says_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(attachments_come_with_their_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_pushed_needs_no_upstream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_told_before_decides_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_of_the_list_decides_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_guarded_channel_is_ours, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
