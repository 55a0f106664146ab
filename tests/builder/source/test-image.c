/* A disk of somebody else's: taken only if it is the one that the recipe names, and whole. */
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../registry/remote/serve.h"
#include "base/file.h"
#include "base/process.h"
#include "machine/overlay.h"
#include "source/source.h"

typedef struct {
    IngotWorkdir *workdir;
    char *disk, *overlay, *cache;
    Recipe recipe;
} Fixture;

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->disk = ingot_workdir_file(fixture->workdir, "disk.qcow2");
    fixture->overlay = ingot_workdir_file(fixture->workdir, "overlay.qcow2");
    fixture->cache = ingot_workdir_file(fixture->workdir, "cache");
    fixture->recipe.folder = (char *)ingot_workdir_path(fixture->workdir);
    const char *whole[] = {"qemu-img", "create", "-q", "-f", "qcow2", fixture->disk, "8M", NULL};
    const char *overlay[] = {"qemu-img", "create",         "-q", "-f", "qcow2", "-b", fixture->disk, "-F",
                             "qcow2",    fixture->overlay, NULL};
    assert_true(ingot_process_run(whole, NULL, NULL, NULL));
    assert_true(ingot_process_run(overlay, NULL, NULL, NULL));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    json_decref(fixture->recipe.tree);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->disk);
    g_free(fixture->overlay);
    g_free(fixture->cache);
    g_free(fixture);
    return 0;
}

static char *hex_of(const char *path)
{
    IngotDigest digest;
    assert_true(ingot_digest_of_file(path, &digest, NULL, NULL));
    g_autofree char *text = ingot_digest_to_text(&digest);
    return g_strdup(text + strlen("sha256:"));
}

/* By the recipe as it is. */
static Source *prepare_again(const Fixture *fixture)
{
    SourceContext context = {
        .recipe = &fixture->recipe,
        .cache = fixture->cache,
        .workdir = ingot_workdir_path(fixture->workdir),
    };
    g_autoptr(SourceIdentity) identity = source_identify(&context, NULL);
    return identity == NULL ? NULL : source_prepare(&context, identity, NULL);
}

/* A plan knows the disk that a build stands on, but for one that is not kept. */
static void expect_looked(const SourceContext *context, const SourceIdentity *identity, const Source *made)
{
    g_auto(SourceLook) look = source_look(context, identity);
    if (made != NULL && strstr(made->path, "/bundle/") == NULL) {
        assert_string_equal(look.disk, made->path);
    }
    assert_null(look.due);
}

/* format: NULL: its content tells. */
static Source *prepare_as(Fixture *fixture, const char *name, const char *format, const char *sha256, char **key,
                          GError **error)
{
    json_decref(fixture->recipe.tree);
    fixture->recipe.tree = json_pack("{s:{s:s, s:s, s:s*, s:s}}", "source", "kind", "image", "path", name, "format",
                                     format, "sha256", sha256);
    SourceContext context = {
        .recipe = &fixture->recipe,
        .cache = fixture->cache,
        .workdir = ingot_workdir_path(fixture->workdir),
    };
    g_autoptr(SourceIdentity) identity = source_identify(&context, error);
    *key = identity == NULL ? NULL : g_strdup(source_identity_key(identity));
    Source *made = identity == NULL ? NULL : source_prepare(&context, identity, error);
    if (identity != NULL) {
        expect_looked(&context, identity, made);
    }
    return made;
}

static Source *prepare(Fixture *fixture, const char *name, const char *sha256, char **key, GError **error)
{
    return prepare_as(fixture, name, NULL, sha256, key, error);
}

static void test_taken_where_it_lies(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *sha256 = hex_of(fixture->disk);
    g_autofree char *key = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(Source) source = prepare(fixture, "disk.qcow2", sha256, &key, &error);
    assert_null(error);
    assert_string_equal(source->path, fixture->disk);
    assert_string_equal(source->format, "qcow2");
    assert_null(source->sealed);
}

static void test_wrong_digest(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *sha256 = hex_of(fixture->disk);
    g_autofree char *other = hex_of(fixture->overlay);
    g_autofree char *key = NULL;
    g_autoptr(GError) error = NULL;
    assert_null(prepare(fixture, "disk.qcow2", other, &key, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_non_null(strstr(error->message, sha256));
    assert_non_null(strstr(error->message, other));
}

/* A file that has been checked is checked anew once it was touched. */
static void test_changed_since(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *sha256 = hex_of(fixture->disk);
    g_autofree char *key = NULL;
    g_autofree char *same_key = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(Source) source = prepare(fixture, "disk.qcow2", sha256, &key, &error);
    assert_non_null(source);
    assert_true(g_file_set_contents(fixture->disk, "QFI\xfb", 4, NULL));
    assert_null(prepare(fixture, "disk.qcow2", sha256, &same_key, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_string_equal(key, same_key);
}

/* One byte of a disk that was found right once, changed in place; then it gets back the time that it had. */
static void test_old_time_put_back(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL, *same_key = NULL, *sha256 = hex_of(fixture->disk);
    const char *write[] = {"qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", fixture->disk, NULL};
    const char *put_back[] = {"touch", "-d", "@1000000000", fixture->disk, NULL};
    g_autoptr(GError) error = NULL;
    assert_true(ingot_process_run(put_back, NULL, NULL, NULL));
    g_usleep(G_USEC_PER_SEC / 5); /* a file that has just changed is not remembered */
    g_autoptr(Source) source = prepare(fixture, "disk.qcow2", sha256, &key, NULL);
    g_autofree char *record = g_strdup_printf("%s/sources/image-%s.checked", fixture->cache, sha256);
    assert_true(source != NULL && g_file_test(record, G_FILE_TEST_EXISTS));
    assert_true(ingot_process_run(write, NULL, NULL, NULL) && ingot_process_run(put_back, NULL, NULL, NULL));
    struct stat info;
    assert_int_equal(stat(fixture->disk, &info), 0);
    assert_int_equal(info.st_mtim.tv_sec, 1000000000);
    assert_null(prepare(fixture, "disk.qcow2", sha256, &same_key, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

static void test_backing_file(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *sha256 = hex_of(fixture->overlay);
    g_autofree char *key = NULL;
    g_autoptr(GError) error = NULL;
    assert_null(prepare(fixture, "overlay.qcow2", sha256, &key, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, fixture->disk));
}

/* A Vagrant box with the fixture's disk in it, web.box: its path. Free it. */
static char *make_box(const Fixture *fixture)
{
    char *box = ingot_workdir_file(fixture->workdir, "web.box");
    g_autofree char *metadata = ingot_workdir_file(fixture->workdir, "metadata.json");
    const char *tar[] = {"tar",
                         "-C",
                         ingot_workdir_path(fixture->workdir),
                         "--transform=s/disk.qcow2/box.img/",
                         "-czf",
                         box,
                         "metadata.json",
                         "disk.qcow2",
                         NULL};
    assert_true(g_file_set_contents(metadata, "{\"provider\": \"libvirt\"}", -1, NULL));
    assert_true(ingot_process_run(tar, NULL, NULL, NULL));
    return box;
}

/* A box's disk is taken out of it once, and is the same. */
static void test_box(void **state)
{
    Fixture *fixture = *state;
    const char *write[] = {"qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 64k", fixture->disk, NULL};
    g_autofree char *key = NULL, *again_key = NULL;
    g_autoptr(GError) error = NULL;
    assert_true(ingot_process_run(write, NULL, NULL, NULL));
    g_autofree char *box = make_box(fixture);
    g_autofree char *sha256 = hex_of(box);
    g_autoptr(Source) source = prepare(fixture, "web.box", sha256, &key, &error);
    assert_null(error);
    assert_true(g_str_has_prefix(source->path, fixture->cache));
    assert_string_equal(source->format, "qcow2");
    /* The digest is that of the recipe's file; of where it came from and of package sources nothing is known. */
    g_autoptr(json_t) said = json_pack("{s:s, s:s}", "kind", "image", "sha256", sha256);
    assert_true(json_equal(json_object_get(source->config, "source"), said));
    const char *compare[] = {"qemu-img", "compare", "-q", source->path, fixture->disk, NULL};
    assert_true(ingot_process_run(compare, NULL, NULL, NULL));
    struct stat first, second;
    assert_int_equal(stat(source->path, &first), 0);
    g_autoptr(Source) again = prepare(fixture, "web.box", sha256, &again_key, &error);
    assert_null(error);
    assert_int_equal(stat(again->path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
}

/* --- what the machine is --- */

/* web.tar of a text and of the fixture's disk, twice; its digest. Free it. */
static char *make_bundle(const Fixture *fixture, const char *file, const char *text)
{
    g_autofree char *path = ingot_workdir_file(fixture->workdir, file);
    g_autofree char *bundle = ingot_workdir_file(fixture->workdir, "web.tar");
    g_autofree char *copy = ingot_workdir_file(fixture->workdir, "box.img");
    const char *tar[] = {"tar", "-cf", bundle, "-C", fixture->recipe.folder, file, "disk.qcow2", "box.img", NULL};
    assert_true(g_file_set_contents(path, text, -1, NULL));
    assert_true(ingot_file_copy(fixture->disk, copy, NULL));
    assert_true(ingot_process_run(tar, NULL, NULL, NULL));
    return hex_of(bundle);
}

#define OVF(firmware)                                                                                                  \
    "<Envelope><References><File id='f' href='disk.qcow2'/></References><DiskSection><Disk diskId='d' fileRef='f'/>"   \
    "</DiskSection><VirtualSystem><VirtualHardwareSection><Config key='firmware' value='" firmware                     \
    "'/></VirtualHardwareSection></VirtualSystem></Envelope>"

/* It is known again when the disk is only found in the cache, and made anew where it is not. */
static void test_firmware(void **state)
{
    static const char *const firmwares[] = {"efi", "bios"};
    Fixture *fixture = *state;
    for (guint i = 0; i < G_N_ELEMENTS(firmwares); i++) {
        g_autofree char *sha256 = make_bundle(fixture, "web.ovf", i == 0 ? OVF("efi") : OVF("bios"));
        for (guint time = 0; time < 3; time++) {
            g_autoptr(GError) error = NULL;
            g_autofree char *key = NULL;
            g_autoptr(Source) source = prepare(fixture, "web.tar", sha256, &key, &error);
            assert_null(error);
            const json_t *firmware = json_object_get(source->config, "firmware");
            assert_int_equal(json_array_size(firmware), i == 0 ? 1 : 0);
            g_autofree char *folder = g_path_get_dirname(source->path);
            g_autofree char *kept = g_build_filename(folder, "machine.json", NULL);
            assert_true(time != 1 || unlink(kept) == 0);
        }
    }
}

static void expect_machine_refused(Fixture *fixture, const char *name, const char *told)
{
    g_autofree char *path = ingot_workdir_file(fixture->workdir, name);
    g_autofree char *sha256 = hex_of(path), *key = NULL;
    g_autoptr(GError) error = NULL;
    assert_null(prepare(fixture, name, sha256, &key, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, name));
    assert_non_null(strstr(error->message, told));
}

static void test_machines_that_are_not_built_on(void **state)
{
    static const char arm[] = "{\"provider\": \"libvirt\", \"architecture\": \"arm64\"}";
    static const char two[] = "{\"provider\": \"libvirt\", \"disks\": [{\"path\": \"disk.qcow2\"},"
                              " {\"path\": \"box.img\"}]}";
    Fixture *fixture = *state;
    g_free(make_bundle(fixture, "metadata.json", arm));
    expect_machine_refused(fixture, "web.tar", "a machine of arm64");
    g_free(make_bundle(fixture, "metadata.json", two));
    expect_machine_refused(fixture, "web.tar", "2 disks (disk.qcow2, box.img)");
    g_free(make_bundle(fixture, "web.ovf", OVF("efi")));
    expect_machine_refused(fixture, "web.ovf", "one digest");
}

/* The text that names a VMDK's extents stays as it is when they change. */
static void test_disk_of_several_files(void **state)
{
    static const char *const formats[] = {NULL, "vmdk"};
    Fixture *fixture = *state;
    g_autofree char *path = ingot_workdir_file(fixture->workdir, "several.vmdk");
    const char *convert[] = {"qemu-img", "convert", "-O",          "vmdk", "-o", "subformat=monolithicFlat",
                             "-f",       "qcow2",   fixture->disk, path,   NULL};
    assert_true(ingot_process_run(convert, NULL, NULL, NULL));
    g_autofree char *sha256 = hex_of(path);
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree char *key = NULL;
        g_autoptr(GError) error = NULL;
        assert_null(prepare_as(fixture, "several.vmdk", formats[i], sha256, &key, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, "several-flat.vmdk"));
    }
}

/* A cache where nothing can be written: the check and what was taken out of a box are for this build alone. */
static void test_no_cache_to_write_to(void **state)
{
    Fixture *fixture = *state;
    g_free(make_box(fixture));
    assert_true(g_file_set_contents(fixture->cache, "not a folder", -1, NULL));
    const char *const names[] = {"disk.qcow2", "web.box"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *file = ingot_workdir_file(fixture->workdir, names[i]);
        g_autofree char *sha256 = hex_of(file), *key = NULL;
        g_autoptr(GError) error = NULL;
        g_autoptr(Source) source = prepare(fixture, names[i], sha256, &key, &error);
        assert_null(error);
        assert_true(g_str_has_prefix(source->path, ingot_workdir_path(fixture->workdir)));
        const char *compare[] = {"qemu-img", "compare", "-q", source->path, fixture->disk, NULL};
        assert_true(ingot_process_run(compare, NULL, NULL, NULL));
    }
}

/* What a build would download is said, without a login; what is kept is not downloaded. */
static void test_due_download(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *sha256 = hex_of(fixture->disk), *kept = NULL;
    json_decref(fixture->recipe.tree);
    fixture->recipe.tree = json_pack("{s:{s:s, s:s, s:s}}", "source", "kind", "image", "url",
                                     "https://me:secret@images.example/disk.qcow2", "sha256", sha256);
    SourceContext context = {.recipe = &fixture->recipe,
                             .cache = fixture->cache,
                             .workdir = ingot_workdir_path(fixture->workdir),
                             .look = TRUE};
    g_autoptr(SourceIdentity) identity = source_identify(&context, NULL);
    g_auto(SourceLook) first = source_look(&context, identity);
    assert_string_equal(first.fetch, "https://images.example/disk.qcow2 is downloaded first");
    assert_false(g_file_test(fixture->cache, G_FILE_TEST_EXISTS));
    kept = g_strdup_printf("%s/sources/image-%s", fixture->cache, sha256);
    g_autofree char *sources = g_path_get_dirname(kept);
    assert_true(ingot_file_make_folder(sources, NULL) && g_file_set_contents(kept, "", 0, NULL));
    g_auto(SourceLook) second = source_look(&context, identity);
    assert_null(second.fetch);
}

static char *give_disk(const char *request, gsize sent, gpointer user)
{
    (void)request, (void)sent;
    return serve_text("200 OK", "", user);
}

/* A download that no cache can keep is this build's own. */
static void test_no_cache_for_a_download(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *bytes = g_strnfill(4096, 'd');
    g_autofree char *sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, bytes, -1);
    Serve *serve = serve_new(give_disk, bytes);
    g_autofree char *url = g_strconcat(serve->where, "/disk.raw", NULL);
    fixture->recipe.tree =
        json_pack("{s:{s:s, s:s, s:s, s:s}}", "source", "kind", "image", "url", url, "sha256", sha256, "format", "raw");
    g_free(fixture->cache);
    fixture->cache = g_strdup("/proc/nowhere");
    g_autoptr(Source) made = prepare_again(fixture);
    assert_non_null(made);
    assert_true(g_str_has_prefix(made->path, ingot_workdir_path(fixture->workdir)));
    serve_free(serve);
}

/* A bundle's disk that has rotted in the cache is taken out again. */
static void test_flipped_byte(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL, *again_key = NULL;
    g_autofree char *box = make_box(fixture);
    g_autofree char *sha256 = hex_of(box);
    g_autoptr(Source) source = prepare(fixture, "web.box", sha256, &key, NULL);
    assert_non_null(source);
    g_autofree char *before = hex_of(source->path);
    int fd = open(source->path, O_RDWR);
    assert_true(fd >= 0 && pwrite(fd, "x", 1, 70000) == 1);
    close(fd);
    g_autoptr(Source) again = prepare(fixture, "web.box", sha256, &again_key, NULL);
    assert_non_null(again);
    g_autofree char *after = hex_of(again->path);
    assert_string_equal(before, after);
}

/* What is of no known format is a raw disk only where the recipe says so, or a partition table does. */
static void test_raw(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *raw = ingot_workdir_file(fixture->workdir, "disk.bin");
    g_autofree char *key = NULL, *table_key = NULL;
    guint8 bytes[4096] = {0xeb, 0x63};
    assert_true(g_file_set_contents(raw, (const char *)bytes, sizeof bytes, NULL));
    g_autofree char *sha256 = hex_of(raw);
    g_autoptr(GError) error = NULL;
    assert_null(prepare(fixture, "disk.bin", sha256, &key, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "format: raw"));
    json_object_set_new(json_object_get(fixture->recipe.tree, "source"), "format", json_string("raw"));
    g_autoptr(Source) said = prepare_again(fixture);
    assert_string_equal(said->format, "raw");
    bytes[510] = 0x55;
    bytes[511] = 0xaa;
    assert_true(g_file_set_contents(raw, (const char *)bytes, sizeof bytes, NULL));
    g_autofree char *table_sha256 = hex_of(raw);
    g_autoptr(Source) found = prepare(fixture, "disk.bin", table_sha256, &table_key, NULL);
    assert_string_equal(found->format, "raw");
}

/* A fixed VHD of 8 MiB with a geometry that has less, as VirtualBox writes it. */
static void make_vhd(const char *path)
{
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=fixed,force_size=on",
                                path,       "8M",     NULL};
    static const guint8 says[] = {'v', 'b', 'o', 'x'}, geometry[] = {963 >> 8, 963 & 0xff, 17, 1};
    g_autofree char *bytes = NULL;
    gsize size;
    guint32 sum = 0;
    assert_true(ingot_process_run(argv, NULL, NULL, NULL) && g_file_get_contents(path, &bytes, &size, NULL));
    guint8 *footer = (guint8 *)bytes + size - 512;
    memcpy(footer + 28, says, sizeof says);
    memcpy(footer + 56, geometry, sizeof geometry);
    memset(footer + 64, 0, 4);
    for (guint i = 0; i < 512; i++) {
        sum += footer[i];
    }
    sum = GUINT32_TO_BE(~sum);
    memcpy(footer + 64, &sum, 4);
    assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
}

/* A disk that QEMU would cut at its end is taken out whole, once, also where the recipe tells the format. */
static void test_vhd(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = ingot_workdir_file(fixture->workdir, "disk.vhd"), *key = NULL;
    make_vhd(path);
    g_autofree char *sha256 = hex_of(path);
    g_autoptr(Source) found = prepare(fixture, "disk.vhd", sha256, &key, NULL);
    json_object_set_new(json_object_get(fixture->recipe.tree, "source"), "format", json_string("vpc"));
    g_autoptr(Source) said = prepare_again(fixture);
    const Source *const made[] = {found, said};
    for (guint i = 0; i < G_N_ELEMENTS(made); i++) {
        guint64 size;
        assert_non_null(made[i]);
        assert_string_equal(made[i]->format, "qcow2");
        assert_true(overlay_size(made[i]->path, "qcow2", &size, NULL));
        assert_int_equal(size, 8u << 20);
    }
}

/* The recipe's word for the format counts, whatever the bytes look like. */
static void test_named_format(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *sha256 = hex_of(fixture->disk);
    g_autofree char *key = NULL;
    g_autoptr(Source) found = prepare(fixture, "disk.qcow2", sha256, &key, NULL);
    json_object_set_new(json_object_get(fixture->recipe.tree, "source"), "format", json_string("raw"));
    g_autoptr(Source) said = prepare_again(fixture);
    assert_string_equal(found->format, "qcow2");
    assert_string_equal(said->format, "raw");
}

static void test_broken_box(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *box = ingot_workdir_file(fixture->workdir, "web.box");
    const char *tar[] = {"tar", "-C", ingot_workdir_path(fixture->workdir), "-cf", box, "disk.qcow2", NULL};
    g_autofree char *key = NULL;
    g_autoptr(GError) error = NULL;
    assert_true(ingot_process_run(tar, NULL, NULL, NULL));
    g_autofree char *sha256 = hex_of(box);
    assert_null(prepare(fixture, "web.box", sha256, &key, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "web.box: neither an OVA"));
}

static void test_missing(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *sha256 = hex_of(fixture->disk);
    g_autofree char *key = NULL;
    g_autoptr(GError) error = NULL;
    assert_null(prepare(fixture, "nowhere.qcow2", sha256, &key, &error));
    assert_non_null(strstr(error->message, "nowhere.qcow2"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_taken_where_it_lies),
        TEST(test_wrong_digest),
        TEST(test_changed_since),
        TEST(test_old_time_put_back),
        TEST(test_backing_file),
        TEST(test_missing),
        TEST(test_box),
        TEST(test_firmware),
        TEST(test_machines_that_are_not_built_on),
        TEST(test_disk_of_several_files),
        TEST(test_no_cache_to_write_to),
        TEST(test_broken_box),
        TEST(test_due_download),
        TEST(test_no_cache_for_a_download),
        TEST(test_flipped_byte),
        TEST(test_raw),
        TEST(test_vhd),
        TEST(test_named_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
