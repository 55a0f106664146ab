/* Images: what is counted of their memory is what they take, whatever their configs hold. */
#include "../fixture.h"

#include <ingot/manifest.h>
#include <malloc.h>

#include "../../image/many.h"
#include "../../image/onedisk.h"
#include "server/views/imagecache.h"

#define NAME "team/web"
#define LAST (1u << 20) /* bytes of the largest config that is taken */

/* A config of that many bytes, of as many values as may be, which take far more memory than text. */
static GByteArray *hostile_config(gsize size)
{
    static const char head[] = "{\"version\":1,\"architecture\":\"amd64\",\"disk\":{\"size\":4096},\"x\":[0",
                      tail[] = "]}";
    GByteArray *text = g_byte_array_new();
    g_byte_array_append(text, (const guint8 *)head, sizeof head - 1);
    /* Each is counted as two. */
    for (guint i = 16; i < INGOT_CONFIG_VALUES && text->len + 3 + sizeof tail - 1 <= size; i += 2) {
        g_byte_array_append(text, (const guint8 *)",{}", 3);
    }
    g_byte_array_append(text, (const guint8 *)tail, sizeof tail - 1);
    while (text->len < size) {
        g_byte_array_append(text, (const guint8 *)" ", 1);
    }
    return text;
}

static IngotDescriptor push_part(Storage *storage, GByteArray *bytes)
{
    const IngotDescriptor part = {.digest = push(storage, NAME, bytes), .size = bytes->len};
    g_byte_array_unref(bytes);
    return part;
}

static GByteArray *index_of_one_chunk(void)
{
    g_autoptr(IngotIndex) index = ingot_index_new("none", 32768);
    const IngotDigest zeros = {0};
    ingot_index_add(index, &zeros, INGOT_BLOCK_SIZE, 30);
    g_autoptr(GBytes) bytes = ingot_index_serialize(index);
    GByteArray *copy = g_byte_array_new();
    return g_byte_array_append(copy, g_bytes_get_data(bytes, NULL), (guint)g_bytes_get_size(bytes));
}

/* A manifest that names these blobs, which are there. */
static IngotDigest put_image_manifest(Storage *storage, const char *json, const IngotDescriptor *const *blobs,
                                      guint count)
{
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    for (guint i = 0; i < count; i++) {
        const Mention mention = {.digest = blobs[i]->digest};
        g_array_append_val(mentions, mention);
    }
    const StorageManifest manifest = {
        .data = json, .size = strlen(json), .type = INGOT_TYPE_MANIFEST, .mentions = mentions};
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    if (!storage_put_manifest(storage, NAME, &manifest, &digest, &error)) {
        fail_msg("%s", error->message);
    }
    return digest;
}

/* An image of these parts; the number makes it different from others. */
static IngotDigest put_image(Storage *storage, const IngotDescriptor *config, const IngotDescriptor *index,
                             const IngotDescriptor *disk, guint number)
{
    g_autofree char *text = g_strdup_printf("%u", number);
    g_autoptr(json_t) annotations = ingot_json_pack("{s:s}", "number", text);
    const OneDisk parts = {.config = *config, .index = *index, .disk = *disk};
    g_autofree char *json = one_disk_text(&parts, annotations);
    const IngotDescriptor *const all[] = {config, index, disk};
    return put_image_manifest(storage, json, all, G_N_ELEMENTS(all));
}

typedef struct {
    Storage *storage;
    Unpacked *unpacked;
    IngotDescriptor index, disk;
} Fixture;

static Fixture fixture_new(void **state)
{
    g_autofree char *folder = ingot_workdir_file(*state, "unpacked");
    Storage *storage = open_storage(state);
    return (Fixture){.storage = storage,
                     .unpacked = unpacked_new(folder, 0),
                     .index = push_part(storage, index_of_one_chunk()),
                     .disk = push_part(storage, frame(1, INGOT_BLOCK_SIZE, TRUE))};
}

static void fixture_clear(Fixture *fixture)
{
    unpacked_free(fixture->unpacked);
    storage_close(fixture->storage);
}

static void a_config_counts(void **state)
{
    Fixture all = fixture_new(state);
    const IngotDescriptor config = push_part(all.storage, hostile_config(LAST));
    const IngotDigest first = put_image(all.storage, &config, &all.index, &all.disk, 0);
    g_autoptr(GError) error = NULL;
    const size_t before = mallinfo2().uordblks;
    g_autoptr(ViewImage) image = view_image_load(all.storage, all.unpacked, NAME, &first, FALSE, &error);
    assert_non_null(image);
    const size_t takes = mallinfo2().uordblks - before;
    assert_true(takes > 8 * (size_t)LAST); /* else this tests nothing */
    assert_true(view_image_memory(image) >= takes);
    assert_true(image->parsed >= takes);
    g_clear_pointer(&image, view_image_unref);

    /* Many of them are refused in time, and what is let go of is there again. */
    g_autoptr(GPtrArray) held = g_ptr_array_new_with_free_func((GDestroyNotify)view_image_unref);
    for (guint i = 1; error == NULL && i < 100; i++) {
        const IngotDigest digest = put_image(all.storage, &config, &all.index, &all.disk, i);
        ViewImage *one = view_image_load(all.storage, all.unpacked, NAME, &digest, FALSE, &error);
        if (one != NULL) {
            g_ptr_array_add(held, one);
        }
    }
    assert_true(g_error_matches(error, VIEW_ERROR, VIEW_ERROR_BUSY));
    assert_true(mallinfo2().uordblks - before < VIEW_IMAGES_MAX);
    g_ptr_array_set_size(held, 0);
    g_clear_error(&error);
    image = view_image_load(all.storage, all.unpacked, NAME, &first, FALSE, &error);
    assert_non_null(image);
    g_clear_pointer(&image, view_image_unref);
    fixture_clear(&all);
}

static void a_config_has_a_bound(void **state)
{
    Fixture all = fixture_new(state);
    const IngotDescriptor config = push_part(all.storage, hostile_config(LAST + 1));
    const IngotDigest digest = put_image(all.storage, &config, &all.index, &all.disk, 0);
    g_autoptr(GError) error = NULL;
    assert_null(view_image_load(all.storage, all.unpacked, NAME, &digest, FALSE, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    fixture_clear(&all);
}

/* An index whose bytes alone have no room is not read. */
static void an_index_is_counted_before_it_is_read(void **state)
{
    Fixture all = fixture_new(state);
    const IngotDescriptor small = push_part(all.storage, hostile_config(100));
    const IngotDescriptor large = push_part(all.storage, hostile_config(LAST));
    const IngotDescriptor index = push_part(all.storage, noise(7, INGOT_INDEX_MAX));
    const IngotDigest big = put_image(all.storage, &small, &index, &all.disk, 0);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) held = g_ptr_array_new_with_free_func((GDestroyNotify)view_image_unref);
    while (error == NULL) { /* until there is no room for the largest index, while there is for a small image */
        const IngotDigest digest = put_image(all.storage, &large, &all.index, &all.disk, held->len + 1);
        ViewImage *one = view_image_load(all.storage, all.unpacked, NAME, &digest, FALSE, &error);
        if (one != NULL) {
            g_ptr_array_add(held, one);
        }
    }
    assert_true(g_error_matches(error, VIEW_ERROR, VIEW_ERROR_BUSY));
    g_clear_error(&error);
    assert_null(view_image_load(all.storage, all.unpacked, NAME, &big, FALSE, &error));
    assert_true(g_error_matches(error, VIEW_ERROR, VIEW_ERROR_BUSY));
    g_ptr_array_set_size(held, 0);
    g_clear_error(&error);
    assert_null(view_image_load(all.storage, all.unpacked, NAME, &big, FALSE, &error));
    assert_false(g_error_matches(error, VIEW_ERROR, VIEW_ERROR_BUSY)); /* it is read, and is no index */
    fixture_clear(&all);
}

/* The error says what is wrong with it: nothing but its size. */
static void an_index_of_an_older_release_is_not_damaged(void **state)
{
    static const guint chunks[] = {3300000, INGOT_INDEX_CHUNKS_MAX + 1};
    Fixture all = fixture_new(state);
    for (guint i = 0; i < G_N_ELEMENTS(chunks); i++) {
        const guint data = i == 0 ? chunks[i] : 400000;
        g_autoptr(GBytes) bytes = index_of_many(data, chunks[i] - data);
        assert_int_equal(g_bytes_get_size(bytes) > INGOT_INDEX_MAX, i == 0);
        GByteArray *copy = g_byte_array_new();
        g_byte_array_append(copy, g_bytes_get_data(bytes, NULL), (guint)g_bytes_get_size(bytes));
        const IngotDescriptor config = push_part(all.storage, hostile_config(100)),
                              index = push_part(all.storage, copy),
                              disk = push_part(all.storage, g_byte_array_set_size(g_byte_array_new(), chunks[i] * 10));
        const IngotDigest digest = put_image(all.storage, &config, &index, &disk, i);
        g_autofree char *told =
            g_strdup_printf(NAME ": its index has %u chunks; at most %u are taken", chunks[i], INGOT_INDEX_CHUNKS_MAX);
        g_autoptr(GError) error = NULL;
        assert_null(view_image_load(all.storage, all.unpacked, NAME, &digest, FALSE, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
        assert_string_equal(error->message, told);
    }
    fixture_clear(&all);
}

/* --- several disks --- */

/* Two disks by one index, the second of which need not be there. */
static IngotDigest put_two(const Fixture *all, guint disks_of_config, const IngotDescriptor *second)
{
    g_autoptr(json_t) description = ingot_config_new("amd64", INGOT_BLOCK_SIZE);
    for (guint i = 1; i < disks_of_config; i++) {
        ingot_config_add_disk(description, INGOT_BLOCK_SIZE);
    }
    char *text = ingot_json_canonical(description);
    const IngotDescriptor config = push_part(all->storage, g_byte_array_new_take((guint8 *)text, strlen(text)));
    g_autoptr(IngotManifest) manifest = ingot_manifest_new(&config, NULL);
    ingot_manifest_add_disk(manifest, &all->index, &all->disk);
    ingot_manifest_add_disk(manifest, &all->index, second);
    g_autofree char *json = ingot_manifest_to_text(manifest);
    const IngotDescriptor *const there[] = {&config, &all->index, &all->disk};
    return put_image_manifest(all->storage, json, there, G_N_ELEMENTS(there));
}

/* As behind an upstream: what is described is laid out, and read only once all of its disks are here. */
static void a_disk_may_come_later(void **state)
{
    Fixture all = fixture_new(state);
    GByteArray *bytes = frame(2, INGOT_BLOCK_SIZE, TRUE);
    const IngotDescriptor second = {.digest = digest_of(bytes), .size = bytes->len};
    const IngotDigest digest = put_two(&all, 2, &second);
    g_autoptr(GError) error = NULL;
    assert_null(view_image_load(all.storage, all.unpacked, NAME, &digest, TRUE, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    g_clear_error(&error);
    g_autoptr(ViewImage) image = view_image_load(all.storage, all.unpacked, NAME, &digest, FALSE, NULL);
    g_autoptr(GPtrArray) files = view_image_files(image, ingot_format_find("qcow2", NULL), NULL);
    assert_null(image->read);
    assert_int_equal(files->len, 2);
    assert_false(view_image_has_come(image, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    push_part(all.storage, bytes);
    assert_true(view_image_has_come(image, NULL));
    g_autoptr(ViewImage) whole = view_image_load(all.storage, all.unpacked, NAME, &digest, TRUE, NULL);
    assert_int_equal(ingot_disk_count(whole->read), 2);
    g_clear_pointer(&files, g_ptr_array_unref);
    g_clear_pointer(&image, view_image_unref);
    g_clear_pointer(&whole, view_image_unref);
    fixture_clear(&all);
}

static void a_config_of_other_disks_is_refused(void **state)
{
    Fixture all = fixture_new(state);
    for (guint disks = 1; disks <= 3; disks += 2) {
        const IngotDigest digest = put_two(&all, disks, &all.disk);
        g_autoptr(GError) error = NULL;
        assert_null(view_image_load(all.storage, all.unpacked, NAME, &digest, FALSE, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    }
    fixture_clear(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_config_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_config_has_a_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_index_is_counted_before_it_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_index_of_an_older_release_is_not_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_may_come_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_config_of_other_disks_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
