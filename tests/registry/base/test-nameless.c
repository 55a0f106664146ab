/* A file without a name can be had on any file system, and leaves none behind; one that gets its name later is nobody
 * else's until then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#include "base/nameless.h"
#include "base/newfile.h"

/* As on NFS: the system says that it has no files without a name. Flags are the third argument of openat(2). */
static gboolean refuse_nameless(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, G_STRUCT_OFFSET(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 G_STRUCT_OFFSET(struct seccomp_data, args[2]) + (G_BYTE_ORDER == G_BIG_ENDIAN ? 4 : 0)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = G_N_ELEMENTS(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static gboolean is_empty(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    return folder != NULL && g_dir_read_name(folder) == NULL;
}

static gboolean nameless_works(const char *folder)
{
    char text[4] = {0};
    g_auto(IngotFd) fd = ingot_nameless_open(folder, NULL);
    return fd >= 0 && is_empty(folder) && ingot_file_pwrite(fd, "text", 4, 0, "it", NULL) &&
           ingot_file_pread(fd, text, 4, 0, "it", NULL) && memcmp(text, "text", 4) == 0;
}

static guint count_names(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    guint count = 0;
    while (folder != NULL && g_dir_read_name(folder) != NULL) {
        count++;
    }
    return count;
}

static gboolean has_text(const char *path, const char *text)
{
    g_autofree char *found = NULL;
    return g_file_get_contents(path, &found, NULL, NULL) && strcmp(found, text) == 0;
}

/* Two that are to be the same file, by processes with the same number: each is whole, and none takes the other away. */
static gboolean newfile_works(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "file", NULL);
    IngotNewFile *one = ingot_newfile_open(path, 0644, NULL), *other = ingot_newfile_open(path, 0644, NULL);
    gboolean ok = one != NULL && other != NULL && !g_file_test(path, G_FILE_TEST_EXISTS) &&
                  ingot_file_pwrite(ingot_newfile_fd(one), "one", 3, 0, "it", NULL) &&
                  ingot_file_pwrite(ingot_newfile_fd(other), "another", 7, 0, "it", NULL) &&
                  ingot_newfile_name(one, NULL) && has_text(path, "one");
    ingot_newfile_free(one);
    ok = ok && has_text(path, "one") && ingot_newfile_name(other, NULL) && has_text(path, "another");
    ingot_newfile_free(other);
    ok = ok && has_text(path, "another") && count_names(folder) == 1;
    IngotNewFile *dropped = ok ? ingot_newfile_open(path, 0644, NULL) : NULL;
    ingot_newfile_free(dropped);
    return dropped != NULL && has_text(path, "another") && count_names(folder) == 1 && unlink(path) == 0;
}

static void test_newfile(void **state)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    const char *folder = ingot_workdir_path(workdir);
    g_autofree char *missing = g_build_filename(folder, "missing", "file", NULL);
    g_autoptr(GError) error = NULL;
    int status;

    (void)state;
    assert_true(newfile_works(folder));
    pid_t child = fork();
    if (child == 0)
        _exit(refuse_nameless() && newfile_works(folder) ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_null(ingot_newfile_open(missing, 0644, &error));
    assert_non_null(strstr(error->message, missing));
}

static void test_nameless(void **state)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    const char *folder = ingot_workdir_path(workdir);
    g_autofree char *inside = ingot_workdir_file(workdir, "folder");
    g_autofree char *missing = ingot_workdir_file(workdir, "missing");
    g_autoptr(GError) error = NULL;
    int status;

    (void)state;
    assert_int_equal(g_mkdir(inside, 0700), 0);
    assert_true(nameless_works(inside));
    pid_t child = fork();
    if (child == 0)
        _exit(!refuse_nameless() || open(inside, O_RDWR | O_TMPFILE, 0600) >= 0 ? 2 : !nameless_works(inside));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ingot_nameless_open(missing, &error), -1);
    assert_non_null(strstr(error->message, folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nameless), cmocka_unit_test(test_newfile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
