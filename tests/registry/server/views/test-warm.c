/* Warm: what has begun ends, however seldom its client comes again, and what is worked out unasked is. */
#include "../fixture.h"

#include <ingot/manifest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include "../../image/onedisk.h"
#include "server/views/warm.h"

#define NAME "team/web"
#define CHUNK 65536                     /* bytes */
#define AHEAD (10 * G_TIME_SPAN_MINUTE) /* by which the clock is then */

static gint jumps;  /* atomic: the clock may jump */
static gint jumped; /* atomic */
static gint looks;  /* atomic: of the thread that works */

/* In the place of GLib's: where it may jump, the thread that works finds the clock ahead at its second look, once it
 * has begun. */
gint64 g_get_monotonic_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    if (g_atomic_int_get(&jumps) && strcmp(name, "warm") == 0 && g_atomic_int_add(&looks, 1) > 0) {
        g_atomic_int_set(&jumped, 1);
    }
    return now.tv_sec * G_TIME_SPAN_SECOND + now.tv_nsec / 1000 + (g_atomic_int_get(&jumped) != 0 ? AHEAD : 0);
}

static gint held; /* atomic: the threads that work do not begin */

/* In the place of libc's, which each of those threads asks first. */
int setpriority(__priority_which_t which, id_t who, int priority)
{
    (void)which, (void)who, (void)priority;
    while (g_atomic_int_get(&held) != 0) {
        g_usleep(1000);
    }
    return 0;
}

static IngotDescriptor push_part(Storage *storage, const void *data, gsize size)
{
    GByteArray *bytes = g_byte_array_new();
    g_byte_array_append(bytes, data, (guint)size);
    const IngotDescriptor part = {.digest = push(storage, NAME, bytes), .size = size};
    g_byte_array_unref(bytes);
    return part;
}

static IngotDigest put_image(Storage *storage, guint seed, guint chunks)
{
    g_autoptr(IngotIndex) index = ingot_index_new("none", CHUNK);
    g_autoptr(GByteArray) disk = g_byte_array_new();
    for (guint i = seed; i < seed + chunks; i++) {
        g_autoptr(GByteArray) plain = noise(i, CHUNK);
        GByteArray *packed = frame(i, CHUNK, TRUE);
        const IngotDigest digest = digest_of(plain);
        ingot_index_add(index, &digest, CHUNK, packed->len);
        add_bytes(disk, packed);
    }
    g_autoptr(GBytes) packed = ingot_index_serialize(index);
    g_autoptr(json_t) json = ingot_config_new("amd64", (guint64)chunks * CHUNK);
    g_autofree char *config = ingot_json_canonical(json);
    const OneDisk parts = {.config = push_part(storage, config, strlen(config)),
                           .index = push_part(storage, g_bytes_get_data(packed, NULL), g_bytes_get_size(packed)),
                           .disk = push_part(storage, disk->data, disk->len)};
    g_autofree char *text = one_disk_text(&parts, NULL);
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    const IngotDescriptor *all[] = {&parts.config, &parts.index, &parts.disk};
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        const Mention mention = {.digest = all[i]->digest};
        g_array_append_val(mentions, mention);
    }
    const StorageManifest manifest = {
        .data = text, .size = strlen(text), .type = INGOT_TYPE_MANIFEST, .mentions = mentions};
    IngotDigest digest;
    assert_true(storage_put_manifest(storage, NAME, &manifest, &digest, NULL));
    return digest;
}

static gboolean stays(gpointer user)
{
    (void)user;
    return FALSE;
}

static void what_has_begun_ends(void **state)
{
    g_atomic_int_set(&jumps, TRUE);
    Storage *storage = open_storage(state);
    g_autofree char *folder = ingot_workdir_file(*state, "unpacked");
    const IngotDigest digest = put_image(storage, 0, 20);
    g_autofree char *reference = ingot_digest_to_text(&digest);
    g_autoptr(GError) error = NULL;
    Views *views = views_new(storage, folder, 0);
    g_autoptr(ViewImage) image = views_image(views, NAME, reference, &error);
    assert_non_null(image);
    Warm *warm = warm_start(views, &error);
    assert_non_null(warm);
    const WarmWish wish = {.name = NAME, .reference = reference, .format = "raw", .sums = TRUE};
    const IngotFormat *raw = ingot_format_find("raw", NULL);
    g_autoptr(GPtrArray) files = view_image_files(image, raw, &error);
    IngotDigest sum;
    assert_int_equal(warm_wait(warm, &wish, 0, stays, NULL, &error), WARM_LATER);
    gboolean known = FALSE;
    for (guint i = 0; i < 1000 && !known; i++) {
        g_usleep(10000);
        known = view_image_digest(image, raw, g_ptr_array_index(files, 0), &sum, NULL);
    }
    assert_true(known);
    warm_stop(warm);
    g_clear_pointer(&files, g_ptr_array_unref);
    g_clear_pointer(&image, view_image_unref);
    views_free(views);
    storage_close(storage);
    g_atomic_int_set(&jumps, FALSE);
    g_atomic_int_set(&jumped, FALSE);
}

/* --- lines --- */

#define MANY 70 /* more than the line of those that were asked for may have */

static gboolean has_left(gpointer user)
{
    (void)user;
    return TRUE;
}

static gboolean has_sum(Views *views, const char *reference)
{
    const IngotFormat *raw = ingot_format_find("raw", NULL);
    g_autoptr(ViewImage) image = views_image(views, NAME, reference, NULL);
    g_autoptr(GPtrArray) files = view_image_files(image, raw, NULL);
    IngotDigest sum;
    return view_image_digest(image, raw, g_ptr_array_index(files, 0), &sum, NULL);
}

/* What a list has named is worked out, also where clients of one network ask for more of it than may be in line, and
 * leave. */
static void what_is_asked_for_is_still_worked_out_unasked(void **state)
{
    Storage *storage = open_storage(state);
    g_autofree char *folder = ingot_workdir_file(*state, "unpacked");
    g_autoptr(GPtrArray) references = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    Views *views = views_new(storage, folder, 0);
    g_atomic_int_set(&held, 1);
    Warm *warm = warm_start(views, &error);
    assert_non_null(warm);
    for (guint i = 0; i < MANY; i++) {
        const IngotDigest digest = put_image(storage, 1000 + i, 1);
        g_ptr_array_add(references, ingot_digest_to_text(&digest));
    }
    for (gint listed = TRUE; listed >= FALSE; listed--) {
        for (guint i = 0; i < MANY; i++) {
            const WarmWish wish = {.name = NAME,
                                   .reference = g_ptr_array_index(references, i),
                                   .format = "raw",
                                   .sums = TRUE,
                                   .listed = listed,
                                   .network = listed ? 0 : 7};
            gint64 until = listed ? 0 : g_get_monotonic_time() + G_TIME_SPAN_SECOND / 20;
            assert_int_equal(warm_wait(warm, &wish, until, has_left, NULL, &error), WARM_LATER);
        }
    }
    g_atomic_int_set(&held, 0);
    guint known = 0;
    for (guint i = 0; i < 3000 && known < MANY; i++) {
        known += has_sum(views, g_ptr_array_index(references, known));
        g_usleep(10000);
    }
    assert_int_equal(known, MANY);
    warm_stop(warm);
    views_free(views);
    storage_close(storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_has_begun_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_asked_for_is_still_worked_out_unasked, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
