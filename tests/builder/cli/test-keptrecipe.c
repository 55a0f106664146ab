/* A recipe that somebody has attached: it comes back, and a hostile one writes nothing outside of its folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <ingot/error.h>

#include "bake/recipetar.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/keptrecipe.h"
#include "store/attached.h"

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
    ingot_digest_of("image", 5, &fixture->image.digest);
    fixture->image.size = 5;
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

/* A tar with one file of that name. */
static GBytes *tar_of(const char *name, const char *text)
{
    static char room[65536];
    size_t used;
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_write_set_format_ustar(archive);
    assert_int_equal(archive_write_open_memory(archive, room, sizeof room, &used), ARCHIVE_OK);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)strlen(text));
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(archive, text, strlen(text)), (int)strlen(text));
    archive_entry_free(entry);
    archive_write_free(archive);
    return g_bytes_new(room, used);
}

/* Attaches it, and has it back in the folder "back". */
static char *back(const Fixture *fixture, const char *name, const char *path, GError **error)
{
    g_autoptr(GBytes) tar = tar_of(name, "name: web\n");
    g_autoptr(json_t) annotations = ingot_json_pack("{s:s}", RECIPE_TAR_PATH, path);
    assert_true(
        attached_put(fixture->store, &fixture->image, RECIPE_TAR_TYPE, RECIPE_TAR_TYPE, annotations, tar, NULL, NULL));
    g_auto(KeptRecipe) kept = {0};
    g_autofree char *folder = ingot_workdir_file(fixture->workdir, "back");
    return kept_recipe_of_store(fixture->store, &fixture->image, &kept, error)
               ? kept_recipe_unpack(&kept, folder, error)
               : NULL;
}

static void it_comes_back(void **state)
{
    g_autofree char *path = back(*state, "a/web.yaml", "a/web.yaml", NULL), *text = NULL;
    assert_non_null(path);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, "name: web\n");
}

static void expect_refused(const Fixture *fixture, const char *name, const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *found = back(fixture, name, path, &error);
    g_autofree char *outside = ingot_workdir_file(fixture->workdir, "evil");
    assert_null(found);
    assert_non_null(error);
    assert_false(g_file_test(outside, G_FILE_TEST_EXISTS));
}

static void a_name_outside_of_the_folder_is_refused(void **state)
{
    expect_refused(*state, "../evil", "web.yaml");
}

static void a_path_outside_of_the_folder_is_refused(void **state)
{
    expect_refused(*state, "web.yaml", "../web.yaml");
}

static void a_recipe_that_is_not_in_its_tar_is_refused(void **state)
{
    expect_refused(*state, "web.yaml", "other.yaml");
}

static void none_is_told(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    g_auto(KeptRecipe) kept = {0};
    assert_false(kept_recipe_of_store(fixture->store, &fixture->image, &kept, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_outside_of_the_folder_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_path_outside_of_the_folder_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_recipe_that_is_not_in_its_tar_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("keptrecipe", tests, NULL, NULL);
}
