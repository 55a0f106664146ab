/* A box becomes an image: with what it says, what is said of it, and each of its disks, of which only new bytes come.
 */
#include "../fixture.h"

#include "base/json.h"
#include "base/process.h"
#include "server/boxes/ingest.h"

#define DISK (1u << 20) /* bytes */

/* Where the storage of the test before had its work has gone. */
static int set_up_anew(void **state)
{
    ingot_workdir_use(NULL);
    return set_up(state);
}

#define ONE "{\"provider\": \"libvirt\", \"format\": \"raw\", \"virtual_size\": 1}"
#define TWO                                                                                                            \
    "{\"provider\": \"libvirt\", \"disks\": [{\"path\": \"box.img\", \"format\": \"raw\"}, "                           \
    "{\"path\": \"box_1.img\", \"format\": \"raw\"}]}"
static const char bare[] = ONE; /* of a box without a Vagrantfile */

/* A box's file, with disks of noise by these seeds (0: no more); free its path. */
static char *make_box(void **state, const char *metadata, guint32 first, guint32 second)
{
    g_autofree char *folder = ingot_workdir_file(*state, "box"),
                    *text = g_build_filename(folder, "metadata.json", NULL);
    char *box = ingot_workdir_file(*state, "web.box");
    const guint32 seeds[] = {first, second, 0};
    assert_true(ingot_file_remove_tree(folder, NULL) && ingot_file_make_folder(folder, NULL));
    assert_true(g_file_set_contents(text, metadata, -1, NULL));
    if (metadata != bare) {
        g_autofree char *file = g_build_filename(folder, "Vagrantfile", NULL);
        assert_true(g_file_set_contents(file, "Vagrant.configure(\"2\") { |config| }\n", -1, NULL));
    }
    for (guint i = 0; seeds[i] != 0; i++) {
        g_autofree char *name = g_strdup_printf(i == 0 ? "box.img" : "box_%u.img", i);
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autoptr(GByteArray) bytes = noise(seeds[i], DISK / 2);
        g_byte_array_set_size(bytes, DISK);
        memset(bytes->data + DISK / 2, 'x', DISK / 2);
        assert_true(g_file_set_contents(path, (const char *)bytes->data, bytes->len, NULL));
    }
    const char *const tar[] = {"tar", "-czf", box, "-C", folder, ".", NULL};
    assert_true(ingot_process_run(tar, NULL, NULL, NULL));
    return box;
}

static const IngestFacts facts = {.version = "1.0.0", .provider = "libvirt"};

static IngotDescriptor ingest(Storage *storage, const char *box, const IngestFacts *said)
{
    IngotDescriptor manifest;
    g_autoptr(GError) error = NULL;
    if (!ingest_box(storage, "team/web", box, said, &manifest, &error)) {
        fail_msg("%s", error->message);
    }
    return manifest;
}

static IngotManifest *manifest_of(Storage *storage, const IngotDescriptor *image)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, "team/web", &image->digest, &type, NULL);
    assert_string_equal(type, INGOT_TYPE_MANIFEST);
    assert_int_equal(g_bytes_get_size(bytes), image->size);
    IngotManifest *manifest =
        ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "the image", NULL);
    assert_non_null(manifest);
    return manifest;
}

static json_t *config_of(Storage *storage, const IngotManifest *manifest)
{
    g_autoptr(StorageBlob) blob = storage_blob(storage, "team/web", &manifest->config.digest, NULL);
    g_autofree char *text = g_malloc0(manifest->config.size + 1);
    assert_true(storage_blob_read_all(blob, 0, text, manifest->config.size, NULL));
    json_t *config = ingot_config_parse(text, manifest->config.size, "the config", NULL);
    assert_non_null(config);
    return config;
}

static const char *word(const json_t *config, const char *key)
{
    const json_t *value = json_object_get(config, key);
    return json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
}

/* The disk blob unpacks to what was in the box. */
static void assert_disk(Storage *storage, const IngotDescriptor *disk, guint32 seed)
{
    g_autoptr(StorageBlob) blob = storage_blob(storage, "team/web", &disk->digest, NULL);
    g_autofree guint8 *packed = g_malloc(disk->size), *plain = g_malloc0(DISK);
    g_autoptr(GByteArray) bytes = noise(seed, DISK / 2);
    assert_int_equal(storage_blob_size(blob), disk->size);
    assert_true(storage_blob_read_all(blob, 0, packed, disk->size, NULL));
    assert_int_equal(ZSTD_decompress(plain, DISK, packed, disk->size), DISK);
    assert_memory_equal(plain, bytes->data, DISK / 2);
    assert_int_equal(plain[DISK - 1], 'x');
}

static void a_box_becomes_an_image(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *box = make_box(state, ONE, 1, 0);
    IngotDescriptor image = ingest(storage, box, &facts);
    g_autoptr(IngotManifest) manifest = manifest_of(storage, &image);
    g_autoptr(json_t) config = config_of(storage, manifest);
    assert_int_equal(manifest->disks->len, 1);
    assert_string_equal(word(config, "architecture"), "amd64");
    assert_string_equal(word(config, "outputs"), "vagrant-libvirt");
    assert_null(json_object_get(config, "firmware"));
    assert_disk(storage, &ingot_manifest_disk(manifest, 0)->disk, 1);
    assert_clean(storage);
}

static void what_is_said_of_its_architecture_counts(void **state)
{
    static const struct {
        const char *said, *architecture, *firmware;
    } cases[] = {{"arm64", "arm64", "uefi"}, {"unknown", "amd64", NULL}, {"i386", "i386", NULL}};
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *box = make_box(state, ONE, 1, 0);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const IngestFacts said = {.version = "1.0.0", .provider = "libvirt", .architecture = cases[i].said};
        IngotDescriptor image = ingest(storage, box, &said);
        g_autoptr(IngotManifest) manifest = manifest_of(storage, &image);
        g_autoptr(json_t) config = config_of(storage, manifest);
        assert_string_equal(word(config, "architecture"), cases[i].architecture);
        assert_int_equal(g_strcmp0(word(config, "firmware"), cases[i].firmware), 0);
    }
}

static void several_disks_come_in_their_order(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *box = make_box(state, TWO, 1, 2);
    IngotDescriptor image = ingest(storage, box, &facts);
    g_autoptr(IngotManifest) manifest = manifest_of(storage, &image);
    g_autoptr(json_t) config = config_of(storage, manifest);
    assert_int_equal(manifest->disks->len, 2);
    assert_true(ingot_config_fits(config, manifest, "the image", NULL));
    assert_disk(storage, &ingot_manifest_disk(manifest, 0)->disk, 1);
    assert_disk(storage, &ingot_manifest_disk(manifest, 1)->disk, 2);
}

static void only_new_bytes_are_stored(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *box = make_box(state, ONE, 1, 0);
    IngotDescriptor first = ingest(storage, box, &facts);
    guint64 stored = packed_bytes(state);
    assert_true(stored > DISK / 2);

    IngotDescriptor again = ingest(storage, box, &facts);
    assert_true(ingot_digest_equal(&first.digest, &again.digest));
    assert_int_equal(packed_bytes(state), stored);

    /* The first disk lies in another blob here, beside one that is new. */
    g_autofree char *wider = make_box(state, TWO, 1, 2);
    ingest(storage, wider, &facts);
    assert_true(packed_bytes(state) < stored * 2 + DISK / 10);
}

static void what_is_no_such_box_is_named(void **state)
{
    static const struct {
        const char *provider, *metadata,
            *architecture; /* metadata NULL: an OVF's text, which could name what lies beside it */
        const char *why;
    } cases[] = {
        {"virtualbox", ONE, NULL,
         "team/web 1.0.0, the box for virtualbox: its metadata.json says that it is for libvirt"},
        {"hyperv", ONE, NULL, "team/web 1.0.0, the box for hyperv: no image can be a box for hyperv"},
        {"libvirt", "{\"provider\": \"docker\"}", NULL, "docker"},
        {"libvirt", "{}", NULL, "metadata.json"},
        {"libvirt", NULL, NULL, "it is not a Vagrant box: it is neither a tar nor a zip"},
        {"libvirt", bare, "arm64", "the registry could not give it as a box again: the image boots by UEFI alone"},
    };
    g_autoptr(Storage) storage = open_storage(state);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const IngestFacts said = {
            .version = "1.0.0", .provider = cases[i].provider, .architecture = cases[i].architecture};
        g_autofree char *box = make_box(state, cases[i].metadata == NULL ? ONE : cases[i].metadata, 1, 0);
        IngotDescriptor manifest;
        g_autoptr(GError) error = NULL;
        if (cases[i].metadata == NULL) {
            assert_true(
                g_file_set_contents(box, "<?xml version=\"1.0\"?><Envelope><References/></Envelope>", -1, NULL));
        }
        assert_false(ingest_box(storage, "team/web", box, &said, &manifest, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        if (strstr(error->message, cases[i].why) == NULL || strstr(error->message, "team/web 1.0.0") == NULL) {
            fail_msg("case %u: %s", i, error->message);
        }
        g_autoptr(GArray) versions = storage_versions(storage, "team/web", NULL, 10, NULL);
        assert_true(versions == NULL || versions->len == 0);
    }
}

static guint asked; /* how often it was asked whether to go on */

static gboolean goes_on_once(GError **error)
{
    if (asked++ == 0) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "told to end");
    return FALSE;
}

static int never_readable(void)
{
    return -1;
}

/* The program was told to end while it was at the box. */
static void what_fails_at_the_end_says_nothing_of_the_box(void **state)
{
    static const IngotInterruptSource source = {goes_on_once, never_readable};
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *box = ingot_workdir_file(*state, "none.box");
    IngotDescriptor manifest;
    g_autoptr(GError) error = NULL, other = NULL;
    assert_false(ingest_box(storage, "team/web", box, &facts, &manifest, &other));
    assert_false(g_error_matches(other, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
    asked = 0;
    ingot_interrupt_use(&source);
    gboolean ok = ingest_box(storage, "team/web", box, &facts, &manifest, &error);
    ingot_interrupt_use(NULL);
    assert_false(ok);
    assert_int_equal(asked, 2);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
}

static void nothing_is_left_behind(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *box = make_box(state, ONE, 1, 0), *work = ingot_workdir_file(*state, "data/work");
    ingest(storage, box, &facts);
    g_autoptr(GDir) folder = g_dir_open(work, 0, NULL);
    assert_non_null(folder);
    assert_null(g_dir_read_name(folder));
    assert_int_equal(stats_of(storage).uploads, 0);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up_anew, tear_down)
    const struct CMUnitTest tests[] = {CASE(a_box_becomes_an_image),
                                       CASE(what_is_said_of_its_architecture_counts),
                                       CASE(several_disks_come_in_their_order),
                                       CASE(only_new_bytes_are_stored),
                                       CASE(what_is_no_such_box_is_named),
                                       CASE(what_fails_at_the_end_says_nothing_of_the_box),
                                       CASE(nothing_is_left_behind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
