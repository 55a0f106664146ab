/* The files of boxes that are uploaded: how many a user may have, and what a repository's take. */
#include "../fixture.h"

#include <ingot/error.h>

#include "server/boxes/boxfiles.h"

#define MOST 3u

typedef struct {
    char *folder;
    BoxFiles *files;
    guint next; /* the id of the next file */
} Own;

static int own_set_up(void **state)
{
    Own *own = g_new0(Own, 1);
    own->folder = g_dir_make_tmp("boxfiles-XXXXXX", NULL);
    own->files = boxfiles_open(own->folder, NULL);
    *state = own;
    return own->files == NULL;
}

static int own_tear_down(void **state)
{
    Own *own = *state;
    g_autofree char *command = g_strdup_printf("rm -r '%s'", own->folder);
    boxfiles_free(own->files);
    assert_int_equal(system(command), 0);
    g_free(own->folder);
    g_free(own);
    return 0;
}

/* Whether a file may come; its id into id, if that is not NULL. code: why not. */
static gboolean begins(Own *own, const char *name, const char *user, guint most, char **id, int code)
{
    g_autoptr(GError) error = NULL;
    const BoxFileOwner owner = {name, user};
    g_autofree char *text = g_strdup_printf("%032x", own->next++);
    int fd = boxfiles_begin(own->files, text, &owner, most, &error);
    if (fd >= 0) {
        close(fd);
    } else {
        assert_true(g_error_matches(error, INGOT_ERROR, code));
    }
    if (id != NULL) {
        *id = g_steal_pointer(&text);
    }
    return fd >= 0;
}

static void a_user_keeps_nobody_else_out(void **state)
{
    Own *own = *state;
    g_autofree char *id = NULL;
    assert_true(begins(own, "team/web", "alice", MOST, &id, 0));
    for (guint i = 1; i < MOST; i++) {
        assert_true(begins(own, "team/web", "alice", MOST, NULL, 0));
    }
    assert_false(begins(own, "team/db", "alice", MOST, NULL, INGOT_ERROR_INTERRUPTED));
    assert_true(begins(own, "team/db", "bob", MOST, NULL, 0));
    assert_true(begins(own, "team/db", NULL, MOST, NULL, 0));
    boxfiles_drop_part(own->files, id);
    assert_true(begins(own, "team/db", "alice", MOST, NULL, 0));
}

static void there_is_a_bound_for_all(void **state)
{
    Own *own = *state;
    for (guint i = 0; i < BOX_FILES_MAX; i++) {
        g_autofree char *user = g_strdup_printf("user %u", i / MOST);
        assert_true(begins(own, "team/web", user, MOST, NULL, 0));
    }
    assert_false(begins(own, "team/web", "bob", MOST, NULL, INGOT_ERROR_INTERRUPTED));
}

static void what_is_to_come_counts_for_its_repository(void **state)
{
    Own *own = *state;
    g_autofree char *web = NULL, *db = NULL;
    assert_true(begins(own, "team/web", "alice", MOST, &web, 0));
    assert_true(begins(own, "team/db", "alice", MOST, &db, 0));
    boxfiles_reserve(own->files, web, 1000);
    boxfiles_reserve(own->files, db, 30);
    assert_int_equal(boxfiles_bytes(own->files, "team/web"), 1000);
    assert_int_equal(boxfiles_bytes(own->files, "team/db"), 30);
    assert_int_equal(boxfiles_bytes(own->files, NULL), 1030);
    boxfiles_drop_part(own->files, web);
    assert_int_equal(boxfiles_bytes(own->files, NULL), 30);
}

static void a_file_that_was_left_counts(void **state)
{
    Own *own = *state;
    const BoxFileOwner owner = {"team/web", "alice"};
    g_autofree char *id = g_strdup_printf("%032x", 7u), *path = boxfiles_path(own->files, id);
    assert_true(g_file_set_contents(path, "12345", 5, NULL));
    boxfiles_adopt(own->files, id, &owner);
    assert_int_equal(boxfiles_bytes(own->files, "team/web"), 5);
    assert_false(begins(own, "team/web", "alice", 1, NULL, INGOT_ERROR_INTERRUPTED));
    boxfiles_drop(own->files, id);
    assert_int_equal(boxfiles_bytes(own->files, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_user_keeps_nobody_else_out, own_set_up, own_tear_down),
        cmocka_unit_test_setup_teardown(there_is_a_bound_for_all, own_set_up, own_tear_down),
        cmocka_unit_test_setup_teardown(what_is_to_come_counts_for_its_repository, own_set_up, own_tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_was_left_counts, own_set_up, own_tear_down),
    };
    return cmocka_run_group_tests_name("boxfiles", tests, NULL, NULL);
}
