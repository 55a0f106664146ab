/* A socket can be in a folder with a path of any length, for this process and its children. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/file.h"
#include "base/sockets.h"

static IngotWorkdir *workdir;

static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    return workdir == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_workdir_free(workdir);
    return 0;
}

static gboolean can_connect(const struct sockaddr_un *address)
{
    int status, child = fork();
    if (child == 0) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        _exit(connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : 1);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

static void check_folder(const char *folder)
{
    g_auto(IngotFd) fd = -1, listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_autofree char *name = g_strnfill(SOCKETS_NAME_MAX, 's'), *there = g_build_filename(folder, name, NULL);
    g_autofree char *reached = sockets_folder(folder, &fd, NULL);
    assert_non_null(reached);
    g_autofree char *path = g_build_filename(reached, name, NULL);
    struct sockaddr_un address;
    assert_true(sockets_address(path, &address, NULL));
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_true(g_file_test(there, G_FILE_TEST_EXISTS));
    assert_true(can_connect(&address));
    assert_int_equal(unlink(there), 0);
}

static void folders_may_be_deep(void **state)
{
    static const gsize lengths[] = {60, 73, 74, 75, 76, 106, 107, 108, 200};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autofree char *more = g_strnfill(lengths[i] - strlen(ingot_workdir_path(workdir)) - 1, 'x');
        g_autofree char *folder = ingot_workdir_file(workdir, more);
        assert_true(ingot_file_make_folder(folder, NULL));
        check_folder(folder);
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct sockaddr_un address;
    g_autoptr(GError) error = NULL;
    g_autofree char *fits = g_strnfill(sizeof address.sun_path - 1, 'x'), *longer = g_strconcat(fits, "x", NULL);
    assert_true(sockets_address(fits, &address, NULL));
    assert_false(sockets_address(longer, &address, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_may_be_deep),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
