/* The kept samples of every format version are read, and whatever is damaged in them is found and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ingot/disk.h>
#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/store.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/file.h"
#include "base/process.h"
#include "format/all.h"

#define RAW_DIGEST "sha256:87a764f089c00f925f234a6a307e666c69303cfce5396763d274e6e056e3c238"
#define MANIFEST "sha256:549dc44689c5ad552240755428e2b5851814a110b4083a683bfbd8a8d70a7bbb"
#define CHUNKS 17

/* A copy of the sample that a test may spoil. */
typedef struct {
    IngotWorkdir *workdir;
    IngotStore *store;
    IngotImage *image;
    char *out; /* where an export would go */
} Sample;

static int set_up(void **state)
{
    Sample *sample = g_new0(Sample, 1);
    sample->workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(sample->workdir, "store");
    const char *const argv[] = {"cp", "-r", "tests/samples/v1", path, NULL};
    assert_true(ingot_process_run(argv, NULL, NULL, NULL));
    sample->store = ingot_store_open(path, NULL);
    assert_non_null(sample->store);
    g_autoptr(IngotReference) reference = ingot_reference_parse("sample:1.0.0", NULL);
    sample->image = ingot_store_image(sample->store, reference, NULL);
    assert_non_null(sample->image);
    sample->out = ingot_workdir_file(sample->workdir, "out");
    *state = sample;
    return 0;
}

static int tear_down(void **state)
{
    Sample *sample = *state;
    ingot_image_free(sample->image);
    ingot_store_free(sample->store);
    ingot_workdir_free(sample->workdir);
    g_free(sample->out);
    g_free(sample);
    return 0;
}

static char *digest_of_file(const char *path)
{
    g_autoptr(GBytes) bytes = ingot_file_read(path, 4 << 20, NULL);
    IngotDigest digest;
    ingot_digest_of(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &digest);
    return ingot_digest_to_text(&digest);
}

static gboolean export_raw(IngotDisk *disk, const char *path, GError **error)
{
    return ingot_format_export(&format_raw, &(IngotFormatInput){.disk = disk}, path, NULL, error);
}

static void v1_is_read(void **state)
{
    const Sample *sample = *state;
    const IngotImage *image = sample->image;
    g_autofree char *manifest = ingot_digest_to_text(&image->entry->manifest.digest);
    assert_string_equal(manifest, MANIFEST);
    assert_int_equal(ingot_image_part(image, 0)->index->chunks->len, CHUNKS);
    assert_int_equal(json_integer_value(json_object_get(image->config, "version")), 1);
    g_autoptr(IngotDisk) disk =
        ingot_disk_open(ingot_image_part(image, 0)->path, ingot_image_part(image, 0)->index, NULL);
    assert_non_null(disk);
    assert_true(ingot_disk_verify(disk, NULL, NULL));
    assert_true(export_raw(disk, sample->out, NULL));
    g_autoptr(GBytes) raw = ingot_file_read(sample->out, 4 << 20, NULL);
    assert_non_null(raw);
    assert_int_equal(g_bytes_get_size(raw), ingot_image_part(image, 0)->index->disk_size);
    g_autofree char *text = digest_of_file(sample->out);
    assert_string_equal(text, RAW_DIGEST);
}

/* Whatever is written again is written alike: nothing of the format depends on who writes it. */
static void v1_is_written_alike(void **state)
{
    const Sample *sample = *state;
    g_autoptr(GBytes) kept =
        ingot_store_read(sample->store, &ingot_manifest_disk(sample->image->manifest, 0)->index.digest, 1 << 20, NULL);
    assert_non_null(kept);
    g_autoptr(GBytes) again = ingot_index_serialize(ingot_image_part(sample->image, 0)->index);
    assert_true(g_bytes_equal(kept, again));
    g_autofree char *manifest = ingot_manifest_to_text(sample->image->manifest);
    IngotDigest digest;
    ingot_digest_of(manifest, strlen(manifest), &digest);
    g_autofree char *text = ingot_digest_to_text(&digest);
    assert_string_equal(text, MANIFEST);
}

static void ranges_are_the_file_s(void **state)
{
    const Sample *sample = *state;
    g_autoptr(IngotDisk) disk =
        ingot_disk_open(ingot_image_part(sample->image, 0)->path, ingot_image_part(sample->image, 0)->index, NULL);
    assert_true(export_raw(disk, sample->out, NULL));
    g_autoptr(GBytes) raw = ingot_file_read(sample->out, 4 << 20, NULL);
    gsize size;
    const guint8 *bytes = g_bytes_get_data(raw, &size);
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    g_autofree guint8 *buffer = g_malloc(300000);
    for (guint i = 0; i < 300; i++) {
        gsize length = (gsize)g_rand_int_range(random, 1, 300000);
        gsize offset = (gsize)g_rand_int_range(random, 0, (gint32)(size - length + 1));
        assert_true(ingot_disk_read(disk, offset, buffer, length, NULL));
        assert_memory_equal(buffer, bytes + offset, length);
    }
}

/* One byte of the file changed, or the file cut off: -1 changes nothing. */
static void spoil(const char *path, goffset flip, goffset cut)
{
    chmod(path, 0600);
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR, 0, NULL);
    assert_true(fd >= 0);
    if (flip >= 0) {
        guint8 byte;
        assert_int_equal(pread(fd, &byte, 1, flip), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, flip), 1);
    }
    assert_true(cut < 0 || ftruncate(fd, cut) == 0);
}

/* Reading the whole image fails with an error that names the file, and leaves nothing at the output. A frame has a few
 * bits that say nothing of its content: with those changed, the disk is still the disk. */
static void assert_found(const Sample *sample, const char *path, int code)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotReference) reference = ingot_reference_parse("sample:1.0.0", NULL);
    IngotImage *image = ingot_store_image(sample->store, reference, &error);
    if (image != NULL) {
        g_autoptr(IngotDisk) disk =
            ingot_disk_open(ingot_image_part(image, 0)->path, ingot_image_part(image, 0)->index, &error);
        if (disk != NULL && export_raw(disk, sample->out, &error)) {
            g_autofree char *digest = digest_of_file(sample->out);
            assert_string_equal(path, ingot_image_part(image, 0)->path);
            assert_string_equal(digest, RAW_DIGEST);
            assert_int_equal(unlink(sample->out), 0);
            ingot_image_free(image);
            return;
        }
        ingot_image_free(image);
    }
    assert_non_null(error);
    assert_true(g_error_matches(error, INGOT_ERROR, code));
    g_autofree char *name = g_path_get_basename(path);
    assert_non_null(strstr(error->message, name));
    assert_false(g_file_test(sample->out, G_FILE_TEST_EXISTS));
}

static void every_flip_is_found(void **state)
{
    const Sample *sample = *state;
    const IngotManifest *manifest = sample->image->manifest;
    const IngotDescriptor *parts[] = {&ingot_manifest_disk(manifest, 0)->disk, &ingot_manifest_disk(manifest, 0)->index,
                                      &manifest->config, &sample->image->entry->manifest};
    for (guint part = 0; part < G_N_ELEMENTS(parts); part++) {
        g_autofree char *path = ingot_store_blob_path(sample->store, &parts[part]->digest);
        goffset step = MAX(1, (goffset)parts[part]->size / 97);
        for (goffset at = 0; at < (goffset)parts[part]->size; at += step) {
            spoil(path, at, -1);
            assert_found(sample, path, INGOT_ERROR_CORRUPT);
            spoil(path, at, -1);
        }
    }
}

static void every_cut_is_found(void **state)
{
    const Sample *sample = *state;
    const IngotManifest *manifest = sample->image->manifest;
    const IngotDescriptor *parts[] = {&ingot_manifest_disk(manifest, 0)->disk, &ingot_manifest_disk(manifest, 0)->index,
                                      &manifest->config};
    for (guint part = 0; part < G_N_ELEMENTS(parts); part++) {
        g_autofree char *path = ingot_store_blob_path(sample->store, &parts[part]->digest);
        goffset ends[] = {(goffset)parts[part]->size - 1, (goffset)parts[part]->size / 2, 0};
        for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
            spoil(path, -1, ends[i]);
            /* A disk that was cut counts as not there: then it is pulled again. */
            assert_found(sample, path, part == 0 ? INGOT_ERROR_NOT_FOUND : INGOT_ERROR_CORRUPT);
        }
        /* The next part is reached again only with this one whole. */
        const char *const argv[] = {"cp", "-rT", "tests/samples/v1", ingot_store_path(sample->store), NULL};
        assert_true(ingot_process_run(argv, NULL, NULL, NULL));
    }
}

static void damage_names_its_place(void **state)
{
    const Sample *sample = *state;
    const IngotChunk *chunk = ingot_index_chunk(ingot_image_part(sample->image, 0)->index, 2);
    spoil(ingot_image_part(sample->image, 0)->path, (goffset)chunk->stored_offset + 9, -1);
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotDisk) disk =
        ingot_disk_open(ingot_image_part(sample->image, 0)->path, ingot_image_part(sample->image, 0)->index, NULL);
    assert_false(ingot_disk_verify(disk, NULL, &error));
    g_autofree char *place = g_strdup_printf("offset %" G_GUINT64_FORMAT, chunk->stored_offset);
    assert_non_null(strstr(error->message, place));
    assert_non_null(strstr(error->message, ingot_image_part(sample->image, 0)->path));
}

/* The index of a version to come: the magic and the version stand first in all of them. */
static void a_newer_index_is_refused_by_name(void **state)
{
    (void)state;
    guint8 text[64] = "INGOTIDX\x02", packed[256];
    size_t size = ZSTD_compress(packed, sizeof packed, text, sizeof text, 1);
    g_autoptr(GError) error = NULL;
    assert_null(ingot_index_parse(packed, size, "some.index", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW));
    assert_non_null(strstr(error->message, "some.index: index version 2"));
}

static char *manifest_with(const Sample *sample, const char *from, const char *to)
{
    g_autofree char *text = ingot_manifest_to_text(sample->image->manifest);
    g_auto(GStrv) parts = g_strsplit(text, from, -1);
    assert_true(g_strv_length(parts) > 1);
    return g_strjoinv(to, parts);
}

static void a_newer_manifest_is_refused_by_name(void **state)
{
    static const char *const types[][2] = {
        {INGOT_TYPE_IMAGE, "application/vnd.ingot.image.v2"},
        {INGOT_TYPE_CONFIG, "application/vnd.ingot.config.v2+json"},
        {INGOT_TYPE_INDEX, "application/vnd.ingot.index.v2+zstd"},
        {INGOT_TYPE_DISK, "application/vnd.ingot.disk.v2+zstd"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
        g_autofree char *text = manifest_with(*state, types[i][0], types[i][1]);
        g_autoptr(GError) error = NULL;
        assert_null(ingot_manifest_parse(text, strlen(text), "web:1.0.0", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW));
        assert_non_null(strstr(error->message, types[i][1]));
    }
}

static void a_newer_config_is_refused_by_name(void **state)
{
    (void)state;
    static const char text[] = "{\"version\":3,\"architecture\":\"amd64\",\"disk\":{\"size\":512}}";
    g_autoptr(GError) error = NULL;
    assert_null(ingot_config_parse(text, strlen(text), "web:1.0.0", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW));
    assert_non_null(strstr(error->message, "3"));
}

static void another_artifact_is_refused_by_name(void **state)
{
    g_autofree char *text = manifest_with(*state, INGOT_TYPE_IMAGE, "application/vnd.cncf.helm.chart");
    g_autoptr(GError) error = NULL;
    assert_null(ingot_manifest_parse(text, strlen(text), "chart:1.0.0", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "application/vnd.cncf.helm.chart"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(v1_is_read),
        TEST(v1_is_written_alike),
        TEST(ranges_are_the_file_s),
        TEST(every_flip_is_found),
        TEST(every_cut_is_found),
        TEST(damage_names_its_place),
        TEST(a_newer_index_is_refused_by_name),
        TEST(a_newer_manifest_is_refused_by_name),
        TEST(a_newer_config_is_refused_by_name),
        TEST(another_artifact_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
