/* What is kept of a build's machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bake/logs.h"
#include "base/file.h"
#include "base/secrets.h"

static void write_log(const char *folder, const char *machine, const char *name, const char *text, gssize size)
{
    g_autofree char *place = g_build_filename(folder, machine, NULL), *path = g_build_filename(place, name, NULL);
    assert_true(ingot_file_make_folder(place, NULL));
    assert_true(g_file_set_contents(path, text, size, NULL));
}

static void keeps_each_machines_logs_without_secrets(void **state)
{
    (void)state;
    g_autofree char *work = g_dir_make_tmp("ingot-logs-XXXXXX", NULL);
    g_autofree char *kept = g_build_filename(work, "kept", "web", NULL);
    ingot_secrets_register("swordfish");
    write_log(work, "machine-0", "console.log", "a\0login swordfish\n", 18);
    write_log(work, "machine-0", "console.log.1", "before: swordfish\n", -1);
    write_log(work, "machine-0", "qemu.log", "", 0);
    write_log(work, "check", "console.log", "checked\n", -1);
    write_log(work, "other", "disk.qcow2", "x", -1);
    assert_true(logs_keep(work, kept, NULL));
    static const char *const expected[][2] = {{"machine-0-console.log", "a login ***\n"},
                                              {"machine-0-console.log.1", "before: ***\n"},
                                              {"machine-0-qemu.log", ""},
                                              {"check-console.log", "checked\n"}};
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_autofree char *path = g_build_filename(kept, expected[i][0], NULL), *text = NULL;
        assert_true(g_file_get_contents(path, &text, NULL, NULL));
        assert_string_equal(text, expected[i][1]);
    }
    g_autofree char *disk = g_build_filename(kept, "other-disk.qcow2", NULL);
    assert_false(g_file_test(disk, G_FILE_TEST_EXISTS));
    assert_true(ingot_file_remove_tree(work, NULL));
}

static void says_what_cannot_be_written(void **state)
{
    (void)state;
    g_autofree char *work = g_dir_make_tmp("ingot-logs-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(work, "file", NULL), *below = g_build_filename(file, "web", NULL);
    g_autoptr(GError) error = NULL;
    assert_true(g_file_set_contents(file, "", 0, NULL));
    assert_false(logs_keep(work, below, &error));
    assert_non_null(strstr(error->message, file));
    assert_true(ingot_file_remove_tree(work, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_each_machines_logs_without_secrets),
        cmocka_unit_test(says_what_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
