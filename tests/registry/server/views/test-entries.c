/* Entries: which image of an index is meant. One that can't be had is never passed over for one of another
 * architecture, and none is read for nothing, nor twice. */
#include "../fixture.h"

#include <ingot/manifest.h>

#include "../../image/onedisk.h"
#include "server/views/entries.h"
#include "server/views/traits.h"

#define NAME "team/web"
#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"

typedef struct {
    Storage *storage;
    char *folder;
    Views *views;
    IngotDescriptor index, disk;
} Fixture;

static IngotDescriptor push_part(Storage *storage, GByteArray *bytes)
{
    const IngotDescriptor part = {.digest = push(storage, NAME, bytes), .size = bytes->len};
    g_byte_array_unref(bytes);
    return part;
}

static Fixture fixture_new(void **state)
{
    const IngotDigest zeros = {0};
    g_autoptr(IngotIndex) index = ingot_index_new("none", 32768);
    ingot_index_add(index, &zeros, INGOT_BLOCK_SIZE, 30);
    Fixture all = {.storage = open_storage(state), .folder = ingot_workdir_file(*state, "unpacked")};
    g_autoptr(GBytes) bytes = ingot_index_serialize(index);
    GByteArray *copy = g_byte_array_new();
    g_byte_array_append(copy, g_bytes_get_data(bytes, NULL), (guint)g_bytes_get_size(bytes));
    all.views = views_new(all.storage, all.folder, 0);
    all.index = push_part(all.storage, copy);
    all.disk = push_part(all.storage, frame(1, INGOT_BLOCK_SIZE, TRUE));
    return all;
}

static void fixture_clear(Fixture *all)
{
    views_free(all->views);
    storage_close(all->storage);
    g_free(all->folder);
}

static GByteArray *config_of(const char *architecture, const char *output)
{
    g_autoptr(json_t) config = ingot_config_new(architecture, INGOT_BLOCK_SIZE);
    if (output != NULL) {
        json_object_set_new(config, "outputs", ingot_json_pack("[s]", output));
    }
    char *text = ingot_json_canonical(config);
    return g_byte_array_new_take((guint8 *)text, strlen(text));
}

static IngotDigest put(Storage *storage, const char *type, const char *json, const GArray *mentions)
{
    const StorageManifest manifest = {.data = json, .size = strlen(json), .type = type, .mentions = mentions};
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    if (!storage_put_manifest(storage, NAME, &manifest, &digest, &error)) {
        fail_msg("%s", error->message);
    }
    return digest;
}

/* As behind an upstream, only its disk's parts need be here. */
static IngotDigest put_described(const Fixture *all, const IngotDescriptor *config)
{
    const OneDisk parts = {.config = *config, .index = all->index, .disk = all->disk};
    const Mention here[] = {{.digest = all->index.digest}, {.digest = all->disk.digest}};
    g_autofree char *json = one_disk_text(&parts, NULL);
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    g_array_append_vals(mentions, here, G_N_ELEMENTS(here));
    return put(all->storage, INGOT_TYPE_MANIFEST, json, mentions);
}

static IngotDigest put_image(const Fixture *all, const char *architecture, const char *output)
{
    const IngotDescriptor config = push_part(all->storage, config_of(architecture, output));
    return put_described(all, &config);
}

/* Its config comes when it is pushed. */
static IngotDigest put_undescribed(const Fixture *all, const GByteArray *config)
{
    const IngotDescriptor there = {.digest = digest_of(config), .size = config->len};
    return put_described(all, &there);
}

/* platform: NULL: the index does not say. */
static void add_entry(json_t *entries, const IngotDigest *image, const char *platform)
{
    g_autofree char *text = ingot_digest_to_text(image);
    json_t *entry = ingot_json_pack("{s:s, s:s}", "mediaType", INGOT_TYPE_MANIFEST, "digest", text);
    if (platform != NULL) {
        json_object_set_new(entry, "platform", ingot_json_pack("{s:s, s:s}", "os", "linux", "architecture", platform));
    }
    json_array_append_new(entries, entry);
}

static IngotDigest put_index(const Fixture *all, json_t *entries)
{
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    g_autoptr(json_t) root = ingot_json_pack("{s:i, s:O}", "schemaVersion", 2, "manifests", entries);
    g_autofree char *json = ingot_json_canonical(root);
    return put(all->storage, INDEX_TYPE, json, mentions);
}

static gboolean looks_last(gpointer looks, GError **error)
{
    guint *left = looks;
    if (*left == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "gone");
        return FALSE;
    }
    *left -= 1;
    return TRUE;
}

/* With at most so many looks at images. */
static gboolean choose(const Fixture *all, const IngotDigest *index, const char *format, const char *architecture,
                       guint looks, IngotDigest *image, GError **error)
{
    const ViewWish wish = {.name = NAME,
                           .manifest = index,
                           .format = format,
                           .architecture = architecture,
                           .gate = looks_last,
                           .user = &looks};
    return view_choose(all->views, &wish, image, error);
}

static void assert_chosen(const Fixture *all, const IngotDigest *index, const char *format, const char *architecture,
                          guint looks, const IngotDigest *expected)
{
    IngotDigest image;
    g_autoptr(GError) error = NULL;
    if (!choose(all, index, format, architecture, looks, &image, &error)) {
        fail_msg("%s", error->message);
    }
    assert_true(ingot_digest_equal(&image, expected));
}

static void assert_refused(const Fixture *all, const IngotDigest *index, const char *format, const char *architecture,
                           int code)
{
    IngotDigest image;
    g_autoptr(GError) error = NULL;
    assert_false(choose(all, index, format, architecture, VIEW_ENTRIES_MAX, &image, &error));
    if (!g_error_matches(error, INGOT_ERROR, code)) {
        fail_msg("%s", error->message);
    }
}

/* --- tests --- */

static void one_that_is_not_here_is_waited_for(void **state)
{
    static const char *const platforms[][2] = {{"amd64", "arm64"}, {NULL, NULL}, {"unknown", "unknown"}};
    for (guint i = 0; i < G_N_ELEMENTS(platforms); i++) {
        g_autoptr(json_t) entries = json_array();
        Fixture all = fixture_new(state);
        GByteArray *config = config_of("amd64", NULL);
        g_byte_array_append(config, (const guint8 *)"   ", i); /* another one in each round */
        const IngotDigest arm = put_image(&all, "arm64", NULL), amd = put_undescribed(&all, config);
        add_entry(entries, &arm, platforms[i][1]);
        add_entry(entries, &amd, platforms[i][0]);
        const IngotDigest index = put_index(&all, entries);
        assert_refused(&all, &index, "raw", NULL, INGOT_ERROR_NOT_FOUND);
        assert_refused(&all, &index, NULL, NULL, INGOT_ERROR_NOT_FOUND);
        assert_chosen(&all, &index, "raw", "aarch64", 1, &arm);
        push_part(all.storage, config);
        assert_chosen(&all, &index, "raw", NULL, 2, &amd);
        assert_chosen(&all, &index, NULL, "x86_64", 2, &amd);
        fixture_clear(&all);
    }
}

/* What the index has counts, not what could be read of it. */
static void the_only_one_is_that_of_all(void **state)
{
    g_autoptr(json_t) entries = json_array();
    Fixture all = fixture_new(state);
    GByteArray *config = config_of("riscv64", NULL);
    const IngotDigest arm = put_image(&all, "arm64", NULL), riscv = put_undescribed(&all, config);
    add_entry(entries, &arm, "arm64");
    const IngotDigest alone = put_index(&all, entries);
    assert_chosen(&all, &alone, "raw", NULL, 1, &arm);
    add_entry(entries, &riscv, "riscv64");
    const IngotDigest both = put_index(&all, entries);
    assert_refused(&all, &both, "raw", NULL, INGOT_ERROR_NOT_FOUND);
    push_part(all.storage, config);
    assert_refused(&all, &both, "raw", NULL, INGOT_ERROR_INVALID);
    assert_refused(&all, &both, "raw", "amd64", INGOT_ERROR_INVALID);
    assert_chosen(&all, &both, "raw", "riscv64", 1, &riscv);
    fixture_clear(&all);
}

/* Of several for one architecture, the first that is for the format; what is not an image of Ingot's is none. */
static void one_is_for_the_format(void **state)
{
    g_autoptr(json_t) entries = json_array();
    g_autoptr(GArray) nothing = g_array_new(FALSE, FALSE, sizeof(Mention));
    Fixture all = fixture_new(state);
    const IngotDigest other = put(all.storage, INGOT_TYPE_MANIFEST, "{\"layers\":[]}", nothing),
                      qcow2 = put_image(&all, "amd64", "qcow2"), vhd = put_image(&all, "amd64", "vhd");
    add_entry(entries, &other, "unknown");
    add_entry(entries, &vhd, "amd64");
    add_entry(entries, &qcow2, "amd64");
    const IngotDigest index = put_index(&all, entries);
    assert_chosen(&all, &index, "vhd", NULL, 2, &vhd);
    assert_chosen(&all, &index, "qcow2", NULL, 3, &qcow2);
    assert_chosen(&all, &index, NULL, NULL, 2, &vhd);
    assert_refused(&all, &index, "raw", NULL, INGOT_ERROR_INVALID);
    assert_refused(&all, &index, "rwa", NULL, INGOT_ERROR_INVALID);
    assert_chosen(&all, &vhd, "raw", NULL, 0, &vhd); /* no index: it is taken as it is */
    fixture_clear(&all);
}

static void nothing_is_read_twice(void **state)
{
    g_autoptr(json_t) entries = json_array();
    g_autoptr(GByteArray) config = config_of("amd64", NULL);
    Fixture all = fixture_new(state);
    const IngotDescriptor there = push_part(all.storage, g_byte_array_ref(config));
    const IngotDigest amd = put_described(&all, &there);
    add_entry(entries, &amd, NULL);
    const IngotDigest index = put_index(&all, entries);
    assert_chosen(&all, &index, "raw", NULL, 1, &amd);
    /* It is not in memory, and it can no longer be read. */
    assert_true(storage_remove_blob(all.storage, NULL, NAME, &there.digest, NULL));
    views_free(all.views);
    all.views = views_new(all.storage, all.folder, 0);
    assert_null(views_described(all.views, NAME, &amd, NULL));
    assert_chosen(&all, &index, "raw", NULL, 1, &amd);
    g_autoptr(ViewTraits) traits = view_traits(all.views, NAME, &amd, NULL);
    assert_string_equal(traits->architecture, "amd64");
    assert_true(view_traits_fit(traits, ingot_format_find("qcow2", NULL)));
    fixture_clear(&all);
}

/* Whoever has left is not worked for. */
static void a_gate_ends_it(void **state)
{
    g_autoptr(json_t) entries = json_array();
    g_autoptr(GError) error = NULL;
    IngotDigest image;
    Fixture all = fixture_new(state);
    const IngotDigest arm = put_image(&all, "arm64", NULL), riscv = put_image(&all, "riscv64", NULL);
    add_entry(entries, &arm, "arm64");
    add_entry(entries, &riscv, "riscv64");
    const IngotDigest index = put_index(&all, entries);
    assert_false(choose(&all, &index, "raw", NULL, 1, &image, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
    fixture_clear(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_that_is_not_here_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_only_one_is_that_of_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_is_for_the_format, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_read_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gate_ends_it, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
