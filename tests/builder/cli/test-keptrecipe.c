/* A recipe that somebody has attached: the image's own comes back, and a hostile one writes nothing outside of its
 * folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <ingot/disk.h>
#include <ingot/error.h>

#include "bake/recipetar.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/keptrecipe.h"
#include "store/attached.h"

#define TEXT "name: web\n"

typedef struct {
    IngotWorkdir *workdir;
    IngotStore *store;
    IngotDescriptor image;
} Fixture;

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(fixture->workdir, "store");
    fixture->store = ingot_store_open(path, NULL);
    *state = fixture;
    return fixture->store == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    ingot_store_free(fixture->store);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture);
    return 0;
}

/* A tar with files of those names and texts: pairs, ended by NULL. A text "-> x" makes a link to x. */
static GBytes *tar_of(const char *const *files)
{
    static char room[65536];
    size_t used;
    struct archive *archive = archive_write_new();
    archive_write_set_format_ustar(archive);
    assert_int_equal(archive_write_open_memory(archive, room, sizeof room, &used), ARCHIVE_OK);
    for (; files[0] != NULL; files += 2) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, files[0]);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        size_t size = g_str_has_prefix(files[1], "-> ") ? 0 : strlen(files[1]);
        archive_entry_set_size(entry, (la_int64_t)size);
        if (size == 0) {
            archive_entry_set_filetype(entry, AE_IFLNK);
            archive_entry_set_symlink(entry, files[1] + strlen("-> "));
        }
        assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
        assert_int_equal(archive_write_data(archive, files[1], size), (int)size);
        archive_entry_free(entry);
    }
    archive_write_free(archive);
    return g_bytes_new(room, used);
}

#define TAR(...) tar_of((const char *const[]){__VA_ARGS__, NULL})

static void set_digest(json_t *object, const char *key, const void *bytes, gsize size)
{
    IngotDigest digest;
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_of(bytes, size, &digest);
    ingot_digest_write_text(&digest, text);
    json_object_set_new(object, key, json_string(text));
}

/* An image whose config names TEXT and that tar (NULL: the text alone, as an older one's does) as its recipe. */
static void bake_of(Fixture *fixture, GBytes *tar)
{
    g_autofree char *path = ingot_workdir_file(fixture->workdir, "disk.raw"), *bytes = g_strnfill(1 << 20, 'x');
    assert_true(g_file_set_contents(path, bytes, 1 << 20, NULL));
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, "raw", NULL);
    const IngotPackOptions options = {.threads = 1};
    g_autoptr(IngotPacked) packed = ingot_store_pack(fixture->store, blocks, &options, NULL);
    const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
    g_autoptr(json_t) config = ingot_config_new("amd64", packed->index->disk_size);
    json_t *recipe = json_object();
    json_object_set_new(config, "recipe", recipe);
    set_digest(recipe, "digest", TEXT, strlen(TEXT));
    if (tar != NULL) {
        set_digest(recipe, "tar", g_bytes_get_data(tar, NULL), g_bytes_get_size(tar));
    }
    assert_true(ingot_store_add_image(fixture->store, "web", "1", config, NULL, &disk, 1, &fixture->image, NULL));
}

static void attach(const Fixture *fixture, GBytes *tar, const char *path)
{
    g_autoptr(json_t) annotations = ingot_json_pack("{s:s}", RECIPE_TAR_PATH, path);
    assert_true(
        attached_put(fixture->store, &fixture->image, RECIPE_TAR_TYPE, RECIPE_TAR_TYPE, annotations, tar, NULL, NULL));
}

/* The recipe's path in the folder "back". */
static char *back(const Fixture *fixture, GError **error)
{
    g_auto(KeptRecipe) kept = {0};
    g_autofree char *folder = ingot_workdir_file(fixture->workdir, "back");
    return kept_recipe_of_store(fixture->store, &fixture->image, &kept, error)
               ? kept_recipe_unpack(&kept, folder, error)
               : NULL;
}

static void expect_back(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = back(fixture, &error), *text = NULL;
    assert_null(error);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, TEXT);
}

static void expect_refused(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = back(fixture, &error), *outside = ingot_workdir_file(fixture->workdir, "evil");
    assert_null(path);
    assert_non_null(error);
    assert_false(g_file_test(outside, G_FILE_TEST_EXISTS));
}

static void expect_foreign(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = back(fixture, &error);
    assert_null(path);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_non_null(strstr(error->message, "is not the one that the image's config names"));
}

static void it_comes_back(void **state)
{
    g_autoptr(GBytes) tar = TAR("a/web.yaml", TEXT, "a/page", "page");
    bake_of(*state, tar);
    attach(*state, tar, "a/web.yaml");
    expect_back(*state);
}

/* Its config names the text alone: files beside it may be anybody's. */
static void it_comes_back_of_an_older_image_without_files(void **state)
{
    g_autoptr(GBytes) own = TAR("a/web.yaml", TEXT), other = TAR("a/web.yaml", TEXT, "a/install.sh", "evil");
    bake_of(*state, NULL);
    attach(*state, other, "a/web.yaml");
    expect_refused(*state);
    attach(*state, own, "a/web.yaml");
    expect_back(*state);
}

/* A build packs neither: git would run what the settings of a repository name. */
static void links_and_git_repositories_are_refused(void **state)
{
    GBytes *tars[] = {
        TAR("web.yaml", TEXT, "page", "-> /etc/passwd"),
        TAR("web.yaml", TEXT, ".git/config", "[core]\n"),
        TAR("web.yaml", TEXT, "a/./.git", "gitdir: b\n"),
    };
    for (guint i = 0; i < G_N_ELEMENTS(tars); i++) {
        bake_of(*state, tars[i]);
        attach(*state, tars[i], "web.yaml");
        g_autoptr(GError) error = NULL;
        g_autofree char *path = back(*state, &error);
        assert_null(path);
        assert_non_null(strstr(error->message, "has links or a git repository in it"));
        g_bytes_unref(tars[i]);
    }
}

/* Whoever may push can attach a recipe, in any place of the list. */
static void strangers_recipes_are_passed_over(void **state)
{
    g_autoptr(GBytes) own = TAR("web.yaml", TEXT, "page", "page");
    bake_of(*state, own);
    for (guint i = 0; i < 9; i++) {
        g_autofree char *text = g_strdup_printf("name: evil%u\n", i);
        g_autoptr(GBytes) other = TAR("web.yaml", text);
        attach(*state, i == 4 ? own : other, "web.yaml");
    }
    expect_back(*state);
}

static void a_strangers_recipe_is_refused(void **state)
{
    g_autoptr(GBytes) own = TAR("web.yaml", TEXT), other = TAR("web.yaml", "name: evil\n");
    bake_of(*state, own);
    attach(*state, other, "web.yaml");
    expect_foreign(*state);
}

/* What the steps would upload is a stranger's. */
static void the_recipe_with_a_strangers_files_is_refused(void **state)
{
    g_autoptr(GBytes) own = TAR("web.yaml", TEXT, "page", "page"), other = TAR("web.yaml", TEXT, "page", "evil");
    bake_of(*state, own);
    attach(*state, other, "web.yaml");
    expect_foreign(*state);
}

static void another_file_of_its_tar_is_not_the_recipe(void **state)
{
    g_autoptr(GBytes) own = TAR("web.yaml", TEXT, "other.yaml", "name: evil\n");
    bake_of(*state, own);
    attach(*state, own, "other.yaml");
    expect_foreign(*state);
}

/* The one that would lie there in the end counts. */
static void a_name_that_the_tar_has_twice_is_refused(void **state)
{
    g_autoptr(GBytes) tar = TAR("web.yaml", TEXT, "./web.yaml", "name: evil\n");
    bake_of(*state, NULL);
    attach(*state, tar, "web.yaml");
    expect_refused(*state);
}

static void a_name_outside_of_the_folder_is_refused(void **state)
{
    g_autoptr(GBytes) tar = TAR("web.yaml", TEXT, "../evil", "evil");
    bake_of(*state, NULL);
    attach(*state, tar, "web.yaml");
    expect_refused(*state);
}

static void a_path_outside_of_the_folder_is_refused(void **state)
{
    g_autoptr(GBytes) tar = TAR("../web.yaml", TEXT);
    bake_of(*state, tar);
    attach(*state, tar, "../web.yaml");
    expect_refused(*state);
}

static void a_recipe_that_is_not_in_its_tar_is_refused(void **state)
{
    g_autoptr(GBytes) tar = TAR("web.yaml", TEXT);
    bake_of(*state, tar);
    attach(*state, tar, "other.yaml");
    expect_refused(*state);
}

static void none_is_told(void **state)
{
    g_autoptr(GError) error = NULL;
    bake_of(*state, NULL);
    g_autofree char *path = back(*state, &error);
    assert_null(path);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_comes_back),
        TEST(it_comes_back_of_an_older_image_without_files),
        TEST(links_and_git_repositories_are_refused),
        TEST(strangers_recipes_are_passed_over),
        TEST(a_strangers_recipe_is_refused),
        TEST(the_recipe_with_a_strangers_files_is_refused),
        TEST(another_file_of_its_tar_is_not_the_recipe),
        TEST(a_name_that_the_tar_has_twice_is_refused),
        TEST(a_name_outside_of_the_folder_is_refused),
        TEST(a_path_outside_of_the_folder_is_refused),
        TEST(a_recipe_that_is_not_in_its_tar_is_refused),
        TEST(none_is_told),
    };
    return cmocka_run_group_tests_name("keptrecipe", tests, NULL, NULL);
}
