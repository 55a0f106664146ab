/* Images in memory: bounded by bytes, the one used longest ago going first; the indexes of all together too. */
#include "server/views/imagecache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LARGE (IMAGE_CACHE_MAX / 3) /* bytes of an image's chunks: three are too many, with what goes with them */

static void clear_disk(gpointer disk)
{
    ingot_index_unref(((ViewDisk *)disk)->index);
}

/* One of that number, whose index takes so many bytes. */
static ViewImage *make_image(guint16 number, gsize bytes)
{
    ViewImage *image = g_new0(ViewImage, 1);
    g_atomic_ref_count_init(&image->references);
    g_mutex_init(&image->lock);
    image->formats = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
    image->name = g_strdup("team/web");
    memcpy(image->manifest.bytes, &number, sizeof number);
    const ViewDisk disk = {.index = ingot_index_new("none", 32768)};
    for (gsize i = 0; i < bytes / sizeof(IngotChunk); i++) {
        ingot_index_add(disk.index, NULL, INGOT_BLOCK_SIZE, 10);
    }
    image->disks = g_array_new(FALSE, FALSE, sizeof disk);
    g_array_set_clear_func(image->disks, clear_disk);
    g_array_append_val(image->disks, disk);
    return image;
}

static void add(ImageCache *cache, guint16 number, gsize bytes)
{
    g_autoptr(ViewImage) image = make_image(number, bytes);
    image_cache_add(cache, image);
}

static gboolean has(ImageCache *cache, guint16 number)
{
    IngotDigest manifest = {0};
    memcpy(manifest.bytes, &number, sizeof number);
    g_autoptr(ViewImage) image = image_cache_find(cache, "team/web", &manifest);
    return image != NULL;
}

static void bytes_are_bounded(void **state)
{
    (void)state;
    ImageCache *cache = image_cache_new();
    for (guint16 i = 1; i <= 2; i++) {
        add(cache, i, LARGE);
    }
    assert_true(has(cache, 2));
    assert_true(has(cache, 1)); /* the last used now */
    add(cache, 3, LARGE);
    assert_true(has(cache, 3));
    assert_true(has(cache, 1));
    assert_false(has(cache, 2));
    for (guint16 i = 4; i < 300; i++) { /* small ones are not many without end either */
        add(cache, i, 1);
    }
    assert_true(has(cache, 299));
    assert_false(has(cache, 4));
    image_cache_free(cache);
}

static void the_last_one_is_kept_however_large(void **state)
{
    (void)state;
    ImageCache *cache = image_cache_new();
    add(cache, 1, 1);
    add(cache, 2, 2 * IMAGE_CACHE_MAX);
    assert_true(has(cache, 2));
    assert_false(has(cache, 1));
    add(cache, 3, 1);
    assert_true(has(cache, 3));
    assert_false(has(cache, 2));
    image_cache_free(cache);
}

static gboolean is_second(const ViewImage *image, gpointer user)
{
    (void)user;
    return image->manifest.bytes[0] == 2;
}

static void removed_images_go(void **state)
{
    (void)state;
    ImageCache *cache = image_cache_new();
    for (guint16 i = 1; i <= 3; i++) {
        add(cache, i, 1);
    }
    image_cache_drop(cache, is_second, NULL);
    assert_true(has(cache, 1) && has(cache, 3));
    assert_false(has(cache, 2));
    image_cache_drop(cache, NULL, NULL);
    assert_false(has(cache, 1) || has(cache, 3));
    image_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_bounded),
        cmocka_unit_test(the_last_one_is_kept_however_large),
        cmocka_unit_test(removed_images_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
