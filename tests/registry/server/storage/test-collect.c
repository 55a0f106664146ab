/* Collecting, scrubbing, rebuilding: what is needed stays under whatever happens meanwhile, what is damaged is found
 * and replaced, and what is made again is what was. */
#include "../fixture.h"

#include <sqlite3.h>
#include <utime.h>

#include "server/catalogue/blobmap.h"
#include "server/storage/collect.h"
#include "server/storage/rebuild.h"
#include "server/storage/scrub.h"

static CollectReport collect(Storage *storage)
{
    const CollectOptions options = {0};
    CollectReport report;
    g_autoptr(GError) error = NULL;
    if (!storage_collect(storage, &options, &report, &error)) {
        fail_msg("%s", error->message);
    }
    return report;
}

static void print_line(const char *line, gpointer user)
{
    (void)user;
    print_message("%s\n", line);
}

static ScrubReport scrub(Storage *storage)
{
    const ScrubOptions options = {.tell = print_line};
    ScrubReport report;
    assert_true(storage_scrub(storage, &options, &report, NULL));
    return report;
}

static RebuildReport rebuild(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    RebuildReport report;
    g_autoptr(GError) error = NULL;
    if (!storage_rebuild(path, &(RebuildOptions){.tell = print_line, .force = TRUE}, &report, &error)) {
        fail_msg("%s", error->message);
    }
    return report;
}

/* --- collecting --- */

static void what_nobody_needs_goes(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) kept = frames(1, 60, 40000), gone = frames(30, 60, 40000), loose = noise(1, 2000000);
    IngotDigest both[] = {push(storage, "a", kept), push(storage, "a", gone)};
    push(storage, "a", loose);
    put_manifest(storage, "a", "1.0.0", "kept", both, 1);
    IngotDigest manifest = put_manifest(storage, "a", "2.0.0", "gone", both, 2);
    const CollectOptions grace = {.grace = 100}, dry = {.dry_run = TRUE};
    CollectReport report;
    assert_true(storage_collect(storage, &grace, &report, NULL));
    assert_int_equal(report.blobs, 0);
    assert_true(storage_collect(storage, &dry, &report, NULL));
    assert_int_equal(report.links, 1);
    pull(storage, "a", loose);
    report = collect(storage);
    assert_int_equal(report.links, 1);
    assert_int_equal(report.blobs, 1);
    assert_int_equal(report.bytes, loose->len);
    assert_false(try_pull(storage, "a", loose, NULL));
    pull(storage, "a", gone);
    assert_true(storage_remove_manifest(storage, NULL, "a", &manifest, NULL));
    report = collect(storage);
    assert_int_equal(report.blobs, 2);
    assert_int_equal(report.pieces, 29 + 1);
    assert_false(try_pull(storage, "a", gone, NULL));
    pull(storage, "a", kept);
    StorageStats stats = stats_of(storage);
    assert_true(packed_bytes(state) < 2 * stats.stored + 100000);
    assert_clean(storage);
    storage_close(g_steal_pointer(&storage));
    storage = open_storage(state);
    pull(storage, "a", kept);
}

/* What an upload counts on and is marked since is there: a wrong digest is told as one, and a right one ends it. */
static void a_marked_frame_is_no_damage(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 100000), list = list_of(bytes, 10000), missing = g_byte_array_new();
    g_autofree char *first = begin_upload(storage, NULL), *id = begin_upload(storage, NULL);
    IngotDigest digest = digest_of(bytes), wrong = {0};
    g_autoptr(GError) error = NULL;
    assert_true(storage_upload_offer(storage, first, list->data, list->len, NULL, NULL, missing, NULL));
    assert_true(storage_upload_add(storage, first, 0, 0, bytes->data, bytes->len, NULL));
    assert_true(storage_upload_finish(storage, NULL, first, 0, "a", &digest, NULL));
    assert_true(storage_upload_offer(storage, id, list->data, list->len, NULL, NULL, missing, NULL));
    assert_int_equal(missing->data[0], 0);
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    assert_int_equal(collect(storage).blobs, 1);
    assert_false(storage_upload_finish(storage, NULL, id, 0, "a", &wrong, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
    pull(storage, "a", bytes);
}

/* So many small packs are merged without a collection, which deletes nothing: what no manifest names stays. */
static void scattered_packs_are_merged(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    gboolean scattered = FALSE;
    guint count = 0;
    while (!scattered && count < 2000) {
        for (guint i = 0; i < 32; i++) {
            g_autoptr(GByteArray) bytes = noise(count++, 1000);
            push(storage, "a", bytes);
        }
        assert_true(storage_is_scattered(storage, &scattered, NULL));
    }
    assert_true(scattered && count > 100);
    const CollectOptions options = {.packs_only = TRUE};
    CollectReport report;
    assert_true(storage_collect(storage, &options, &report, NULL));
    assert_int_equal(report.packs, count);
    assert_int_equal(report.blobs + report.pieces + report.links, 0);
    assert_true(storage_is_scattered(storage, &scattered, NULL));
    assert_false(scattered);
    for (guint i = 0; i < count; i++) {
        g_autoptr(GByteArray) bytes = noise(i, 1000);
        pull(storage, "a", bytes);
    }
    assert_clean(storage);
}

/* Whatever is collected: the next full disk needs it. */
static void each_collection_makes_the_reserve_again(void **state)
{
    const CollectOptions kinds[] = {{.packs_only = TRUE}, {.held_only = TRUE}, {0}};
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *data = ingot_workdir_file(*state, "data");
    g_autofree char *reserve = g_build_filename(data, "reserve", NULL);
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        CollectReport report;
        assert_int_equal(g_unlink(reserve), 0);
        assert_true(storage_collect(storage, &kinds[i], &report, NULL));
        assert_true(g_file_test(reserve, G_FILE_TEST_EXISTS));
    }
}

static gboolean try_layers(Storage *storage, const char *text, IngotDigest *digest, GError **error)
{
    g_autoptr(json_t) root = ingot_json_parse(text, strlen(text), "manifest", NULL);
    g_autoptr(GArray) mentions = mentions_read(root);
    assert_non_null(mentions);
    const StorageManifest manifest = {
        .data = text, .size = strlen(text), .type = "application/x+json", .tag = "1.0.0", .mentions = mentions};
    return storage_put_manifest(storage, "a", &manifest, digest, error);
}

/* A layer that names addresses may lie elsewhere alone; where it was pushed it stays for as long as its manifest. */
static void a_layer_with_addresses_stays_with_its_manifest(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) pushed = noise(1, 5000);
    IngotDigest layer = push(storage, "a", pushed), digest;
    g_autofree char *name = ingot_digest_to_text(&layer);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf("{\"layers\":[{\"digest\":\"%s\",\"size\":5000,\"urls\":[\"https://x\"]},"
                                            "{\"digest\":\"sha256:%064d\",\"size\":1,\"urls\":[\"https://x\"]},"
                                            "{\"urls\":[\"https://x\"]}]}",
                                            name, 1);
    g_autofree char *longer =
        g_strdup_printf("{\"layers\":[{\"digest\":\"%s\",\"size\":5001,\"urls\":[\"https://x\"]}]}", name);
    assert_false(try_layers(storage, longer, &digest, &error)); /* what is here has its size */
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_true(try_layers(storage, text, &digest, NULL));
    collect(storage);
    pull(storage, "a", pushed);
    assert_true(storage_remove_manifest(storage, NULL, "a", &digest, NULL));
    collect(storage);
    assert_false(storage_has(storage, "a", &layer));
}

/* A pack that is damaged, whether anybody knows or not, or missing, keeps no others apart. */
static void a_damaged_pack_keeps_no_others_apart(void **state)
{
    for (guint kind = 0; kind < 3; kind++) {
        g_autoptr(Storage) storage = open_storage(state);
        g_autoptr(GByteArray) bad = noise(7, 1000);
        for (guint i = 0; i < 40; i++) {
            g_autoptr(GByteArray) bytes = noise(i, 1000);
            push(storage, "a", bytes);
        }
        if (kind < 2) {
            damage(state, bad, 10);
        }
        if (kind == 1) {
            assert_false(try_pull(storage, "a", bad, NULL));
        } else if (kind == 2) {
            g_autofree char *pack = pack_of(state, bad);
            assert_int_equal(g_unlink(pack), 0);
        }
        CollectReport report;
        assert_true(storage_collect(storage, &(CollectOptions){.packs_only = TRUE}, &report, NULL));
        assert_int_equal(report.packs, 39);
        assert_true(stats_of(storage).damaged == 1);
        for (guint i = 0; i < 40; i++) {
            g_autoptr(GByteArray) bytes = noise(i, 1000);
            assert_int_equal(try_pull(storage, "a", bytes, NULL), i != 7);
        }
        storage_close(g_steal_pointer(&storage));
        g_autofree char *data = ingot_workdir_file(*state, "data");
        assert_true(ingot_file_remove_tree(data, NULL));
    }
}

#define LONG (2 * BLOBMAP_WINDOW + 10) /* pieces */

typedef struct {
    StorageBlob *blob;
    const GByteArray *bytes;
    guint reads;
} Reader;

/* Between any two changes of the collection the blob is read, in each of its windows. */
static gboolean read_each_window(gpointer user)
{
    Reader *reader = user;
    guint8 got[100];
    for (guint i = 0; i < 3; i++) {
        guint64 offset = (guint64)reader->bytes->len / 3 * i + reader->bytes->len / 6;
        g_autoptr(GError) error = NULL;
        if (!read_range(reader->blob, offset, got, sizeof got, &error)) {
            fail_msg("%s", error->message);
        }
        assert_memory_equal(got, reader->bytes->data + offset, sizeof got);
    }
    reader->reads++;
    return FALSE;
}

static void who_reads_it_reads_all_the_while(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, LONG, 5000);
    IngotDigest digest = push(storage, "a", bytes);
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
    Reader reader = {.blob = blob, .bytes = bytes};
    CollectReport report;
    for (guint i = 0; i < 200; i++) {
        g_autoptr(GByteArray) small = noise(i, 100);
        push(storage, "a", small);
    }
    const CollectOptions options = {.stop = read_each_window, .user = &reader};
    assert_true(storage_collect(storage, &options, &report, NULL));
    assert_int_equal(report.blobs, 201);
    assert_true(reader.reads > 4);
    read_each_window(&reader);
}

/* A blob that somebody holds can be read to its end, though all that it was made of is gone, and other pieces have the
 * numbers of its own. */
static void who_reads_it_reads_it_to_its_end(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 50, 60000), other = frames(1000, 50, 60000);
    IngotDigest digest = push(storage, "a", bytes), found;
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
    g_autofree guint8 *got = g_malloc(bytes->len);
    assert_true(read_range(blob, 0, got, 100000, NULL));
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    assert_true(collect(storage).pieces == 50);
    found = push(storage, "a", other);
    put_manifest(storage, "a", "1.0.0", "other", &found, 1);
    g_autoptr(GError) error = NULL;
    if (!read_range(blob, 0, got, bytes->len, &error)) {
        fail_msg("%s", error->message);
    }
    assert_memory_equal(got, bytes->data, bytes->len);
    assert_int_equal(stats_of(storage).damaged, 0);
    pull(storage, "a", other);
}

/* Pushed again it stands elsewhere than where it was when it was read last. */
static void what_went_can_come_again(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 50, 60000), other = frames(1000, 50, 60000);
    for (guint i = 0; i < 3; i++) {
        IngotDigest digest = push(storage, "a", bytes);
        g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL); /* looked for, not read */
        g_clear_pointer(&blob, storage_blob_unref);
        assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
        collect(storage);
        assert_int_equal(stats_of(storage).pieces, i == 0 ? 0 : 50 + 1); /* of what 1.0.0 names */
        g_autoptr(GByteArray) more = frames(2000 + i * 100, 50, 5000);
        IngotDigest kept = push(storage, "a", more);
        put_manifest(storage, "a", "1.0.0", i == 0 ? "a" : i == 1 ? "b" : "c", &kept, 1);
        push(storage, "b", bytes);
        pull(storage, "b", bytes);
        assert_true(storage_remove_blob(storage, NULL, "b", &digest, NULL));
        collect(storage);
    }
    assert_int_equal(stats_of(storage).damaged, 0);
    assert_clean(storage);
}

/* A client may delete a blob that a manifest names, and push it again: it is what the manifest needs. */
static void what_a_manifest_names_stays(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 50, 60000), other = noise(1, 3000);
    IngotDigest digest = push(storage, "a", bytes);
    put_manifest(storage, "a", "1.0.0", "text", &digest, 1);
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    collect(storage);
    assert_false(storage_has(storage, "a", &digest));
    push(storage, "b", other);
    push(storage, "a", bytes);
    collect(storage);
    pull(storage, "a", bytes);
    assert_clean(storage);
}

/* A cache has manifests before what they mention: it is needed all the same once it comes. */
static void what_comes_later_is_needed(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 5, 60000), stray = noise(1, 3000);
    IngotDigest digest = digest_of(bytes), made;
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    const Mention mention = {.digest = digest};
    g_array_append_val(mentions, mention);
    const StorageManifest manifest = {.data = "{}",
                                      .size = 2,
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .tag = "1.0.0",
                                      .mentions = mentions,
                                      .partial = TRUE};
    assert_true(storage_put_manifest(storage, "a", &manifest, &made, NULL));
    collect(storage);
    push(storage, "a", bytes);
    push(storage, "a", stray);
    assert_int_equal(collect(storage).links, 1); /* the stray one */
    pull(storage, "a", bytes);
    assert_clean(storage);
}

/* An upload that has met a dead piece counts on it. */
static void an_upload_keeps_what_it_counts_on(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 50, 60000);
    IngotDigest digest = push(storage, "a", bytes);
    for (guint part = 1; part <= 3; part++) {
        g_autofree char *id = begin_upload(storage, NULL);
        assert_true(add_steps(storage, id, bytes, 0, bytes->len * part / 4, 50000, NULL));
        storage_remove_blob(storage, NULL, "a", &digest, NULL);
        CollectReport report = collect(storage);
        assert_int_equal(report.pieces, 0); /* its lease is older than their marks */
        assert_true(add_steps(storage, id, bytes, bytes->len * part / 4, bytes->len, 50000, NULL));
        assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
        pull(storage, "a", bytes);
        assert_int_equal(stats_of(storage).stored, bytes->len);
        assert_clean(storage);
    }
    /* One that is dropped keeps nothing. */
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 50000, NULL));
    assert_true(storage_upload_drop(storage, id, NULL));
    storage_remove_blob(storage, NULL, "a", &digest, NULL);
    assert_int_equal(collect(storage).pieces, 50);
    assert_int_equal(stats_of(storage).pieces, 0);
}

/* What an upload finds marked it does not count on: the bytes that came are kept instead. */
static void a_marked_piece_is_missing(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 50, 60000);
    IngotDigest digest = push(storage, "a", bytes);
    g_autofree char *old = begin_upload(storage, NULL), *young = begin_upload(storage, NULL);
    assert_true(add_steps(storage, old, bytes, 0, bytes->len, 50000, NULL));
    storage_remove_blob(storage, NULL, "a", &digest, NULL);
    assert_int_equal(collect(storage).pieces, 0);
    guint64 packed = stats_of(storage).packed;
    assert_true(add_steps(storage, young, bytes, 0, bytes->len, 50000, NULL));
    assert_true(storage_upload_finish(storage, NULL, young, 0, "a", &digest, NULL));
    assert_true(stats_of(storage).packed > packed + bytes->len);
    put_manifest(storage, "a", "1.0.0", "text", &digest, 1);
    assert_int_equal(collect(storage).pieces, 0);
    pull(storage, "a", bytes);
    /* The other's are where they are now. */
    guint64 stored = stats_of(storage).stored;
    assert_true(storage_upload_finish(storage, NULL, old, 0, "b", &digest, NULL));
    pull(storage, "b", bytes);
    assert_int_equal(stats_of(storage).stored, stored);
    assert_clean(storage);
}

/* What nobody goes on with for a day goes without a restart, and with it what it counts on. */
static void a_forgotten_upload_goes(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 50, 60000);
    IngotDigest digest = push(storage, "a", bytes);
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 50000, NULL));
    storage_upload_pause(storage, id);
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    collect(storage);
    assert_int_equal(stats_of(storage).uploads, 1);
    assert_int_equal(stats_of(storage).pieces, 50);
    in_catalogue(state, "UPDATE uploads SET until=until - 25 * 3600");
    collect(storage);
    assert_int_equal(stats_of(storage).uploads, 0);
    assert_int_equal(stats_of(storage).pieces, 0);
    assert_false(storage_upload_add(storage, id, 0, 0, "x", 1, NULL));
}

/* Files that are removed and still open: their room has not come back. */
static guint count_removed(void)
{
    g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
    guint found = 0;
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *path = g_build_filename("/proc/self/fd", name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);
        found += target != NULL && g_str_has_suffix(target, ".pack (deleted)");
    }
    return found;
}

/* What was read a moment ago is kept at hand: not beyond its end. */
static void room_comes_back_at_once(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) gone = frames(100, 50, 60000);
    IngotDigest digest = push(storage, "a", gone);
    pull(storage, "a", gone);
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    assert_int_equal(collect(storage).packs, 1);
    assert_int_equal(count_removed(), 0);
}

/* Nor where it stood before many small packs became one. */
static void what_moves_is_let_go_of(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest blobs[20];
    for (guint i = 0; i < G_N_ELEMENTS(blobs); i++) {
        g_autoptr(GByteArray) bytes = noise(i, 1200000);
        blobs[i] = push(storage, "a", bytes);
        pull(storage, "a", bytes);
    }
    put_manifest(storage, "a", "1.0.0", "text", blobs, G_N_ELEMENTS(blobs));
    CollectReport report = collect(storage);
    assert_int_equal(report.packs, G_N_ELEMENTS(blobs) + 1); /* the manifest's too */
    assert_int_equal(report.pieces, 0);
    assert_int_equal(count_removed(), 0);
    for (guint i = 0; i < G_N_ELEMENTS(blobs); i++) {
        g_autoptr(GByteArray) bytes = noise(i, 1200000);
        pull(storage, "a", bytes);
    }
    assert_clean(storage);
    storage_close(g_steal_pointer(&storage));
    assert_int_equal(rebuild(state).lost, 0);
}

/* The very blob that is dead is pushed, read, named and deleted while collections run one after another. */
typedef struct {
    Storage *storage;
    guint number;
    gint *failed, *stop;
} Member;

static gboolean push_and_name(const Member *member, const char *name, const GByteArray *bytes, GError **error)
{
    IngotDigest digest = digest_of(bytes), manifest;
    g_autofree char *tag = g_strdup_printf("1.0.%u", member->number);
    for (guint i = 0; i < 100; i++) {
        g_clear_error(error);
        /* Without a grace what was just pushed may go before its manifest comes. */
        if (!try_push(member->storage, name, bytes, 90000, error)) {
            return FALSE;
        }
        if (try_manifest(member->storage, name, tag, tag, &digest, 1, NULL, &manifest, error)) {
            return try_pull(member->storage, name, bytes, error) &&
                   storage_remove_manifest(member->storage, NULL, name, &manifest, error);
        }
        if (!g_error_matches(*error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            return FALSE;
        }
    }
    return FALSE;
}

static gpointer live_and_die(gpointer user)
{
    const Member *member = user;
    g_autofree char *name = g_strdup_printf("crowd/%u", member->number);
    for (guint i = 0; i < 25; i++) {
        g_autoptr(GByteArray) bytes = i % 3 == 0 ? frames(i % 5, 20, 60000) : frames(i % 5, 6, 60000);
        g_autoptr(GError) error = NULL;
        if (!push_and_name(member, name, bytes, &error)) {
            g_atomic_int_inc(member->failed);
            g_printerr("%s: round %u: %s\n", name, i, error == NULL ? "other bytes" : error->message);
        }
    }
    g_atomic_int_dec_and_test(member->stop);
    return NULL;
}

/* Nothing is wrong at any time. */
static gpointer scrub_on(gpointer user)
{
    const Member *member = user;
    const ScrubOptions options = {.tell = print_line};
    while (g_atomic_int_get(member->stop) > 0) {
        ScrubReport report;
        if (!storage_scrub(member->storage, &options, &report, NULL) || report.damaged + report.inconsistencies > 0) {
            g_atomic_int_inc(member->failed);
        }
    }
    return NULL;
}

/* What is kept can be read at any time, wherever it is moved to. */
static gpointer read_on(gpointer user)
{
    const Member *member = user;
    g_autoptr(GByteArray) kept = frames(1, 60, 40000);
    while (g_atomic_int_get(member->stop) > 0) {
        g_autoptr(GError) error = NULL;
        if (!try_pull(member->storage, "kept", kept, &error)) {
            g_atomic_int_inc(member->failed);
            g_printerr("kept: %s\n", error == NULL ? "other bytes" : error->message);
        }
    }
    return NULL;
}

static void collections_beside_pushes(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) kept = frames(1, 60, 40000);
    IngotDigest digest = push(storage, "kept", kept);
    put_manifest(storage, "kept", "1.0.0", "kept", &digest, 1);
    Member members[4];
    GThread *threads[G_N_ELEMENTS(members)];
    gint failed = 0, running = G_N_ELEMENTS(members);
    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        members[i] = (Member){.storage = storage, .number = i, .failed = &failed, .stop = &running};
        threads[i] = g_thread_new("member", live_and_die, &members[i]);
    }
    Member onlooker = {.storage = storage, .failed = &failed, .stop = &running};
    GThread *scrubber = g_thread_new("scrubber", scrub_on, &onlooker),
            *reader = g_thread_new("reader", read_on, &onlooker);
    guint collections = 0;
    const CollectOptions options = {0};
    CollectReport report;
    for (; g_atomic_int_get(&running) > 0; collections++) {
        if (!storage_collect(storage, &options, &report, NULL)) {
            g_atomic_int_inc(&failed);
        }
    }
    g_thread_join(scrubber);
    g_thread_join(reader);
    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        g_thread_join(threads[i]);
    }
    print_message("%u collections\n", collections);
    assert_int_equal(failed, 0);
    pull(storage, "kept", kept);
    collect(storage);
    assert_int_equal(stats_of(storage).blobs, 2);
    assert_int_equal(stats_of(storage).damaged, 0);
    assert_clean(storage);
}

/* --- damage --- */

static void a_damaged_piece_is_replaced(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 30, 60000), part = frame(11, 60000, TRUE);
    IngotDigest digest = push(storage, "a", bytes);
    g_autofree guint8 *got = g_malloc(bytes->len);
    pull(storage, "a", bytes);
    g_usleep(20000);
    damage(state, part, 1000);
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
    assert_false(read_range(blob, 0, got, bytes->len, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_true(read_range(blob, 0, got, part->len * 9, NULL)); /* what stands before it */
    g_autoptr(StorageBlob) again = storage_blob(storage, "a", &digest, NULL);
    assert_true(storage_blob_damaged(again));
    assert_int_equal(scrub(storage).damaged, 1);
    assert_int_equal(stats_of(storage).damaged, 1);
    guint64 packed = stats_of(storage).packed;
    push(storage, "b", bytes);
    assert_true(stats_of(storage).packed - packed < 70000);
    pull(storage, "a", bytes);
    assert_int_equal(stats_of(storage).damaged, 0);
    assert_clean(storage);
    /* Those who still hold the blob as it was read the new copy. */
    assert_true(read_range(blob, 0, got, bytes->len, NULL));
    assert_int_equal(stats_of(storage).damaged, 0);
    pull(storage, "a", bytes);
}

static void a_damaged_manifest_is_replaced(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest digest = put_manifest(storage, "a", "1.0.0", "some text", NULL, 0);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)"{\"layers\":[],\"text\":\"some text\"}", 32);
    damage(state, bytes, 25);
    g_autofree char *type = NULL;
    assert_null(storage_manifest(storage, "a", &digest, &type, NULL));
    put_manifest(storage, "a", "1.0.0", "some text", NULL, 0);
    g_autoptr(GBytes) found = storage_manifest(storage, "a", &digest, &type, NULL);
    assert_non_null(found);
    assert_int_equal(stats_of(storage).damaged, 0);
    assert_clean(storage);
}

static GBytes *fetch_good(const char *name, const IngotDigest *blob, guint64 size, guint64 offset, guint32 length,
                          gpointer user)
{
    (void)blob;
    const GByteArray *bytes = user;
    return g_str_equal(name, "a") && size == bytes->len ? g_bytes_new(bytes->data + offset, length) : NULL;
}

static void a_scrub_repairs_from_elsewhere(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 30, 60000), wrong = noise(1, bytes->len);
    push(storage, "a", bytes);
    for (guint i = 5; i < 8; i++) {
        g_autoptr(GByteArray) part = frame(i, 60000, TRUE);
        damage(state, part, 100 * i);
    }
    ScrubOptions options = {.fetch = fetch_good, .user = wrong};
    ScrubReport report;
    assert_true(storage_scrub(storage, &options, &report, NULL));
    assert_int_equal(report.damaged, 3);
    assert_int_equal(report.repaired, 0);
    options.user = bytes;
    assert_true(storage_scrub(storage, &options, &report, NULL));
    assert_int_equal(report.damaged, 0);
    assert_int_equal(report.repaired, 3);
    pull(storage, "a", bytes);
    assert_clean(storage);
    /* The damaged copies are dead; a collection is not held up by them. */
    collect(storage);
}

/* A piece that could not be read for a while is no damaged one for ever. */
static void what_is_whole_again_is_no_damage(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 30, 60000), part = frame(11, 60000, TRUE);
    IngotDigest digest = push(storage, "a", bytes);
    damage(state, part, 1000);
    assert_int_equal(scrub(storage).damaged, 1);
    part->data[1000] ^= 0x10;
    g_autoptr(GByteArray) as_it_is = g_byte_array_new();
    g_byte_array_append(as_it_is, part->data, part->len);
    damage(state, as_it_is, 1000); /* back again */
    assert_clean(storage);
    assert_int_equal(stats_of(storage).damaged, 0);
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
    assert_false(storage_blob_damaged(blob));
    pull(storage, "a", bytes);
}

static gboolean stop_at_once(gpointer user)
{
    (void)user;
    return TRUE;
}

/* In slices it reads what it reads at once, each piece one time, and finds the same. */
static void a_scrub_goes_on_where_it_paused(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) one = frames(1, 25, 60000), two = frames(100, 25, 60000), piece = frame(110, 60000, TRUE);
    IngotDigest blobs[] = {push(storage, "a", one), push(storage, "a", two)};
    put_manifest(storage, "a", "1.0.0", "text", blobs, 2);
    damage(state, piece, 100);
    ScrubReport whole = scrub(storage), sum = {0}, report = {0};
    assert_int_equal(whole.damaged, 1);
    assert_true(whole.place.pack == 0);
    guint slices = 0;
    do {
        const ScrubOptions options = {.rate = 1000000, .slice = 1, .from = report.place};
        assert_true(storage_scrub(storage, &options, &report, NULL));
        sum.pieces += report.pieces;
        sum.damaged += report.damaged;
        slices++;
    } while (report.place.pack != 0);
    assert_true(slices > 1);
    assert_int_equal(sum.pieces, whole.pieces);
    assert_int_equal(sum.damaged, 1);
}

static void a_scrub_can_be_broken_off(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 100);
    push(storage, "a", bytes);
    const ScrubOptions options = {.stop = stop_at_once};
    ScrubReport report;
    g_autoptr(GError) error = NULL;
    assert_false(storage_scrub(storage, &options, &report, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
}

/* --- rebuilding --- */

/* What the catalogue says, without numbers that another one has in another order, and without times. */
static char *dump(void **state)
{
    static const char *const lists[] = {
        "SELECT 'piece', hex(digest), length, '' FROM pieces JOIN packs ON packs.id=pack ORDER BY 2",
        "SELECT 'blob', hex(digest), size, length(pieces) FROM blobs ORDER BY 2",
        "SELECT 'link', name, hex(digest), '' FROM links JOIN repositories r ON r.id=repository JOIN blobs b ON"
        " b.id=blob ORDER BY 2, 3",
        "SELECT 'manifest', name, hex(digest), type||' '||coalesce(hex(subject), '') FROM manifests JOIN repositories r"
        " ON r.id=repository JOIN blobs b ON b.id=blob ORDER BY 2, 3",
        "SELECT 'mention', name, hex(m.digest), hex(n.digest) FROM mentions n JOIN repositories r ON r.id=repository"
        " JOIN blobs m ON m.id=manifest ORDER BY 2, 3, 4",
        "SELECT 'tag', r.name, t.name, hex(digest) FROM tags t JOIN repositories r ON r.id=repository JOIN blobs b ON"
        " b.id=blob ORDER BY 2, 3",
    };
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    GString *out = g_string_new(NULL);
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
        sqlite3_stmt *rows;
        assert_int_equal(sqlite3_prepare_v2(handle, lists[i], -1, &rows, NULL), SQLITE_OK);
        while (sqlite3_step(rows) == SQLITE_ROW) {
            g_string_append_printf(out, "%s %s %s %s\n", sqlite3_column_text(rows, 0), sqlite3_column_text(rows, 1),
                                   sqlite3_column_text(rows, 2), sqlite3_column_text(rows, 3));
        }
        sqlite3_finalize(rows);
    }
    sqlite3_close(handle);
    return g_string_free(out, FALSE);
}

/* A storage with all that there is: shared pieces, referrers, moved and deleted tags, mounts, collections, repairs. */
static void fill(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) empty = g_byte_array_new(), damaged = frame(11, 60000, TRUE);
    for (guint i = 0; i < 6; i++) {
        g_autoptr(GByteArray) bytes = frames(i * 5, 20, 60000), small = noise(i, 100);
        IngotDigest blobs[] = {push(storage, "a", bytes), push(storage, "a", small), push(storage, "a", empty)};
        g_autofree char *tag = g_strdup_printf("1.%u.0", i);
        IngotDigest manifest = put_manifest(storage, "a", tag, tag, blobs, 3), attached;
        put_manifest(storage, "a", "dev", tag, blobs, 3);
        assert_true(try_manifest(storage, "a", NULL, i % 2 == 0 ? "even" : "odd", blobs, 1 + i % 3, &manifest,
                                 &attached, NULL));
        IngotDigest lacking = {0}, refused;
        assert_false(try_manifest(storage, "a", tag, "refused", &lacking, 1, NULL, &refused, NULL));
        assert_true(storage_mount(storage, NULL, "a", "b/c", &blobs[0], NULL));
        put_manifest(storage, "b/c", "prod", tag, blobs, 1);
        if (i % 2 == 1) {
            assert_true(storage_remove_manifest(storage, NULL, "a", &manifest, NULL));
        }
        if (i == 3) {
            collect(storage);
        }
        if (i == 2) {
            damage(state, damaged, 100);
            assert_int_equal(scrub(storage).damaged, 1);
            push(storage, "a", bytes);
        }
    }
    assert_int_equal(stats_of(storage).damaged, 0); /* pushed again */
    assert_true(storage_remove_tag(storage, NULL, "a", "1.4.0", NULL));
    collect(storage);
    assert_clean(storage);
}

static void made_again_it_is_what_it_was(void **state)
{
    fill(state);
    g_autofree char *before = dump(state);
    for (guint i = 0; i < 2; i++) {
        RebuildReport report = rebuild(state);
        assert_int_equal(report.lost, 0);
        g_autoptr(Storage) storage = open_storage(state);
        assert_clean(storage);
        g_autoptr(GByteArray) bytes = frames(25, 20, 60000); /* of what prod names */
        pull(storage, "b/c", bytes);
        collect(storage); /* what was garbage, and still in the packs, is known again until then */
        storage_close(g_steal_pointer(&storage));
        g_autofree char *after = dump(state);
        assert_string_equal(before, after);
    }
}

static void nobody_may_serve_meanwhile(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *path = ingot_workdir_file(*state, "data");
    RebuildReport report;
    g_autoptr(GError) error = NULL;
    assert_false(storage_rebuild(path, &(RebuildOptions){0}, &report, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
    g_clear_error(&error);
    assert_null(storage_open(path, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
}

/* Without its log no name can be had again: that is said. */
static void a_lost_log_is_told(void **state)
{
    fill(state);
    g_autofree char *path = ingot_workdir_file(*state, "data/names.log");
    assert_int_equal(unlink(path), 0);
    RebuildReport report = rebuild(state);
    assert_true(report.lost > 0);
    assert_int_equal(report.repositories, 0);
    assert_true(report.blobs > 0);
}

/* One table of a pack that is damaged takes nothing with it but its own. */
/* Puts all packs into one of many segments, as servers wrote them that added to a pack; a blob's comes first. */
static char *join_packs(void **state)
{
    g_autofree char *folder = ingot_workdir_file(*state, "data/packs");
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_autoptr(GByteArray) all = g_byte_array_new();
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autoptr(GBytes) bytes = ingot_file_read(path, 1 << 20, NULL);
        gsize size = g_bytes_get_size(bytes);
        if (size > 1000) {
            g_byte_array_prepend(all, g_bytes_get_data(bytes, NULL), (guint)size);
        } else {
            g_byte_array_append(all, g_bytes_get_data(bytes, NULL), (guint)size);
        }
        assert_int_equal(unlink(path), 0);
    }
    char *joined = g_build_filename(folder, "00000001.pack", NULL);
    assert_true(ingot_file_replace(joined, all->data, all->len, 0600, NULL));
    return joined;
}

static void a_damaged_table_costs_its_own_segment(void **state)
{
    {
        g_autoptr(Storage) storage = open_storage(state);
        for (guint i = 0; i < 10; i++) {
            g_autoptr(GByteArray) bytes = noise(i, 1000);
            IngotDigest digest = push(storage, "a", bytes);
            g_autofree char *tag = g_strdup_printf("1.%u.0", i);
            put_manifest(storage, "a", tag, tag, &digest, 1);
        }
    }
    g_autofree char *path = join_packs(state);
    flip(path, 64 + 1000 + 10); /* the first table */
    RebuildReport report = rebuild(state);
    assert_true(report.lost > 0);
    assert_int_equal(report.packs, 1);
    assert_int_equal(report.blobs, 19);
    assert_int_equal(report.tags, 10); /* of one the blob is lost, not the manifest */
    g_autoptr(Storage) storage = open_storage(state);
    guint there = 0;
    for (guint i = 0; i < 10; i++) {
        g_autoptr(GByteArray) bytes = noise(i, 1000);
        IngotDigest digest = digest_of(bytes);
        there += storage_has(storage, "a", &digest);
    }
    assert_int_equal(there, 9);
}

/* --- one more --- */

typedef struct {
    Storage *storage;
    gint others;
} Second;

static void begin_another(const char *line, gpointer user)
{
    (void)line;
    Second *second = user;
    const CollectOptions options = {0};
    CollectReport report;
    g_autoptr(GError) error = NULL;
    assert_false(storage_collect(second->storage, &options, &report, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
    second->others++;
}

static void one_at_a_time(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 100);
    push(storage, "a", bytes);
    Second second = {.storage = storage};
    const CollectOptions options = {.tell = begin_another, .user = &second};
    CollectReport report;
    assert_true(storage_collect(storage, &options, &report, NULL));
    assert_int_equal(second.others, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_nobody_needs_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_marked_frame_is_no_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scattered_packs_are_merged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_collection_makes_the_reserve_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_layer_with_addresses_stays_with_its_manifest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_pack_keeps_no_others_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_reads_it_reads_all_the_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_reads_it_reads_it_to_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_went_can_come_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_manifest_names_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_later_is_needed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_upload_keeps_what_it_counts_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_marked_piece_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_forgotten_upload_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(room_comes_back_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_moves_is_let_go_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(collections_beside_pushes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_piece_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_manifest_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_scrub_repairs_from_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_whole_again_is_no_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_scrub_can_be_broken_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_scrub_goes_on_where_it_paused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(made_again_it_is_what_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_may_serve_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_log_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_table_costs_its_own_segment, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
