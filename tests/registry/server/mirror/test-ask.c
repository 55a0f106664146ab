/* Asks: all who want one blob read what its one copy brings, and hear of its end, also of a copy that never began. */
#include "../../remote/serve.h"
#include "../fixture.h"

#include "server/mirror/ask.h"
#include "server/mirror/coldread.h"

#define LONG (30 * G_TIME_SPAN_SECOND)
#define NOWHERE "http://127.0.0.1:1" /* nothing listens there */
#define SIZE 3000                    /* bytes of the blob */

typedef struct {
    Storage *storage;
    Upstream *upstream;
    Asks *asks;
    GByteArray *bytes;
    OciDigest named;
    char *digest;
} Fixture;

static Fixture fixture_new(void **state)
{
    g_autofree char *folder = ingot_workdir_file(*state, "colds");
    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    Fixture all = {.storage = open_storage(state), .upstream = upstream_new("", NOWHERE), .bytes = noise(1, SIZE)};
    GPtrArray *upstreams = g_ptr_array_new_with_free_func((GDestroyNotify)upstream_free);
    const IngotDigest digest = digest_of(all.bytes);
    g_ptr_array_add(upstreams, all.upstream);
    all.asks = asks_new(all.storage, folder, upstreams, 0);
    all.named = oci_digest_from_sha256(&digest);
    all.digest = oci_digest_to_text(&all.named);
    return all;
}

static void fixture_clear(Fixture *all)
{
    asks_free(all->asks);
    storage_close(all->storage);
    g_byte_array_unref(all->bytes);
    g_free(all->digest);
}

static gint ran, held; /* atomic */

static gboolean run(const Ask *ask, Copy *copy, char **result, GError **error)
{
    (void)copy, (void)result, (void)error;
    g_atomic_int_inc(&ran);
    cold_begin(ask->cold);
    while (g_atomic_int_get(&held) != 0) {
        g_usleep(1000);
    }
    return TRUE;
}

/* No connection comes about: it is left in peace for a while. */
static void let_rest(Upstream *upstream)
{
    IngotRemote *remote = upstream_borrow(upstream, 1, NULL);
    const IngotDigest any = {0};
    guint64 size;
    g_autoptr(GError) error = NULL;
    assert_non_null(remote);
    assert_false(ingot_remote_blob_size(remote, "team/web", &any, &size, &error));
    upstream_give_back(upstream, remote, error);
    assert_null(upstream_borrow(upstream, 1, NULL));
}

static void a_copy_that_never_began_ends_too(void **state)
{
    Fixture all = fixture_new(state);
    g_autoptr(GError) error = NULL;
    Cold *cold;
    guint8 byte;
    g_atomic_int_set(&ran, 0);
    let_rest(all.upstream);
    Ask *ask = ask_new_copy(all.asks, "team/web", all.digest, "blob", run);
    assert_int_equal(ask_get_copy(ask, LONG, NULL, &cold), FETCH_FAILED);
    assert_int_equal(ran, 0);
    assert_int_equal(cold_state(cold), COLD_FAILED);
    g_autoptr(ColdReader) reader = cold_reader_new(all.storage, all.upstream, "team/web", &all.named, SIZE, cold);
    assert_int_equal(cold_reader_read(reader, SIZE - 1, &byte, 1, &error), -1); /* not "about to come", for ever */
    g_clear_pointer(&reader, cold_reader_free);
    fixture_clear(&all);
}

static void who_joins_a_copy_reads_what_it_brings(void **state)
{
    Fixture all = fixture_new(state);
    g_autoptr(Cold) first = NULL;
    g_autoptr(Cold) second = NULL;
    g_autoptr(Cold) later = NULL;
    g_atomic_int_set(&ran, 0);
    g_atomic_int_set(&held, 1);
    Ask *ask = ask_new_copy(all.asks, "team/web", all.digest, "blob", run);
    assert_int_equal(ask_get_copy(ask, 0, NULL, &first), FETCH_PENDING);
    while (g_atomic_int_get(&ran) == 0) {
        g_usleep(1000);
    }
    ask = ask_new_copy(all.asks, "team/web", all.digest, "blob", run);
    assert_int_equal(ask_get_copy(ask, 0, NULL, &second), FETCH_PENDING);
    assert_ptr_equal(first, second);
    assert_int_equal(cold_state(second), COLD_COPYING);
    g_atomic_int_set(&held, 0);
    ask = ask_new_copy(all.asks, "team/web", all.digest, "blob", run);
    FetchOutcome outcome = ask_get_copy(ask, LONG, NULL, &later);
    assert_int_equal(outcome, FETCH_DONE);
    for (guint i = 0; i < 1000 && cold_state(first) != COLD_DONE; i++) {
        g_usleep(10000);
    }
    assert_int_equal(cold_state(first), COLD_DONE);
    assert_int_equal(cold_state(later), COLD_DONE); /* the same, or a copy of its own */
    fixture_clear(&all);
}

/* A slow reader of a copy that has ended does not hand its bytes to those who come later. */
static void no_copy_has_the_bytes_of_another(void **state)
{
    Fixture all = fixture_new(state);
    g_autoptr(Cold) first = NULL;
    g_autoptr(Cold) second = NULL;
    g_atomic_int_set(&held, 0);
    Ask *ask = ask_new_copy(all.asks, "team/web", all.digest, "blob", run);
    assert_int_equal(ask_get_copy(ask, LONG, NULL, &first), FETCH_DONE);
    ask = ask_new_copy(all.asks, "team/web", all.digest, "blob", run);
    assert_int_equal(ask_get_copy(ask, LONG, NULL, &second), FETCH_DONE);
    assert_ptr_not_equal(first, second);
    fixture_clear(&all);
}

/* What is here, but damaged, is what the copy is to mend: before that its bytes come from the upstream alone. */
static void a_damaged_blob_is_not_read(void **state)
{
    Fixture all = fixture_new(state);
    g_autofree char *folder = ingot_workdir_file(*state, "colds");
    g_autoptr(GError) error = NULL;
    guint8 got[SIZE];
    push(all.storage, "team/web", all.bytes);
    damage(state, all.bytes, SIZE / 2);
    assert_false(try_pull(all.storage, "team/web", all.bytes, NULL));
    for (guint i = 0; i < 1000 && storage_is_whole(all.storage, "team/web", &all.named.key); i++) {
        g_usleep(10000); /* it is noted by a thread of its own */
    }
    assert_false(storage_is_whole(all.storage, "team/web", &all.named.key));
    Cold *cold = cold_new(folder);
    cold_ref(cold);
    g_autoptr(ColdReader) reader = cold_reader_new(all.storage, all.upstream, "team/web", &all.named, SIZE, cold);
    assert_int_equal(cold_reader_read(reader, 0, got, SIZE, &error), -1);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NETWORK)); /* it was asked for there */
    assert_true(try_push(all.storage, "team/web", all.bytes, 70000, NULL));
    cold_end(cold, TRUE);
    assert_int_equal(cold_reader_read(reader, 0, got, SIZE, NULL), SIZE - 1);
    assert_int_equal(cold_reader_read(reader, SIZE - 1, got + SIZE - 1, 1, NULL), 1);
    assert_memory_equal(got, all.bytes->data, SIZE);
    cold_unref(cold);
    g_clear_pointer(&reader, cold_reader_free);
    fixture_clear(&all);
}

/* A registry that has one blob, of text. */
static char *give_range(const char *request, gsize sent, gpointer user)
{
    const char *text = user, *range = strstr(request, "Range: bytes=");
    guint64 first = 0, last = 0;
    (void)sent;
    assert_non_null(range);
    assert_int_equal(sscanf(range, "Range: bytes=%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, &first, &last), 2);
    g_autofree char *part = g_strndup(text + first, (gsize)(last - first + 1));
    g_autofree char *header =
        g_strdup_printf("Content-Range: bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%" G_GSIZE_FORMAT "\r\n",
                        first, last, strlen(text));
    return serve_text("206 Partial Content", header, part);
}

/* All of the blob is read, while its copy waits for its turn. */
static void what_is_read_needs_no_copy(void **state)
{
    static const char right[] = "what the upstream has", wrong[] = "what the upstream lies";
    g_autofree char *folder = ingot_workdir_file(*state, "colds");
    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    Storage *storage = open_storage(state);
    IngotDigest digest;
    ingot_digest_of(right, strlen(right), &digest);
    const OciDigest named = oci_digest_from_sha256(&digest);
    for (gint lies = FALSE; lies <= TRUE; lies++) {
        const char *text = lies ? wrong : right;
        gsize size = strlen(text);
        char got[64] = {0};
        g_autoptr(GError) error = NULL;
        Serve *serve = serve_new(give_range, (gpointer)text);
        g_autoptr(Upstream) upstream = upstream_new("", serve->where);
        g_autoptr(ColdReader) reader = cold_reader_new(storage, upstream, "team/web", &named, size, cold_new(folder));
        assert_int_equal(cold_reader_read(reader, 0, got, size, &error), size - 1);
        gssize last = cold_reader_read(reader, size - 1, got + size - 1, 1, &error);
        assert_int_equal(last, lies ? -1 : 1);
        assert_true(lies ? g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT) : strcmp(got, right) == 0);
        g_clear_pointer(&reader, cold_reader_free);
        serve_free(serve);
    }
    storage_close(storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_that_never_began_ends_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_joins_a_copy_reads_what_it_brings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_copy_has_the_bytes_of_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_blob_is_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_read_needs_no_copy, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
