/* Going on with an upload: after a restart, in another process, in another request; by what was kept of it, which is
 * right or not used. */
#include "../fixture.h"

#include <signal.h>
#include <sys/resource.h>

#include "server/storage/collect.h"
#include "server/storage/lapse.h"

#define HALF(bytes) ((bytes)->len / 2 + 12345) /* in the middle of a piece */

static Storage *open_beside(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(GError) error = NULL;
    Storage *storage = storage_open_shared(path, &error);
    if (storage == NULL) {
        fail_msg("%s", error->message);
    }
    return storage;
}

static char *file_of(void **state, const char *id, const char *suffix)
{
    g_autofree char *name = g_strdup_printf("data/uploads/%s.%s", id, suffix);
    return ingot_workdir_file(*state, name);
}

static void overwrite(void **state, const char *id, const char *suffix, guint64 at, gsize size)
{
    g_autofree char *path = file_of(state, id, suffix);
    g_autoptr(GByteArray) junk = noise(999, size);
    g_auto(IngotFd) fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, junk->data, size, (off_t)at), size);
}

static guint64 settle(Storage *storage, const char *id, guint turn)
{
    guint64 size;
    g_autoptr(GError) error = NULL;
    if (!storage_upload_settle(storage, id, turn, &size, &error)) {
        fail_msg("%s", error->message);
    }
    return size;
}

static guint64 size_of(Storage *storage, const char *id)
{
    guint64 size;
    g_autoptr(GError) error = NULL;
    if (!storage_upload_size(storage, id, &size, &error)) {
        fail_msg("%s", error->message);
    }
    return size;
}

/* Half of the bytes have come, and the server has ended. */
static char *half_of(void **state, const GByteArray *bytes)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(add_steps(storage, id, bytes, 0, HALF(bytes), 50000, NULL));
    assert_int_equal(settle(storage, id, 0), HALF(bytes));
    return g_steal_pointer(&id);
}

static void end_with_the_rest(Storage *storage, const char *id, const GByteArray *bytes)
{
    IngotDigest digest = digest_of(bytes);
    g_autoptr(GError) error = NULL;
    if (!add_steps(storage, id, bytes, size_of(storage, id), bytes->len, 50000, &error) ||
        !storage_upload_finish(storage, NULL, id, 0, "a", &digest, &error)) {
        fail_msg("%s", error->message);
    }
}

/* The bytes that came are other ones by now: nobody notices before they are read, so they were not. A reader does. */
static void what_came_is_not_read_again(void **state)
{
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000);
    g_autofree char *id = half_of(state, bytes);
    overwrite(state, id, "pack", 64, 100000);
    g_autoptr(Storage) storage = open_storage(state);
    assert_int_equal(size_of(storage, id), HALF(bytes));
    end_with_the_rest(storage, id, bytes);
    assert_false(try_pull(storage, "a", bytes, NULL));
    push(storage, "a", bytes);
    pull(storage, "a", bytes);
}

/* All that was told stays, the middle of a piece too; and what came behind it is found by its digests. */
static void what_was_told_is_there(void **state)
{
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000);
    g_autofree char *id = half_of(state, bytes);
    g_autoptr(Storage) storage = open_storage(state);
    assert_int_equal(size_of(storage, id), HALF(bytes));
    assert_true(add_steps(storage, id, bytes, HALF(bytes), bytes->len - 100, 50000, NULL));
    storage_close(g_steal_pointer(&storage)); /* without a word */
    storage = open_storage(state);
    guint64 found = size_of(storage, id);
    assert_true(found > bytes->len - 70000 && found <= bytes->len - 100);
    end_with_the_rest(storage, id, bytes);
    pull(storage, "a", bytes);
}

/* A part of a piece that is not what it was is dropped; what came before it is not. */
static void a_damaged_part_goes(void **state)
{
    g_autoptr(GByteArray) bytes = noise(1, 3000000); /* cut at each MiB */
    g_autofree char *id = half_of(state, bytes);
    overwrite(state, id, "pack", 64 + HALF(bytes) - 10, 5);
    g_autoptr(Storage) storage = open_storage(state);
    assert_int_equal(size_of(storage, id), 1 << 20);
    end_with_the_rest(storage, id, bytes);
    pull(storage, "a", bytes);
}

/* Whatever is wrong with what was kept: it is not used, and all that came is read again. */
static void what_is_wrong_is_not_used(void **state)
{
    static const char *const wrongs[] = {
        "UPDATE uploads SET state=NULL",
        "UPDATE uploads SET state=zeroblob(length(state))",
        "UPDATE uploads SET state=substr(state, 1, 100)",
        "UPDATE uploads SET state=CAST(substr(state, 1, 8) || x'01' || substr(state, 10) AS BLOB)",
        "UPDATE uploads SET state=CAST('INGOTUP0' || substr(state, 9) AS BLOB)",
    };
    for (guint i = 0; i < G_N_ELEMENTS(wrongs); i++) {
        g_autoptr(GByteArray) bytes = frames(1 + 100 * i, 40, 60000);
        g_autofree char *id = half_of(state, bytes);
        in_catalogue(state, wrongs[i]);
        overwrite(state, id, "pack", 64 + 500000, 10); /* to see that it is read */
        g_autoptr(Storage) storage = open_storage(state);
        guint64 found = size_of(storage, id);
        assert_true(found > 430000 && found <= 500000);
        end_with_the_rest(storage, id, bytes);
        pull(storage, "a", bytes);
    }
}

/* Nor where the files are not those that it tells of. */
static void other_files_are_not_taken_for_them(void **state)
{
    for (guint i = 0; i < 3; i++) {
        g_autoptr(GByteArray) bytes = frames(1 + 100 * i, 40, 60000);
        g_autofree char *id = half_of(state, bytes), *list = file_of(state, id, "list"),
                        *pack = file_of(state, id, "pack");
        if (i == 0) {
            overwrite(state, id, "list", 45, 1); /* of the second entry */
        } else {
            assert_int_equal(truncate(i == 1 ? list : pack, 400), 0);
        }
        g_autoptr(Storage) storage = open_storage(state);
        assert_true(size_of(storage, id) < 700000);
        end_with_the_rest(storage, id, bytes);
        pull(storage, "a", bytes);
    }
}

/* What the upload counted on has gone while nobody went on with it: it goes back to there. */
static void what_it_counted_on_may_go(void **state)
{
    g_autoptr(GByteArray) known = frames(1, 10, 60000), bytes = frames(100, 10, 60000);
    g_byte_array_append(bytes, known->data, known->len);
    add_bytes(bytes, frames(200, 10, 60000));
    g_autoptr(Storage) storage = open_storage(state);
    push(storage, "a", known);
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(add_steps(storage, id, bytes, 0, 1500000, 50000, NULL));
    settle(storage, id, 0);
    storage_close(g_steal_pointer(&storage));
    in_catalogue(state, "DELETE FROM leases; DELETE FROM links; DELETE FROM blobs; DELETE FROM pieces");
    storage = open_storage(state);
    guint64 found = size_of(storage, id);
    assert_true(found > 590000 && found < 610000);
    end_with_the_rest(storage, id, bytes);
    pull(storage, "a", bytes);
}

/* An older program knew no rows: what it has left is gone on with by the list alone. */
static void an_older_program_has_begun_it(void **state)
{
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000);
    g_autofree char *id = half_of(state, bytes);
    in_catalogue(state, "DELETE FROM uploads; DELETE FROM leases");
    g_autoptr(Storage) storage = open_storage(state);
    assert_int_equal(stats_of(storage).uploads, 1);
    guint64 found = size_of(storage, id);
    assert_true(found <= HALF(bytes) && found > HALF(bytes) - 70000);
    end_with_the_rest(storage, id, bytes);
    pull(storage, "a", bytes);
}

/* --- requests --- */

/* A newer request goes on; what the older one still brings is dropped. */
static void a_newer_request_takes_over(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000);
    IngotDigest digest = digest_of(bytes);
    g_autofree char *id = begin_upload(storage, NULL);
    guint first, second;
    guint64 size;
    assert_true(storage_upload_begin(storage, id, 0, NULL, &first, &size, NULL));
    assert_true(storage_upload_add(storage, id, first, 0, bytes->data, 100000, NULL));
    assert_true(storage_upload_begin(storage, id, 0, NULL, &second, &size, NULL));
    assert_int_equal(size, 100000);
    for (guint at = 100000; at < bytes->len; at += 100000) {
        g_autoptr(GError) error = NULL;
        assert_false(storage_upload_add(storage, id, first, at, bytes->data + at, 1000, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
        assert_true(storage_upload_add(storage, id, second, at, bytes->data + at, MIN(100000, bytes->len - at), NULL));
    }
    assert_false(storage_upload_settle(storage, id, first, &size, NULL));
    assert_false(storage_upload_finish(storage, NULL, id, first, "a", &digest, NULL));
    storage_upload_pause(storage, id); /* the older one ends */
    assert_true(storage_upload_finish(storage, NULL, id, second, "a", &digest, NULL));
    pull(storage, "a", bytes);
}

/* --- processes --- */

/* They go on with each other's, and a request of one does not go on where the other has. */
static void two_processes_take_turns(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000);
    IngotDigest digest = digest_of(bytes);
    g_autofree char *id = begin_upload(one, NULL);
    guint turn, its;
    guint64 size;
    assert_true(storage_upload_begin(one, id, 0, NULL, &turn, &size, NULL));
    for (guint at = 0, step = 100000; at < bytes->len; at += step) {
        g_autoptr(GError) error = NULL;
        gsize count = MIN(step, bytes->len - at);
        assert_true(storage_upload_add(one, id, turn, at, bytes->data + at, count, NULL));
        assert_int_equal(settle(one, id, turn), at + count);
        assert_true(storage_upload_begin(other, id, 0, NULL, &its, &size, NULL));
        assert_int_equal(size, at + count);
        assert_false(storage_upload_add(one, id, turn, size, bytes->data, 1, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
        storage_upload_pause(one, id);
        g_autoptr(Storage) former = g_steal_pointer(&one);
        one = g_steal_pointer(&other);
        other = g_steal_pointer(&former);
        turn = its;
    }
    assert_true(storage_upload_finish(one, NULL, id, turn, "a", &digest, NULL));
    assert_false(storage_upload_size(other, id, &size, NULL));
    assert_false(storage_upload_drop(other, id, NULL));
    pull(other, "a", bytes);
    assert_int_equal(stats_of(one).uploads, 0);
    assert_int_equal(stats_of(other).uploads, 0);
}

/* A request that can't go on takes it from nobody, here or elsewhere. One that can takes it over, with what it finds in
 * the files. */
static void one_that_can_not_go_on_takes_nothing(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000);
    g_autofree char *id = begin_upload(one, NULL);
    guint turn, its;
    guint64 size;
    assert_true(storage_upload_begin(one, id, 0, NULL, &turn, &size, NULL));
    assert_true(storage_upload_add(one, id, turn, 0, bytes->data, 600000, NULL));
    assert_int_equal(settle(one, id, turn), 600000);
    assert_true(storage_upload_add(one, id, turn, 600000, bytes->data + 600000, 200000, NULL));
    for (guint i = 0; i < 3; i++) {
        const guint64 wrong = i * 250000, from = 600000;
        assert_true(storage_upload_begin(other, id, 0, &wrong, &its, &size, NULL));
        assert_int_equal(its, 0);
        assert_int_equal(size, 600000);
        assert_true(storage_upload_begin(one, id, 0, &from, &its, &size, NULL)); /* a chunk that comes twice */
        assert_int_equal(its, 0);
        assert_int_equal(size_of(other, id), 600000); /* to ask takes it from nobody */
        guint64 at = 800000 + i * 1000;
        assert_int_equal(size, at);
        assert_true(storage_upload_add(one, id, turn, at, bytes->data + at, 1000, NULL));
    }
    const guint64 told = 790000;
    assert_true(storage_upload_begin(other, id, 0, &told, &its, &size, NULL));
    assert_int_equal(its, 0);
    assert_true(size > 730000 && size <= 803000);
    assert_true(storage_upload_begin(other, id, 0, &size, &its, &size, NULL));
    assert_int_not_equal(its, 0);
    assert_false(storage_upload_add(one, id, turn, 803000, bytes->data + 803000, 1000, NULL));
    assert_false(storage_upload_settle(one, id, turn, &size, NULL));
    end_with_the_rest(other, id, bytes);
    pull(one, "a", bytes);
    assert_true(storage_upload_begin(one, id, 0, NULL, &turn, &size, NULL) == FALSE);
}

/* Whoever asked another process how far the upload has come goes on there, whether it says from where or not. What it
 * was not told of comes again. */
static void what_is_told_is_where_it_goes_on(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000);
    for (guint i = 0; i < 2; i++) {
        g_autofree char *id = begin_upload(one, NULL);
        guint turn, its;
        guint64 size;
        assert_true(storage_upload_begin(one, id, 0, NULL, &turn, &size, NULL));
        assert_true(storage_upload_add(one, id, turn, 0, bytes->data, 600000, NULL));
        assert_int_equal(settle(one, id, turn), 600000);
        assert_true(storage_upload_add(one, id, turn, 600000, bytes->data + 600000, 200000, NULL));
        guint64 told = size_of(other, id);
        assert_int_equal(told, 600000);
        assert_true(storage_upload_begin(other, id, 0, i == 0 ? NULL : &told, &its, &size, NULL));
        assert_int_not_equal(its, 0);
        assert_int_equal(size, told);
        assert_false(storage_upload_add(one, id, turn, 800000, bytes->data + 800000, 1000, NULL));
        end_with_the_rest(other, id, bytes);
        pull(one, "a", bytes);
        IngotDigest digest = digest_of(bytes);
        assert_true(storage_remove_blob(one, NULL, "a", &digest, NULL));
    }
    /* What the one that has it tells counts for the other as well. */
    g_autofree char *id = begin_upload(one, NULL);
    assert_true(add_steps(one, id, bytes, 0, 700000, 100000, NULL));
    assert_int_equal(size_of(one, id), 700000);
    assert_int_equal(size_of(other, id), 700000);
}

/* What it counts on may be marked to go meanwhile: its lease is older, so whoever goes on with it counts on that too.
 */
static void what_is_marked_later_still_counts(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) known = frames(1, 20, 60000), bytes = frames(1, 40, 60000);
    IngotDigest digest = push(one, "a", known);
    g_autofree char *id = begin_upload(one, NULL);
    assert_true(add_steps(one, id, bytes, 0, 900000, 100000, NULL));
    guint64 told = size_of(one, id);
    assert_int_equal(told, 900000);
    storage_upload_pause(one, id);
    assert_true(storage_remove_blob(one, NULL, "a", &digest, NULL));
    CollectReport report;
    for (guint i = 0; i < 2; i++) {
        assert_true(storage_collect(one, &(CollectOptions){0}, &report, NULL));
    }
    assert_int_equal(size_of(other, id), told);
    guint turn;
    guint64 size;
    assert_true(storage_upload_begin(other, id, 0, NULL, &turn, &size, NULL));
    assert_int_equal(size, told);
    end_with_the_rest(other, id, bytes);
    pull(one, "a", bytes);
}

/* --- offers --- */

/* An offer of known frames and new ones, of which some have come, in the middle of one. */
static char *half_an_offer(Storage *storage, const GByteArray *known, const GByteArray *fresh, GByteArray *all)
{
    g_byte_array_append(all, known->data, known->len);
    g_byte_array_append(all, fresh->data, fresh->len);
    g_byte_array_append(all, known->data, known->len);
    g_autoptr(GByteArray) first = list_of(known, 50000), list = list_of(all, 50000), missing = g_byte_array_new();
    IngotDigest digest = digest_of(known);
    g_autofree char *before = begin_upload(storage, NULL), *id = begin_upload(storage, NULL);
    assert_true(storage_upload_offer(storage, before, first->data, first->len, NULL, NULL, missing, NULL));
    assert_true(storage_upload_add(storage, before, 0, 0, known->data, known->len, NULL));
    assert_true(storage_upload_finish(storage, NULL, before, 0, "a", &digest, NULL));
    assert_true(storage_upload_offer(storage, id, list->data, list->len, NULL, NULL, missing, NULL));
    assert_true(storage_upload_add(storage, id, 0, 0, fresh->data, 123456, NULL));
    assert_int_equal(settle(storage, id, 0), 123456);
    return g_steal_pointer(&id);
}

static void an_offer_goes_on_elsewhere(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) known = noise(1, 1000000), fresh = noise(2, 500000), all = g_byte_array_new();
    g_autofree char *id = half_an_offer(one, known, fresh, all);
    IngotDigest digest = digest_of(all), wrong = digest_of(known);
    g_autoptr(GError) error = NULL;
    assert_int_equal(size_of(other, id), 123456);
    assert_true(storage_upload_add(other, id, 0, 123456, fresh->data + 123456, 200000, NULL));
    storage_close(g_steal_pointer(&other)); /* without a word: what has come to its end, or was kept, is found again */
    guint64 size = size_of(one, id);
    assert_true(size >= 300000 && size <= 323456);
    assert_true(storage_upload_add(one, id, 0, size, fresh->data + size, fresh->len - size, NULL));
    assert_false(storage_upload_finish(one, NULL, id, 0, "a", &wrong, NULL));
    storage_upload_pause(one, id);
    other = open_beside(state);
    if (!storage_upload_finish(other, NULL, id, 0, "a", &digest, &error)) {
        fail_msg("%s", error->message);
    }
    pull(one, "a", all);
}

/* One that counts on what has gone has to be offered again. */
static void an_offer_of_what_has_gone_ends(void **state)
{
    static const char *const wrongs[] = {"DELETE FROM leases; UPDATE pieces SET damaged=1",
                                         "UPDATE uploads SET state=NULL"};
    for (guint i = 0; i < G_N_ELEMENTS(wrongs); i++) {
        g_autoptr(Storage) storage = open_storage(state);
        g_autoptr(GByteArray) known = noise(1 + i, 1000000), fresh = noise(20 + i, 500000), all = g_byte_array_new();
        g_autofree char *id = half_an_offer(storage, known, fresh, all);
        g_autoptr(GError) error = NULL;
        guint64 size;
        storage_close(g_steal_pointer(&storage));
        in_catalogue(state, wrongs[i]);
        storage = open_storage(state);
        assert_false(storage_upload_size(storage, id, &size, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
        assert_int_equal(stats_of(storage).uploads, 0);
        g_autofree char *frames_left = file_of(state, id, "frames");
        assert_false(g_file_test(frames_left, G_FILE_TEST_EXISTS));
        push(storage, "a", all);
        pull(storage, "a", all);
    }
}

/* --- bounds --- */

/* What has come of uploads counts for their repository, and for no other, until they end. */
static void uploads_count_for_their_repository(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) first = noise(1, 4000000), second = noise(2, 3000000);
    g_autoptr(GError) error = NULL;
    const StorageLimits limits = {.repository = 5000000};
    storage_limit(one, &limits);
    storage_limit(other, &limits);
    g_autofree char *id = begin_upload(one, NULL);
    assert_true(add_steps(one, id, first, 0, first->len, 500000, NULL));
    settle(one, id, 0);
    for (guint i = 0; i < 2; i++) {
        Storage *its = i == 0 ? one : other;
        g_autofree char *more = begin_upload(its, NULL);
        assert_false(add_steps(its, more, second, 0, second->len, 100000, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
        g_clear_error(&error);
        guint64 size = size_of(its, more);
        assert_true(size > 0); /* what came before stays */
        assert_false(storage_upload_add(its, more, 0, size, "x", 1, NULL));
        if (i == 1) {
            assert_true(storage_upload_drop(other, id, NULL));
            assert_true(add_steps(its, more, second, size, second->len, 100000, NULL));
        }
        assert_true(storage_upload_drop(its, more, NULL));
    }
    push(one, "b", second);
}

/* Others who need the room have it after a quarter of an hour. */
static void one_without_room_gives_its_room(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 4000000), other = noise(2, 2500000);
    storage_limit(storage, &(StorageLimits){.total = 3000000});
    g_autofree char *id = begin_upload(storage, NULL);
    assert_false(add_steps(storage, id, bytes, 0, bytes->len, 500000, NULL));
    storage_upload_pause(storage, id);
    assert_false(try_push(storage, "a", other, 100000, NULL));
    in_catalogue(state, "UPDATE uploads SET until=until - 901");
    push(storage, "a", other);
    guint64 size;
    assert_false(storage_upload_size(storage, id, &size, NULL));
}

/* What this process holds of an upload that another one has gone on with takes no room. */
static void what_another_goes_on_with_takes_no_room_here(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    storage_limit(one, &(StorageLimits){.total = 5000000});
    for (guint i = 0; i < 4; i++) {
        g_autoptr(GByteArray) bytes = noise(i, 3000000);
        g_autoptr(GError) error = NULL;
        g_autofree char *id = begin_upload(one, &error);
        if (id == NULL || !add_steps(one, id, bytes, 0, bytes->len, 500000, &error)) {
            fail_msg("%u: %s", i, error->message);
        }
        storage_upload_pause(one, id);
        if (i % 2 == 0) {
            assert_int_equal(size_of(other, id), bytes->len);
        }
        assert_true(storage_upload_drop(other, id, NULL));
        assert_int_equal(stats_of(one).uploads, 0);
    }
}

static guint64 staged_bytes(void **state, const char *id)
{
    g_autofree char *path = file_of(state, id, "pack");
    GStatBuf st;
    return g_stat(path, &st) == 0 ? (guint64)st.st_size : 0;
}

/* What the full disk refused gives way to others, at once where they need the room, else after a quarter of an hour. */
static void what_filled_the_disk_gives_way(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) large = noise(1, 9000000), other = noise(2, 9000000);
    g_autoptr(GError) error = NULL;
    struct rlimit before;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit limit = {.rlim_cur = 5000000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0); /* as a full disk has it */
    g_autofree char *first = begin_upload(storage, NULL), *second = begin_upload(storage, NULL);
    assert_false(add_steps(storage, first, large, 0, large->len, 500000, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE));
    assert_true(staged_bytes(state, first) > 0);
    g_usleep((UPLOAD_REFUSED_REST + 1) * G_USEC_PER_SEC);
    assert_false(add_steps(storage, second, other, 0, other->len, 500000, NULL));
    assert_int_equal(staged_bytes(state, first), 0);
    assert_true(staged_bytes(state, second) > 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    in_catalogue(state, "UPDATE uploads SET until=until - 901");
    assert_true(uploads_drop_lapsed(storage));
    assert_int_equal(staged_bytes(state, second), 0);
}

/* What one server refused, and another has gone on with, is nobody's to drop. */
static void what_another_goes_on_with_does_not_lapse(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) large = noise(1, 9000000), second = noise(2, 9000000);
    struct rlimit before;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit limit = {.rlim_cur = 5000000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    g_autofree char *id = begin_upload(one, NULL), *more = begin_upload(one, NULL);
    assert_false(add_steps(one, id, large, 0, large->len, 500000, NULL));
    guint64 size;
    guint turn;
    assert_true(storage_upload_begin(other, id, 0, NULL, &turn, &size, NULL));
    assert_true(size > 0);
    g_usleep((UPLOAD_REFUSED_REST + 1) * G_USEC_PER_SEC);
    assert_false(add_steps(one, more, second, 0, second->len, 500000, NULL)); /* it wants the room */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(size_of(other, id), size);
    end_with_the_rest(other, id, large);
    pull(one, "a", large);
}

static void the_uploads_of_a_user_are_counted(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    guint count;
    for (guint i = 0; i < 5; i++) {
        const StorageUpload about = {.name = "a", .user = i == 0 ? "bob" : "alice", .brief = i == 1};
        g_autofree char *id = storage_upload_new(storage, &about, NULL);
        assert_true(storage_upload_count(storage, "alice", &count, NULL));
        assert_int_equal(count, i);
        if (i == 4) {
            assert_true(storage_upload_drop(storage, id, NULL));
        }
    }
    assert_true(storage_upload_count(storage, "alice", &count, NULL));
    assert_int_equal(count, 3);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_came_is_not_read_again),
        TEST(what_was_told_is_there),
        TEST(a_damaged_part_goes),
        TEST(what_is_wrong_is_not_used),
        TEST(other_files_are_not_taken_for_them),
        TEST(what_it_counted_on_may_go),
        TEST(an_older_program_has_begun_it),
        TEST(a_newer_request_takes_over),
        TEST(two_processes_take_turns),
        TEST(one_that_can_not_go_on_takes_nothing),
        TEST(what_is_told_is_where_it_goes_on),
        TEST(what_is_marked_later_still_counts),
        TEST(an_offer_goes_on_elsewhere),
        TEST(an_offer_of_what_has_gone_ends),
        TEST(uploads_count_for_their_repository),
        TEST(one_without_room_gives_its_room),
        TEST(the_uploads_of_a_user_are_counted),
        cmocka_unit_test_setup_teardown(what_another_goes_on_with_takes_no_room_here, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_filled_the_disk_gives_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_another_goes_on_with_does_not_lapse, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
