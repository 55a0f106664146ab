/* The storage's door: whatever is pushed in whatever steps comes back, once kept however often it is pushed, by every
 * range, after a restart, from many threads at once, and within its limits. */
#include "../fixture.h"

#include "server/packs/splitter.h"
#include "server/storage/collect.h"
#include "server/storage/keptmanifests.h"
#include "server/storage/rebuild.h"
#include "server/storage/scrub.h"

static void collect_all(Storage *storage)
{
    const CollectOptions options = {0};
    CollectReport report;
    assert_true(storage_collect(storage, &options, &report, NULL));
}

/* --- blobs --- */

static GByteArray *shape(guint kind)
{
    static const gsize plain[] = {0, 1, 63, 64, 4096, PIECE_MAX - 1, PIECE_MAX, PIECE_MAX + 1, 3 * PIECE_MAX + 5};
    GByteArray *bytes = kind < G_N_ELEMENTS(plain) ? noise(kind, plain[kind]) : g_byte_array_new();
    switch (kind - G_N_ELEMENTS(plain)) {
    case 0:
        add_bytes(bytes, frames(1, 1, 10));
        break;
    case 1:
        add_bytes(bytes, frames(2, 40, 30000));
        break;
    case 2:
        add_bytes(bytes, frames(100, 3, 2 * PIECE_MAX));
        break;
    case 3: /* one frame over and over, then garbage */
        for (guint i = 0; i < 20; i++) {
            add_bytes(bytes, frame(i % 2, 400000, FALSE));
        }
        add_bytes(bytes, noise(3, 12345));
        break;
    default:
        break;
    }
    return bytes;
}
#define SHAPES 13

static void every_shape_comes_back(void **state)
{
    static const gsize steps[] = {SIZE_MAX / 2, 65537, 333};
    g_autoptr(Storage) storage = open_storage(state);
    for (guint i = 0; i < SHAPES; i++) {
        g_autoptr(GByteArray) bytes = shape(i);
        g_autofree char *name = g_strdup_printf("name/%u", i);
        assert_true(try_push(storage, name, bytes, steps[i % G_N_ELEMENTS(steps)], NULL));
        pull(storage, name, bytes);
    }
    assert_clean(storage);
    storage_close(g_steal_pointer(&storage));
    storage = open_storage(state);
    guint64 packed = stats_of(storage).packed;
    for (guint i = 0; i < SHAPES; i++) {
        g_autoptr(GByteArray) bytes = shape(i);
        g_autofree char *name = g_strdup_printf("name/%u", i);
        pull(storage, name, bytes);
        push(storage, "other", bytes); /* adds nothing */
        pull(storage, "other", bytes);
    }
    assert_int_equal(stats_of(storage).packed, packed);
    assert_int_equal(stats_of(storage).blobs, SHAPES);
    assert_int_equal(stats_of(storage).uploads, 0);
    assert_clean(storage);
}

static void what_is_alike_is_kept_once(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) all = frames(1, 60, 40000), part = frames(20, 30, 40000), twice = g_byte_array_new();
    add_bytes(part, frames(1000, 1, 40000));
    g_byte_array_append(twice, all->data, all->len);
    g_byte_array_append(twice, all->data, all->len);
    push(storage, "a", all);
    guint64 stored = stats_of(storage).stored, packed = stats_of(storage).packed;
    assert_int_equal(stored, all->len);
    push(storage, "a", part);
    assert_true(stats_of(storage).stored - stored < 41000);
    push(storage, "a", twice);
    assert_true(stats_of(storage).stored - stored < 41000);
    assert_true(packed_bytes(state) - packed < 60000);
    assert_int_equal(stats_of(storage).logical, all->len + part->len + twice->len);
    pull(storage, "a", all);
    pull(storage, "a", part);
    pull(storage, "a", twice);
}

static void ranges_are_the_bytes(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) first = frames(1, 10, 30000), bytes = frames(200, 5, 200000);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    push(storage, "a", first);
    g_byte_array_append(bytes, first->data, first->len); /* pieces of two packs */
    add_bytes(bytes, noise(5, 2 * PIECE_MAX));
    IngotDigest digest = push(storage, "a", bytes);
    g_autofree guint8 *got = g_malloc(bytes->len);
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
    assert_int_equal(storage_blob_read_at_once(blob, 0, got, bytes->len), 0); /* nobody has looked at it yet */
    for (guint i = 0; i < 2000; i++) {
        if (i % 100 == 0) {
            g_clear_pointer(&blob, storage_blob_unref);
            if (i % 500 == 0) { /* nothing is known to be whole */
                storage_close(g_steal_pointer(&storage));
                storage = open_storage(state);
            }
            blob = storage_blob(storage, "a", &digest, NULL);
            assert_non_null(blob);
        }
        guint64 offset = (guint64)g_rand_int_range(random, 0, (gint)bytes->len);
        gsize size = (gsize)g_rand_int_range(random, 1, i % 3 == 0 ? 1000000 : 300);
        size = MIN(size, bytes->len - offset);
        int fd;
        guint64 at;
        if (i % 2 == 0) {
            assert_true(read_range(blob, offset, got, size, NULL));
        } else if (storage_blob_run(blob, offset, size, &fd, &at)) {
            assert_int_equal(pread(fd, got, size, (off_t)at), size);
            close(fd);
        } else {
            size = storage_blob_read_at_once(blob, offset, got, size);
        }
        assert_memory_equal(got, bytes->data + offset, size);
    }
    assert_int_equal(storage_blob_read(blob, bytes->len, got, 1, NULL), 0);
    assert_int_equal(storage_blob_read(blob, bytes->len + 5, got, 1, NULL), 0);
    int fd;
    guint64 at;
    assert_true(read_range(blob, 0, got, bytes->len, NULL));
    assert_false(storage_blob_run(blob, bytes->len - 1, 2, &fd, &at));
    assert_false(storage_blob_run(blob, 0, bytes->len, &fd, &at)); /* it stands in two packs */
    memset(got, 0, bytes->len);
    assert_int_equal(storage_blob_read_at_once(blob, 0, got, bytes->len), bytes->len);
    assert_memory_equal(got, bytes->data, bytes->len);
    assert_int_equal(storage_blob_read_at_once(blob, bytes->len - 1, got, 2), 1);
    assert_int_equal(storage_blob_read_at_once(blob, bytes->len, got, 1), 0);
    assert_true(storage_blob_run(blob, bytes->len - 10, 10, &fd, &at));
    close(fd);
}

/* --- uploads --- */

/* Broken off anywhere, gone on with by another process: only what was in the middle of a piece has to come again. */
static void uploads_go_on_after_a_restart(void **state)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (guint kind = 4; kind < SHAPES; kind++) {
        g_autoptr(GByteArray) bytes = shape(kind);
        g_autoptr(Storage) storage = open_storage(state);
        g_autofree char *id = begin_upload(storage, NULL);
        guint64 at = 0;
        for (guint stop = 1; stop <= 3; stop++) {
            guint64 back = (guint64)g_rand_int_range(random, 0, 1000), part = bytes->len * stop / 3;
            guint64 to = MAX(at, part > back ? part - back : 0);
            assert_true(add_steps(storage, id, bytes, at, to, 50000, NULL));
            if (stop == 2) {
                storage_upload_pause(storage, id);
            }
            storage_close(g_steal_pointer(&storage));
            storage = open_storage(state);
            assert_true(storage_upload_size(storage, id, &at, NULL));
            assert_true(at <= to && to - at < PIECE_MAX);
        }
        assert_true(add_steps(storage, id, bytes, at, bytes->len, 1000, NULL));
        IngotDigest digest = digest_of(bytes);
        g_autoptr(GError) error = NULL;
        if (!storage_upload_finish(storage, NULL, id, 0, "a", &digest, &error)) {
            fail_msg("shape %u: %s", kind, error->message);
        }
        pull(storage, "a", bytes);
        assert_clean(storage);
    }
}

/* Another client pushes the same while an upload rests: what was new to it is not any more. */
static void uploads_go_on_beside_the_same(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000), some = frames(10, 3, 60000);
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len - 100, 50000, NULL));
    push(storage, "b", some);
    storage_close(g_steal_pointer(&storage));
    storage = open_storage(state);
    guint64 at;
    assert_true(storage_upload_size(storage, id, &at, NULL));
    assert_true(bytes->len - at < 70000);
    assert_true(add_steps(storage, id, bytes, at, bytes->len, 50000, NULL));
    IngotDigest digest = digest_of(bytes);
    assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
    pull(storage, "a", bytes);
    assert_int_equal(stats_of(storage).stored, bytes->len);
    assert_clean(storage);
}

/* A file of an upload that is not what its list says: it goes on from before that. */
static void a_damaged_upload_goes_back(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000);
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 50000, NULL));
    storage_close(g_steal_pointer(&storage));
    g_autofree char *name = g_strdup_printf("data/uploads/%s.pack", id);
    g_autofree char *path = ingot_workdir_file(*state, name);
    flip(path, 500000);
    storage = open_storage(state);
    guint64 at;
    assert_true(storage_upload_size(storage, id, &at, NULL));
    assert_true(at > 430000 && at <= 500000);
    assert_true(add_steps(storage, id, bytes, at, bytes->len, 50000, NULL));
    IngotDigest digest = digest_of(bytes);
    assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
    pull(storage, "a", bytes);
}

/* A client that tells its frames may cut a blob in another way than its bytes tell: it is one blob all the same. */
static void other_cuts_of_the_same(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 50, 60000), list = g_byte_array_new(), missing = g_byte_array_new();
    for (guint at = 0; at < bytes->len; at += 50000) {
        IngotDigest digest;
        guint32 length = MIN(50000, bytes->len - at), little = GUINT32_TO_LE(length);
        ingot_digest_of(bytes->data + at, length, &digest);
        g_byte_array_append(list, digest.bytes, sizeof digest.bytes);
        g_byte_array_append(list, (const guint8 *)&little, sizeof little);
    }
    g_autofree char *id = begin_upload(storage, NULL);
    IngotDigest digest = digest_of(bytes);
    assert_true(storage_upload_offer(storage, id, list->data, list->len, NULL, NULL, missing, NULL));
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 70000, NULL));
    assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
    pull(storage, "a", bytes);
    guint64 packed = stats_of(storage).packed, pieces = stats_of(storage).pieces;
    push(storage, "b", bytes);
    assert_int_equal(stats_of(storage).packed, packed);
    assert_int_equal(stats_of(storage).pieces, pieces);
    pull(storage, "b", bytes);
    assert_clean(storage);
}

/* Offers the bytes as frames of 50000, and sends those that are missing. */
static gboolean try_push_cut(Storage *storage, const GByteArray *bytes, GError **error)
{
    g_autoptr(GByteArray) list = g_byte_array_new(), missing = g_byte_array_new();
    g_autofree char *id = begin_upload(storage, error);
    IngotDigest digest = digest_of(bytes);
    guint64 size = 0;
    for (guint at = 0; at < bytes->len; at += 50000) {
        IngotDigest piece;
        guint32 length = MIN(50000, bytes->len - at), little = GUINT32_TO_LE(length);
        ingot_digest_of(bytes->data + at, length, &piece);
        g_byte_array_append(list, piece.bytes, sizeof piece.bytes);
        g_byte_array_append(list, (const guint8 *)&little, sizeof little);
    }
    if (!storage_upload_offer(storage, id, list->data, list->len, NULL, NULL, missing, error)) {
        return FALSE;
    }
    for (guint i = 0; i < list->len / 36; i++) {
        guint length = MIN(50000, bytes->len - i * 50000);
        if ((missing->data[i / 8] & (1u << (i % 8))) != 0) {
            if (!storage_upload_add(storage, id, 0, size, bytes->data + i * 50000, length, error)) {
                return FALSE;
            }
            size += length;
        }
    }
    return storage_upload_finish(storage, NULL, id, 0, "a", &digest, error);
}

static void push_cut(Storage *storage, const GByteArray *bytes, gboolean offered)
{
    g_autoptr(GError) error = NULL;
    if (!(offered ? try_push_cut(storage, bytes, &error) : try_push(storage, "a", bytes, 70000, &error))) {
        fail_msg("%s", error->message);
    }
}

static void scrub(Storage *storage)
{
    ScrubReport report;
    const ScrubOptions options = {0};
    assert_true(storage_scrub(storage, &options, &report, NULL));
}

static void lose_packs(void **state);

/* A blob that is damaged, or has rotted and nobody knows, or whose pack is lost, is mended by a push of the same bytes
 * however they are cut; who holds it goes on; and a rebuild takes the cut that is whole. */
static void another_cut_mends_the_same(void **state)
{
    g_autoptr(GByteArray) bytes = frames(1, 50, 60000), part = noise(1, 0);
    g_byte_array_append(part, bytes->data + 100000, 4000);
    for (guint kind = 0; kind < 12; kind++) {
        gboolean first = kind % 2 == 1, known = kind / 2 % 2 == 1, alike = kind >= 4 && kind < 8, lost = kind >= 8;
        g_autoptr(Storage) storage = open_storage(state);
        push_cut(storage, bytes, first);
        IngotDigest digest = digest_of(bytes);
        put_manifest(storage, "a", "1.0.0", "names it", &digest, 1);
        g_autoptr(StorageBlob) held = storage_blob(storage, "a", &digest, NULL);
        guint8 got[1000];
        if (lost) {
            lose_packs(state);
        } else {
            damage(state, part, 100);
        }
        if (alike) { /* the other cut's pieces are here already: another blob has some of them */
            g_autoptr(GByteArray) more = g_byte_array_new();
            g_byte_array_append(more, bytes->data, 50000 * (bytes->len / 100000));
            add_bytes(more, noise(7, 1000));
            push_cut(storage, more, !first);
        }
        if (known) {
            scrub(storage);
        }
        push_cut(storage, bytes, !first);
        put_manifest(storage, "a", "1.0.0", "names it", &digest, 1);
        pull(storage, "a", bytes);
        assert_true(read_range(held, 100000, got, sizeof got, NULL));
        assert_memory_equal(got, bytes->data + 100000, sizeof got);
        g_clear_pointer(&held, storage_blob_unref);
        g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
        assert_false(storage_blob_damaged(blob));
        g_clear_pointer(&blob, storage_blob_unref);
        storage_close(g_steal_pointer(&storage));
        g_autofree char *data = ingot_workdir_file(*state, "data");
        g_autoptr(GError) error = NULL;
        RebuildReport report;
        if (!storage_rebuild(data, &(RebuildOptions){0}, &report, &error)) {
            fail_msg("%s", error->message);
        }
        storage = open_storage(state);
        pull(storage, "a", bytes);
        collect_all(storage);
        pull(storage, "a", bytes);
        storage_close(g_steal_pointer(&storage));
        assert_true(ingot_file_remove_tree(data, NULL));
    }
}

/* Nor does a second one: the right one is as good as ever. */
static void a_wrong_digest_drops_nothing(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 50, 60000), other = noise(2, 10);
    IngotDigest wrong = digest_of(other), right = digest_of(bytes);
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 100000, NULL));
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        guint64 size;
        assert_false(storage_upload_finish(storage, NULL, id, 0, "a", &wrong, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_true(storage_upload_size(storage, id, &size, NULL));
        assert_int_equal(size, bytes->len);
    }
    assert_false(storage_has(storage, "a", &wrong));
    assert_int_equal(packed_bytes(state), 0);
    assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &right, NULL));
    pull(storage, "a", bytes);
    assert_int_equal(stats_of(storage).uploads, 0);
}

/* Offers the bytes, and sends the frames that are missing; how many they were. */
static guint offer_and_send(Storage *storage, const char *id, const GByteArray *bytes)
{
    g_autoptr(GByteArray) list = list_of(bytes, 60000), missing = g_byte_array_new();
    guint64 at = 0;
    guint sent = 0;
    assert_true(storage_upload_offer(storage, id, list->data, list->len, NULL, NULL, missing, NULL));
    for (guint i = 0; i < list->len / 36; i++) {
        if ((missing->data[i / 8] & (1u << (i % 8))) != 0) {
            guint length = MIN(60000, bytes->len - i * 60000);
            assert_true(storage_upload_add(storage, id, 0, at, bytes->data + i * 60000, length, NULL));
            at += length;
            sent++;
        }
    }
    return sent;
}

/* An offer of known frames, new ones and repeated ones: hashed as it comes, and a wrong digest drops nothing of it. */
static void offers_are_hashed_as_they_come(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 1200000), all = noise(2, 1200000), other = noise(3, 10);
    g_byte_array_append(all, known->data, known->len);
    add_bytes(all, noise(2, 600000)); /* once more what comes first */
    add_bytes(all, noise(4, 100));
    IngotDigest right = digest_of(all), wrong = digest_of(other);
    g_autofree char *first = begin_upload(storage, NULL), *id = begin_upload(storage, NULL);
    IngotDigest one = digest_of(known);
    assert_int_equal(offer_and_send(storage, first, known), 20);
    assert_true(storage_upload_finish(storage, NULL, first, 0, "a", &one, NULL));
    assert_int_equal(offer_and_send(storage, id, all), 21);
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        assert_false(storage_upload_finish(storage, NULL, id, 0, "a", &wrong, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    }
    assert_false(storage_upload_add(storage, id, 0, 20 * 60000 + 100, "more", 4, NULL));
    g_autoptr(GError) error = NULL;
    if (!storage_upload_finish(storage, NULL, id, 0, "a", &right, &error)) {
        fail_msg("%s", error->message);
    }
    pull(storage, "a", all);
    assert_clean(storage);
}

/* A frame that is here and damaged does not make a blob: it is missing in the next offer, which mends it. */
static void an_offer_counts_on_no_damaged_frame(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 600000), all = noise(2, 600000), piece = noise(1, 60000);
    g_byte_array_append(all, known->data, known->len);
    IngotDigest digest = digest_of(all), one = digest_of(known);
    g_autofree char *first = begin_upload(storage, NULL), *id = begin_upload(storage, NULL);
    assert_int_equal(offer_and_send(storage, first, known), 10);
    assert_true(storage_upload_finish(storage, NULL, first, 0, "a", &one, NULL));
    damage(state, piece, 1000);
    assert_int_equal(offer_and_send(storage, id, all), 10);
    g_autoptr(GError) error = NULL;
    assert_false(storage_upload_finish(storage, NULL, id, 0, "a", &digest, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    g_autofree char *again = begin_upload(storage, NULL);
    assert_int_equal(offer_and_send(storage, again, all), 11);
    assert_true(storage_upload_finish(storage, NULL, again, 0, "a", &digest, NULL));
    pull(storage, "a", all);
    pull(storage, "a", known);
}

/* Removes all packs, as a disk does that has lost them. */
static void lose_packs(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/packs");
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        assert_int_equal(g_unlink(file), 0);
    }
}

static void put_a_manifest(Storage *storage, const char *text)
{
    g_autoptr(GArray) mentions = mentions_read(NULL);
    IngotDigest digest;
    const StorageManifest manifest = {.data = text, .size = strlen(text), .type = "text/plain", .mentions = mentions};
    assert_true(storage_put_manifest(storage, "a", &manifest, &digest, NULL));
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, "a", &digest, &type, NULL);
    assert_non_null(bytes);
    assert_memory_equal(g_bytes_get_data(bytes, NULL), text, strlen(text));
}

/* Bytes that come again replace those that rotted on the disk, or were lost with their pack, though nobody has read
 * them since: the same blob, another one that shares pieces with it, and manifests. */
static void a_push_mends_what_nobody_has_read(void **state)
{
    static const char text[] = "a manifest that is pushed again";
    g_autoptr(GByteArray) bytes = frames(1, 20, 60000), piece = frames(5, 1, 60000), other = frames(3, 10, 60000);
    g_autoptr(GByteArray) manifest = g_byte_array_new();
    g_byte_array_append(manifest, (const guint8 *)text, sizeof text - 1);
    for (guint kind = 0; kind < 6; kind++) {
        g_autoptr(Storage) storage = open_storage(state);
        push(storage, "a", bytes);
        put_a_manifest(storage, text);
        if (kind % 2 == 1) { /* what is remembered of pieces is so of files as they were */
            push(storage, "b", bytes);
            put_a_manifest(storage, text);
        }
        if (kind < 4) {
            damage(state, piece, 1000);
            damage(state, manifest, 3);
        } else {
            lose_packs(state);
        }
        if (kind == 2 || kind == 3) {
            push(storage, "a", other);
            pull(storage, "a", other);
        } else {
            push(storage, "a", bytes);
        }
        put_a_manifest(storage, text);
        pull(storage, "a", bytes);
        if (kind < 4) { /* a lost pack is missing until gc */
            assert_clean(storage);
        }
        storage_close(g_steal_pointer(&storage));
        g_autofree char *path = ingot_workdir_file(*state, "data");
        assert_true(ingot_file_remove_tree(path, NULL));
    }
}

/* A piece that an upload counts on and that turns out to be damaged before its end: it makes no blob, and the next push
 * of the same bytes does. */
static void a_piece_rots_beneath_an_upload(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 20, 60000), piece = frames(5, 1, 60000), other = frames(3, 10, 60000);
    g_autoptr(GError) error = NULL;
    push(storage, "a", bytes);
    IngotDigest digest = digest_of(other);
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(add_steps(storage, id, other, 0, other->len, 70000, NULL));
    damage(state, piece, 1000);
    assert_false(try_pull(storage, "a", bytes, NULL));
    assert_false(storage_upload_finish(storage, NULL, id, 0, "a", &digest, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    push(storage, "a", other);
    pull(storage, "a", other);
    pull(storage, "a", bytes);
    assert_clean(storage);
}

/* Of two requests that bring the same bytes, each byte is taken once; what belongs elsewhere is refused and harms none.
 */
static void bytes_go_where_they_belong(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 300000);
    IngotDigest digest = digest_of(bytes);
    g_autofree char *id = begin_upload(storage, NULL);
    for (guint64 at = 0; at < bytes->len; at += 1000) {
        g_autoptr(GError) error = NULL;
        assert_true(storage_upload_add(storage, id, 0, at, bytes->data + at, 1000, NULL));
        assert_false(storage_upload_add(storage, id, 0, at, bytes->data + at, 1000, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
        assert_false(storage_upload_add(storage, id, 0, at + 2000, bytes->data, 1000, NULL));
    }
    assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
    pull(storage, "a", bytes);
}

/* As it is read, whatever of it has to come: an offer is refused before a byte does. */
static void no_larger_than_a_blob_may_be(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) list = g_byte_array_new(), missing = g_byte_array_new(), bytes = noise(1, 100001);
    storage_limit(storage, &(StorageLimits){.blob = 100000, .uploads = 2});
    IngotDigest digest = digest_of(bytes);
    for (guint i = 0; i < 101; i++) {
        guint32 little = GUINT32_TO_LE(1000);
        g_byte_array_append(list, digest.bytes, sizeof digest.bytes);
        g_byte_array_append(list, (const guint8 *)&little, sizeof little);
    }
    g_autofree char *id = begin_upload(storage, NULL), *other = begin_upload(storage, NULL);
    g_autoptr(GError) error = NULL;
    assert_false(storage_upload_offer(storage, id, list->data, list->len, NULL, NULL, missing, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    g_clear_error(&error);
    assert_true(storage_upload_offer(storage, id, list->data, list->len - 36, NULL, NULL, missing, NULL));
    assert_false(add_steps(storage, other, bytes, 0, bytes->len, 30000, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    g_clear_error(&error);
    assert_null(begin_upload(storage, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
    assert_true(storage_upload_drop(storage, id, NULL));
    g_autofree char *third = begin_upload(storage, NULL);
    assert_non_null(third);
}

/* What an offer lacks counts for the limit of all before it comes, and no longer than the upload is there. */
static void an_offer_sets_its_room_aside(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) list = g_byte_array_new(), missing = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    storage_limit(storage, &(StorageLimits){.total = 100000, .repository = 150000});
    for (guint i = 0; i < 60; i++) {
        IngotDigest digest;
        guint32 little = GUINT32_TO_LE(1000);
        ingot_digest_of(&i, sizeof i, &digest);
        g_byte_array_append(list, digest.bytes, sizeof digest.bytes);
        g_byte_array_append(list, (const guint8 *)&little, sizeof little);
    }
    g_autofree char *id = begin_upload(storage, NULL), *other = begin_upload(storage, NULL);
    assert_true(storage_upload_offer(storage, id, list->data, list->len, NULL, NULL, missing, NULL));
    assert_false(storage_upload_offer(storage, other, list->data, list->len, NULL, NULL, missing, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE));
    assert_true(storage_upload_drop(storage, id, NULL));
    assert_true(storage_upload_offer(storage, other, list->data, list->len, NULL, NULL, missing, NULL));
    assert_true(storage_upload_drop(storage, other, NULL));
    g_autoptr(GByteArray) bytes = noise(1, 90000);
    push(storage, "a", bytes);
    g_clear_error(&error);
    assert_true(storage_has_quota(storage, "a", 60000, NULL));
    assert_false(storage_has_quota(storage, "a", 60001, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    assert_true(storage_has_quota(storage, "b", 150000, NULL));
    assert_false(storage_has_quota(storage, "b", G_MAXUINT64, NULL));
}

static void unknown_uploads(void **state)
{
    static const char *const ids[] = {"", "x", "../data", "5e0b9a4e-9b0d-4f0e-8f3c-2f6f4a1f4a10"};
    g_autoptr(Storage) storage = open_storage(state);
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
        guint64 size;
        assert_false(storage_upload_size(storage, ids[i], &size, NULL));
        assert_false(storage_upload_add(storage, ids[i], 0, 0, "x", 1, NULL));
        assert_false(storage_upload_drop(storage, ids[i], NULL));
        storage_upload_pause(storage, ids[i]);
    }
}

/* A crash came when the upload's file was a pack already: nobody goes on with it, and the pack stays as it is. */
static void a_file_that_is_a_pack_is_not_written_to(void **state)
{
    g_autoptr(GByteArray) bytes = noise(1, 100000);
    IngotDigest digest = digest_of(bytes);
    g_autofree char *id = NULL, *pack = ingot_workdir_file(*state, "data/packs/7.pack");
    {
        g_autoptr(Storage) storage = open_storage(state);
        id = begin_upload(storage, NULL);
        assert_true(storage_upload_add(storage, id, 0, 0, bytes->data, bytes->len, NULL));
    }
    g_autofree char *name = g_strdup_printf("data/uploads/%s.pack", id);
    g_autofree char *path = ingot_workdir_file(*state, name);
    assert_int_equal(link(path, pack), 0);
    g_autoptr(GBytes) before = ingot_file_read(pack, 1 << 20, NULL);
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GError) error = NULL;
    assert_false(storage_upload_add(storage, id, 0, 100000, "more", 4, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_false(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
    g_autoptr(GBytes) after = ingot_file_read(pack, 1 << 20, NULL);
    assert_true(g_bytes_equal(before, after));
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* What comes for an upload that somebody else ends meanwhile goes nowhere, least of all into the pack that it is. */
typedef struct {
    Storage *storage;
    const char *id;
    const GByteArray *bytes;
    gint stop;
} Intruder;

static gpointer add_and_finish(gpointer user)
{
    Intruder *intruder = user;
    IngotDigest digest = digest_of(intruder->bytes);
    while (g_atomic_int_get(&intruder->stop) == 0) {
        if (!storage_upload_finish(intruder->storage, NULL, intruder->id, 0, "a", &digest, NULL)) {
            break;
        }
    }
    return NULL;
}

static gpointer add_more(gpointer user)
{
    Intruder *intruder = user;
    g_autoptr(GByteArray) more = noise(7, 400000);
    guint64 at;
    while (g_atomic_int_get(&intruder->stop) == 0 && storage_upload_size(intruder->storage, intruder->id, &at, NULL)) {
        storage_upload_add(intruder->storage, intruder->id, 0, at, more->data, more->len, NULL);
    }
    return NULL;
}

static void an_upload_ends_once(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    for (guint i = 0; i < 30; i++) {
        g_autoptr(GByteArray) bytes = noise(i, 1500000);
        g_autofree char *id = begin_upload(storage, NULL);
        Intruder intruder = {.storage = storage, .id = id, .bytes = bytes};
        assert_true(add_steps(storage, id, bytes, 0, bytes->len, 500000, NULL));
        GThread *threads[4];
        for (guint k = 0; k < G_N_ELEMENTS(threads); k++) {
            threads[k] = g_thread_new("intruder", k < 2 ? add_and_finish : add_more, &intruder);
        }
        g_thread_join(threads[0]);
        g_thread_join(threads[1]);
        g_atomic_int_set(&intruder.stop, 1);
        g_thread_join(threads[2]);
        g_thread_join(threads[3]);
        storage_upload_drop(storage, id, NULL);
        IngotDigest digest = digest_of(bytes);
        if (storage_has(storage, "a", &digest)) {
            pull(storage, "a", bytes);
        }
    }
    assert_clean(storage);
}

/* --- names --- */

static void a_mount_shows_it_elsewhere(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 5000);
    g_autoptr(GError) error = NULL;
    IngotDigest digest = push(storage, "a", bytes);
    assert_false(storage_has(storage, "b", &digest));
    assert_null(storage_blob(storage, "b", &digest, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    g_clear_error(&error);
    assert_false(storage_mount(storage, NULL, "c", "b", &digest, &error));
    assert_null(error);
    assert_true(storage_mount(storage, NULL, "a", "b", &digest, NULL));
    pull(storage, "b", bytes);
    g_auto(GStrv) holders = storage_holders(storage, &digest, NULL);
    assert_int_equal(g_strv_length(holders), 2);
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    assert_false(storage_remove_blob(storage, NULL, "a", &digest, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_false(storage_has(storage, "a", &digest));
    pull(storage, "b", bytes);
}

/* What is damaged satisfies no push: neither a mount, nor a manifest that is new to its repository. One that is there
 * already may get another tag. */
static void what_is_damaged_is_pushed_again(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 10, 60000), other = noise(2, 5000);
    IngotDigest digest = push(storage, "a", bytes), whole = push(storage, "a", other), ignored;
    g_autoptr(GError) error = NULL;
    put_manifest(storage, "a", "1.0.0", "first", &digest, 1);
    damage(state, bytes, 100000);
    scrub(storage);
    assert_false(storage_mount(storage, NULL, "a", "b", &digest, &error));
    assert_null(error);
    assert_true(storage_mount(storage, NULL, "a", "b", &whole, NULL));
    assert_false(try_manifest(storage, "a", "dev", "second", &digest, 1, NULL, &ignored, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    put_manifest(storage, "a", "dev", "first", &digest, 1);
    put_manifest(storage, "a", "dev", "third", &whole, 1);
    push(storage, "a", bytes);
    assert_true(storage_mount(storage, NULL, "a", "b", &digest, NULL));
    put_manifest(storage, "a", "dev", "second", &digest, 1);
    pull(storage, "b", bytes);
}

static void assert_tag(Storage *storage, const char *name, const char *tag, const IngotDigest *wanted)
{
    IngotDigest found;
    gboolean there = storage_find_tag(storage, name, tag, &found, NULL);
    assert_int_equal(there, wanted != NULL);
    if (there) {
        assert_memory_equal(&found, wanted, sizeof found);
    }
}

static void tags_name_manifests(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 5000);
    IngotDigest blob = push(storage, "a", bytes), lacking;
    ingot_digest_of("nothing", 7, &lacking);
    IngotDigest first = put_manifest(storage, "a", "1.0.0", "first", &blob, 1), ignored;
    IngotDigest second = put_manifest(storage, "a", "dev", "second", &blob, 1);
    g_autoptr(GError) error = NULL;
    assert_false(try_manifest(storage, "a", "dev", "third", &lacking, 1, NULL, &ignored, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_false(storage_has(storage, "a", &ignored));
    assert_false(try_manifest(storage, "b", "dev", "second", &blob, 1, NULL, &ignored, NULL));
    assert_null(storage_tags(storage, "b", NULL));
    assert_tag(storage, "a", "dev", &second);
    put_manifest(storage, "a", "dev", "first", &blob, 1);
    storage_close(g_steal_pointer(&storage));
    storage = open_storage(state);
    assert_tag(storage, "a", "dev", &first);
    g_auto(GStrv) tags = storage_tags(storage, "a", NULL), names = storage_repositories(storage, NULL);
    assert_int_equal(g_strv_length(tags), 2);
    assert_string_equal(names[0], "a");
    assert_null(names[1]);
    g_autofree char *type = NULL;
    g_autoptr(GBytes) manifest = storage_manifest(storage, "a", &second, &type, NULL);
    assert_non_null(strstr(g_bytes_get_data(manifest, NULL), "second"));
    assert_string_equal(type, "application/vnd.oci.image.manifest.v1+json");
    assert_false(storage_remove_manifest(storage, NULL, "a", &blob, NULL)); /* it is none */
    assert_true(storage_remove_tag(storage, NULL, "a", "dev", NULL));
    assert_false(storage_remove_tag(storage, NULL, "a", "dev", NULL));
    assert_true(storage_has_manifest(storage, "a", &first));
    assert_true(storage_remove_manifest(storage, NULL, "a", &first, NULL));
    assert_tag(storage, "a", "1.0.0", NULL);
    assert_true(storage_has_manifest(storage, "a", &second));
    assert_clean(storage);
}

static void referrers_are_found_by_their_subject(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest later, attached;
    ingot_digest_of("{\"layers\":[],\"text\":\"subject\"}", 30, &later);
    assert_true(try_manifest(storage, "a", NULL, "attached", NULL, 0, &later, &attached, NULL));
    IngotDigest subject = put_manifest(storage, "a", "1.0.0", "subject", NULL, 0);
    assert_memory_equal(&later, &subject, sizeof later); /* the subject may come after it */
    g_autoptr(GArray) list = storage_referrers(storage, "a", &subject, NULL, NULL, 10, NULL);
    assert_int_equal(list->len, 1);
    assert_memory_equal(&g_array_index(list, StorageReferrer, 0).digest, &attached, sizeof attached);
    g_autoptr(GArray) none = storage_referrers(storage, "b", &subject, NULL, NULL, 10, NULL);
    assert_int_equal(none->len, 0);
    assert_true(storage_remove_manifest(storage, NULL, "a", &attached, NULL));
    g_autoptr(GArray) gone = storage_referrers(storage, "a", &subject, NULL, NULL, 10, NULL);
    assert_int_equal(gone->len, 0);
}

/* --- limits --- */

static void no_more_than_the_total(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.total = 5000000});
    g_autoptr(GByteArray) first = noise(1, 3000000), second = noise(2, 3000000), small = noise(3, 500000);
    g_autoptr(GError) error = NULL;
    IngotDigest digest = push(storage, "a", first);
    assert_false(try_push(storage, "a", second, 100000, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE));
    assert_int_equal(stats_of(storage).uploads, 0);
    assert_true(packed_bytes(state) < 3100000);
    push(storage, "a", small);
    push(storage, "b", first); /* takes no room */
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL) &&
                storage_remove_blob(storage, NULL, "b", &digest, NULL));
    collect_all(storage);
    push(storage, "a", second);
    pull(storage, "a", second);
}

/* What has come of uploads counts, also after a restart, until they end. */
static void uploads_count_for_the_total(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    const StorageLimits limits = {.total = 5000000};
    storage_limit(storage, &limits);
    g_autoptr(GByteArray) first = noise(1, 4000000), second = noise(2, 3000000);
    g_autoptr(GError) error = NULL;
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(add_steps(storage, id, first, 0, first->len, 500000, NULL));
    assert_false(try_push(storage, "a", second, 100000, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE));
    g_clear_error(&error);
    storage_close(g_steal_pointer(&storage));
    storage = open_storage(state);
    storage_limit(storage, &limits);
    assert_false(try_push(storage, "a", second, 100000, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE));
    assert_true(storage_upload_drop(storage, id, NULL));
    push(storage, "a", second);
}

typedef struct {
    Storage *storage;
    guint32 seed;
} Pusher;

static gpointer push_noise(gpointer user)
{
    const Pusher *pusher = user;
    g_autoptr(GByteArray) bytes = noise(pusher->seed, 2000000);
    return GUINT_TO_POINTER(try_push(pusher->storage, "a", bytes, 500000, NULL));
}

/* Those that come to their end together are counted together. */
static void many_at_once_get_no_more_than_the_total(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.total = 5000000});
    for (guint round = 0; round < 5; round++) {
        Pusher pushers[6];
        GThread *threads[G_N_ELEMENTS(pushers)];
        guint done = 0;
        for (guint i = 0; i < G_N_ELEMENTS(pushers); i++) {
            pushers[i] = (Pusher){.storage = storage, .seed = round * 10 + i};
            threads[i] = g_thread_new("pusher", push_noise, &pushers[i]);
        }
        for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
            done += GPOINTER_TO_UINT(g_thread_join(threads[i]));
        }
        assert_true(done <= 2);
        assert_true(packed_bytes(state) <= 5000000);
        for (guint i = 0; i < G_N_ELEMENTS(pushers); i++) {
            g_autoptr(GByteArray) bytes = noise(pushers[i].seed, 2000000);
            IngotDigest digest = digest_of(bytes);
            storage_remove_blob(storage, NULL, "a", &digest, NULL);
        }
        collect_all(storage);
    }
}

static void no_more_than_a_repositorys_quota(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.repository = 5000000});
    g_autoptr(GByteArray) first = noise(1, 3000000), second = noise(2, 3000000);
    g_autoptr(GError) error = NULL;
    IngotDigest digest = push(storage, "a", first);
    push(storage, "a", first); /* is there */
    for (guint i = 0; i < 3; i++) {
        assert_false(try_push(storage, "a", second, 100000, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
        g_clear_error(&error);
    }
    assert_true(packed_bytes(state) < 3100000); /* who is refused fills no disk */
    IngotDigest other = push(storage, "b", second);
    assert_false(storage_mount(storage, NULL, "b", "a", &other, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    assert_true(storage_mount(storage, NULL, "b", "a", &other, NULL));
    pull(storage, "a", second);
    assert_clean(storage);
}

/* A quota that was lowered below what is there lets names of what is there move. */
static void a_lower_quota_keeps_no_name_where_it_is(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 3000000);
    g_autoptr(GError) error = NULL;
    IngotDigest digest = push(storage, "a", bytes), ignored;
    put_manifest(storage, "a", "1.0.0", "first", &digest, 1);
    put_manifest(storage, "a", "prod", "second", &digest, 1);
    storage_limit(storage, &(StorageLimits){.repository = 1000000});
    put_manifest(storage, "a", "prod", "first", &digest, 1);
    push(storage, "a", bytes);
    assert_false(try_manifest(storage, "a", "prod", "third", &digest, 1, NULL, &ignored, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
}

/* --- many at once --- */

#define CROWD 6

typedef struct {
    Storage *storage;
    guint number;
    gint *failed;
} Member;

/* Each pushes the same blobs in an order of its own, reads them, and names them. */
static gpointer push_all(gpointer user)
{
    const Member *member = user;
    g_autofree char *name = g_strdup_printf("crowd/%u", member->number % 3);
    for (guint i = 0; i < 12; i++) {
        guint which = (i * 5 + member->number * 7) % 12;
        g_autoptr(GByteArray) bytes = which < 6 ? frames(which * 100, 8, 25000) : frames(which * 100, 3, 700000);
        g_autofree char *text = g_strdup_printf("%u", which);
        IngotDigest digest = digest_of(bytes), ignored;
        g_autoptr(GError) error = NULL;
        if (!try_push(member->storage, name, bytes, 90000, &error) || !try_pull(member->storage, name, bytes, &error) ||
            !try_manifest(member->storage, name, "dev", text, &digest, 1, NULL, &ignored, &error)) {
            g_atomic_int_inc(member->failed);
            g_printerr("%s: %u: %s\n", name, which, error == NULL ? "other bytes" : error->message);
        }
    }
    return NULL;
}

static void many_push_the_same(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    Member members[CROWD];
    GThread *threads[CROWD];
    gint failed = 0;
    for (guint i = 0; i < CROWD; i++) {
        members[i] = (Member){.storage = storage, .number = i, .failed = &failed};
        threads[i] = g_thread_new("member", push_all, &members[i]);
    }
    for (guint i = 0; i < CROWD; i++) {
        g_thread_join(threads[i]);
    }
    assert_int_equal(failed, 0);
    assert_clean(storage);
    StorageStats stats = stats_of(storage);
    assert_int_equal(stats.blobs, 12 + 12);
    /* Who lost a race wrote nothing twice. */
    assert_true(stats.packed < stats.stored + 200000);
}

/* --- manifests and tags --- */

static gboolean try_tag(Storage *storage, const char *text, gboolean fixed, gboolean only_new,
                        const IngotDigest *expected, IngotDigest *digest)
{
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    g_autoptr(GError) error = NULL;
    static const StorageActor tester = {.name = "tester", .reason = "to see \"it\""};
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .tag = "1.0.0",
                                      .mentions = none,
                                      .actor = &tester,
                                      .fixed = fixed,
                                      .only_new = only_new,
                                      .expected = expected};
    gboolean ok = storage_put_manifest(storage, "a", &manifest, digest, &error);
    assert_true(ok || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
    return ok;
}

/* What is refused leaves nothing behind. */
static void tags_move_as_is_expected(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest a, b, found, refused;
    assert_false(try_tag(storage, "{\"a\":1}", FALSE, FALSE, &(IngotDigest){0}, &refused)); /* it is not there */
    assert_true(try_tag(storage, "{\"a\":1}", TRUE, TRUE, NULL, &a));
    assert_true(try_tag(storage, "{\"a\":1}", TRUE, FALSE, NULL, &a));
    assert_false(try_tag(storage, "{\"a\":1}", FALSE, TRUE, NULL, &refused));
    assert_false(try_tag(storage, "{\"b\":1}", TRUE, FALSE, NULL, &refused));
    assert_false(storage_has_manifest(storage, "a", &refused));
    assert_true(try_tag(storage, "{\"b\":1}", FALSE, FALSE, &a, &b));
    assert_false(try_tag(storage, "{\"c\":1}", FALSE, FALSE, &a, &refused));
    assert_true(storage_find_tag(storage, "a", "1.0.0", &found, NULL));
    assert_true(ingot_digest_equal(&found, &b));
    assert_clean(storage);
}

/* Who asks for the same manifest shares its bytes, until the tag moves; and no more is remembered than there is room
 * for. */
static void manifests_are_remembered_until_they_change(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) text = g_string_new("{\"a\":\"");
    g_autoptr(GPtrArray) digests = g_ptr_array_new_with_free_func(g_free);
    IngotDigest digest;
    assert_null(kept_manifest_find(storage, "a", "1.0.0", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    g_clear_error(&error);
    assert_null(kept_manifest_find(storage, "a", "sha256:0", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    for (guint i = 0; i < KEPT_MANIFESTS_MAX / (4u << 20) + 1; i++) { /* each a little longer, 4 MiB at most */
        g_string_append_c(text, 'a');
        g_autofree char *padding = g_strnfill((4u << 20) - 64, 'x');
        g_autofree char *whole = g_strconcat(text->str, padding, "\"}", NULL);
        assert_true(try_tag(storage, whole, FALSE, FALSE, NULL, &digest));
        assert_null(kept_manifest_ready(storage, "a", "1.0.0"));
        g_autoptr(KeptManifest) first = kept_manifest_find(storage, "a", "1.0.0", NULL);
        g_autoptr(KeptManifest) second = kept_manifest_ready(storage, "a", "1.0.0");
        assert_non_null(first);
        assert_ptr_equal(first, second);
        assert_true(ingot_digest_equal(&second->digest, &digest));
        assert_int_equal(g_bytes_get_size(second->bytes), strlen(whole));
        g_ptr_array_add(digests, ingot_digest_to_text(&digest));
    }
    gsize kept = 0;
    for (guint i = 0; i < digests->len; i++) {
        g_autoptr(KeptManifest) found = kept_manifest_find(storage, "a", g_ptr_array_index(digests, i), NULL);
        g_autoptr(KeptManifest) last = kept_manifest_ready(storage, "a", g_ptr_array_index(digests, i));
        assert_ptr_equal(found, last);
    }
    for (guint i = 0; i < digests->len; i++) {
        g_autoptr(KeptManifest) one = kept_manifest_ready(storage, "a", g_ptr_array_index(digests, i));
        kept += one == NULL ? 0 : g_bytes_get_size(one->bytes);
    }
    assert_true(kept > 0 && kept <= KEPT_MANIFESTS_MAX);
    assert_true(storage_remove_tag(storage, NULL, "a", "1.0.0", NULL));
    assert_null(kept_manifest_ready(storage, "a", "1.0.0"));
    assert_null(kept_manifest_find(storage, "a", "1.0.0", NULL));
}

/* Each event of a manifest or a tag says who and why. */
/* Each event says who and why. */
static void events_have_an_actor(void **state)
{
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log"), *text = NULL;
    g_autoptr(Storage) storage = open_storage(state);
    const StorageActor other = {.name = "other"};
    IngotDigest digest;
    assert_true(try_tag(storage, "{\"a\":1}", FALSE, FALSE, NULL, &digest));
    assert_true(storage_remove_tag(storage, &other, "a", "1.0.0", NULL));
    assert_true(storage_remove_manifest(storage, NULL, "a", &digest, NULL));
    ingot_digest_of("bytes", 5, &digest);
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(storage_upload_add(storage, id, 0, 0, "bytes", 5, NULL));
    assert_true(storage_upload_finish(storage, &other, id, 0, "a", &digest, NULL));
    assert_true(storage_mount(storage, &other, "a", "b", &digest, NULL));
    assert_true(g_file_get_contents(log, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
    assert_int_equal(g_strv_length(lines),
                     8); /* link, manifest, who pushed it, tag, untag, unlink; links of an upload and a mount */
    for (guint i = 0; i < 4; i++) {
        assert_non_null(strstr(lines[i], "\"by\":\"tester\""));
        assert_non_null(strstr(lines[i], "\"why\":\"to see \\\"it\\\"\""));
    }
    assert_non_null(strstr(lines[4], "\"by\":\"other\""));
    assert_null(strstr(lines[4], "\"why\""));
    assert_null(strstr(lines[5], "\"by\""));
    assert_non_null(strstr(lines[6], "\"by\":\"other\""));
    assert_non_null(strstr(lines[7], "\"by\":\"other\""));
}

/* What is put again as it was is no event, and no history. */
static void what_changes_nothing_is_no_event(void **state)
{
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log");
    g_autofree char *before = NULL, *after = NULL;
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GHashTable) history = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    IngotDigest digest;
    assert_true(try_tag(storage, "{\"a\":1}", FALSE, FALSE, NULL, &digest));
    assert_true(g_file_get_contents(log, &before, NULL, NULL));
    assert_true(try_tag(storage, "{\"a\":1}", FALSE, FALSE, NULL, &digest));
    assert_true(g_file_get_contents(log, &after, NULL, NULL));
    assert_string_equal(before, after);
    storage_tag_history(storage, "a", "1.0.0", history);
    assert_int_equal(g_hash_table_size(history), 0);
    assert_true(try_tag(storage, "{\"b\":1}", FALSE, FALSE, NULL, &digest));
    storage_tag_history(storage, "a", "1.0.0", history);
    assert_int_equal(g_hash_table_size(history), 1);
}

static IngotDigest put_from(Storage *storage, gboolean cached, const char *tag, const char *text)
{
    g_autoptr(GArray) mentions = mentions_read(NULL);
    IngotDigest digest;
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = "text/plain",
                                      .tag = tag,
                                      .mentions = mentions,
                                      .partial = cached,
                                      .cached = cached};
    assert_true(storage_put_manifest(storage, "a", &manifest, &digest, NULL));
    return digest;
}

/* A tag that an upstream set follows it, until the tag is pushed. */
static void an_upstream_moves_no_tag_that_was_pushed(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    put_from(storage, TRUE, "follows", "{\"one\":1}");
    IngotDigest two = put_from(storage, TRUE, "follows", "{\"two\":1}");
    assert_tag(storage, "a", "follows", &two);
    assert_false(storage_is_pushed(storage, "a", "follows"));
    IngotDigest ours = put_from(storage, FALSE, "stays", "{\"ours\":1}");
    put_from(storage, TRUE, "stays", "{\"two\":1}");
    /* The same bytes under the tag of an upstream are ours from then on; its other tags still follow. */
    put_from(storage, FALSE, "pinned", "{\"two\":1}");
    put_from(storage, TRUE, "pinned", "{\"three\":1}");
    IngotDigest three = put_from(storage, TRUE, "follows", "{\"three\":1}");
    for (guint again = 0; again < 2; again++) {
        assert_tag(storage, "a", "stays", &ours);
        assert_tag(storage, "a", "pinned", &two);
        assert_tag(storage, "a", "follows", &three);
        assert_true(storage_is_pushed(storage, "a", "stays") && storage_is_pushed(storage, "a", "pinned"));
        assert_false(storage_is_pushed(storage, "a", "follows") || storage_is_pushed(storage, "a", "nothing"));
        assert_clean(storage);
        storage_close(g_steal_pointer(&storage));
        g_autofree char *data = ingot_workdir_file(*state, "data");
        RebuildReport report;
        assert_true(storage_rebuild(data, &(RebuildOptions){0}, &report, NULL));
        assert_int_equal(report.lost, 0);
        storage = open_storage(state);
    }
}

static gboolean try_type(Storage *storage, const char *tag, const char *type, gboolean cached, gboolean fixed,
                         gboolean promotes)
{
    static const char text[] = "{\"a\":1}";
    g_autoptr(GArray) mentions = mentions_read(NULL);
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = type,
                                      .tag = tag,
                                      .mentions = mentions,
                                      .partial = cached,
                                      .cached = cached,
                                      .fixed = fixed,
                                      .promotes = promotes};
    gboolean ok = storage_put_manifest(storage, "a", &manifest, &digest, &error);
    assert_true(ok || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
    return ok;
}

static void assert_type(Storage *storage, const char *wanted)
{
    g_autofree char *type = NULL;
    IngotDigest digest;
    ingot_digest_of("{\"a\":1}", 7, &digest);
    g_autoptr(GBytes) bytes = storage_manifest(storage, "a", &digest, &type, NULL);
    assert_non_null(bytes);
    assert_string_equal(type, wanted);
}

/* The digest does not tell the media type: no push and no upstream changes that of what a version or a channel names.
 */
static void what_a_version_names_keeps_its_type(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    assert_true(try_type(storage, "some", "application/one+json", FALSE, TRUE, FALSE));
    assert_true(try_type(storage, NULL, "application/two+json", FALSE, TRUE, FALSE));
    assert_true(try_type(storage, "1.0.0", "application/two+json", FALSE, TRUE, FALSE));
    assert_false(try_type(storage, NULL, "application/one+json", FALSE, TRUE, FALSE));
    assert_false(try_type(storage, "1.0.0", "application/one+json", FALSE, TRUE, TRUE));
    assert_type(storage, "application/two+json");
    assert_true(try_type(storage, "prod", "application/three+json", FALSE, FALSE, FALSE)); /* versions may move */
    assert_false(try_type(storage, "some", "application/one+json", FALSE, FALSE, FALSE));
    assert_true(try_type(storage, "some", "application/one+json", TRUE, FALSE, FALSE));
    assert_type(storage, "application/three+json");
    assert_true(try_type(storage, "some", "application/four+json", FALSE, FALSE, TRUE));
    assert_type(storage, "application/four+json");
    assert_clean(storage);
}

/* What an upstream set follows it. */
static void what_is_cached_has_its_upstreams_type(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    assert_true(try_type(storage, "dev", "application/one+json", TRUE, FALSE, FALSE));
    assert_true(try_type(storage, "dev", "application/two+json", TRUE, FALSE, FALSE));
    assert_type(storage, "application/two+json");
}

/* A change that can't be logged did not happen: the pack that it brought takes no room. */
static void a_change_that_fails_leaves_no_pack(void **state)
{
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log");
    g_autofree char *packs = ingot_workdir_file(*state, "data/packs");
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 100000);
    assert_int_equal(g_mkdir(log, 0700), 0);
    g_autoptr(GError) error = NULL;
    assert_false(try_push(storage, "a", bytes, 70000, &error));
    assert_non_null(error);
    g_autoptr(GDir) folder = g_dir_open(packs, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        assert_false(g_str_has_suffix(name, ".pack"));
    }
    assert_int_equal(g_rmdir(log), 0);
    push(storage, "a", bytes);
    pull(storage, "a", bytes);
    assert_clean(storage);
}

/* A tag that moves to a manifest which is here, as in a promotion, is one event and no bytes. */
static void a_tag_moves_without_bytes(void **state)
{
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log"), *text = NULL;
    g_autoptr(Storage) storage = open_storage(state);
    put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    IngotDigest two = put_manifest(storage, "a", "dev", "two", NULL, 0);
    put_manifest(storage, "a", "test", "one", NULL, 0);
    guint64 before = packed_bytes(state);
    put_manifest(storage, "a", "test", "two", NULL, 0);
    put_manifest(storage, "a", "prod", "two", NULL, 0);
    assert_int_equal(packed_bytes(state), before);
    assert_tag(storage, "a", "test", &two);
    assert_true(g_file_get_contents(log, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
    assert_int_equal(g_strv_length(lines),
                     13); /* link, manifest and tag of each; three tags that moved; four moves of channels */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_that_is_a_pack_is_not_written_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_shape_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_alike_is_kept_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ranges_are_the_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(uploads_go_on_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(uploads_go_on_beside_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_upload_goes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_cuts_of_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_cut_mends_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_digest_drops_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(offers_are_hashed_as_they_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_offer_counts_on_no_damaged_frame, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_push_mends_what_nobody_has_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_piece_rots_beneath_an_upload, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_offer_sets_its_room_aside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_go_where_they_belong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_larger_than_a_blob_may_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_uploads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_upload_ends_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mount_shows_it_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_damaged_is_pushed_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_version_names_keeps_its_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_cached_has_its_upstreams_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tags_name_manifests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(referrers_are_found_by_their_subject, set_up, tear_down),
        cmocka_unit_test_setup_teardown(uploads_count_for_the_total, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_than_the_total, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_at_once_get_no_more_than_the_total, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lower_quota_keeps_no_name_where_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_than_a_repositorys_quota, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_push_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tags_move_as_is_expected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(manifests_are_remembered_until_they_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_have_an_actor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_changes_nothing_is_no_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tag_moves_without_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_upstream_moves_no_tag_that_was_pushed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_that_fails_leaves_no_pack, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
