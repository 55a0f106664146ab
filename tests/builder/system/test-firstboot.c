/* What a machine makes at its first boot: the units cause no ordering cycle however ssh is started, and the script
 * makes the keys that this sshd uses, and only those that are missing. */
#include "system/firstboot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/process.h"

typedef struct {
    IngotWorkdir *workdir;
    char *root;
} Fixture;

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->root = ingot_workdir_file(fixture->workdir, "root");
    *state = fixture;
    return ingot_file_make_folder(fixture->root, NULL) ? 0 : -1;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->root);
    g_free(fixture);
    return 0;
}

static char *inside(const Fixture *fixture, const char *path)
{
    return g_strconcat(fixture->root, path, NULL);
}

static void make_file(const Fixture *fixture, const char *path, const char *text)
{
    g_autofree char *file = inside(fixture, path);
    g_autofree char *folder = g_path_get_dirname(file);
    assert_int_equal(g_mkdir_with_parents(folder, 0755), 0);
    assert_true(g_file_set_contents(file, text, -1, NULL));
    assert_int_equal(chmod(file, 0755), 0);
}

static void make_link(const Fixture *fixture, const char *target, const char *path)
{
    g_autofree char *file = inside(fixture, path);
    g_autofree char *folder = g_path_get_dirname(file);
    assert_int_equal(g_mkdir_with_parents(folder, 0755), 0);
    assert_int_equal(symlink(target, file), 0);
}

static void install(const Fixture *fixture, const FirstBootFile *files)
{
    for (; files->path != NULL; files++) {
        if (S_ISLNK(files->mode)) {
            make_link(fixture, files->content, files->path);
        } else {
            make_file(fixture, files->path, files->content);
        }
    }
}

/* --- the units, in a tree with this host's systemd and an ssh server as Debian and Ubuntu have it --- */

static void add_system(const Fixture *fixture, const char *accept)
{
    g_autofree char *lib = inside(fixture, "/usr/lib");
    g_autofree char *socket =
        g_strdup_printf("[Unit]\nBefore=sockets.target\n[Socket]\nListenStream=22\nAccept=%s\n", accept);
    const char *const copy[] = {"cp", "-a", "/usr/lib/systemd", lib, NULL};
    assert_int_equal(g_mkdir_with_parents(lib, 0755), 0);
    assert_true(ingot_process_run(copy, NULL, NULL, NULL));
    make_link(fixture, "usr/lib", "/lib");
    make_file(fixture, "/bin/sh", "");
    make_file(fixture, "/usr/sbin/sshd", "");
    make_file(fixture, "/usr/lib/systemd/system/ssh.socket", socket);
    make_file(fixture, "/usr/lib/systemd/system/ssh.service",
              "[Unit]\nAfter=network.target\n[Service]\nExecStart=/usr/sbin/sshd -D\n");
    make_file(fixture, "/usr/lib/systemd/system/ssh@.service", "[Service]\nExecStart=/usr/sbin/sshd -i\n");
    make_file(fixture, "/usr/lib/systemd/system/iscsid.socket",
              "[Unit]\nBefore=sockets.target\n[Socket]\nListenStream=@iscsi\nService=ssh.service\n");
    make_link(fixture, "/usr/lib/systemd/system/iscsid.socket",
              "/etc/systemd/system/sockets.target.wants/iscsid.socket");
}

/* What systemd says of the units' order; free it. */
static char *verify(const Fixture *fixture)
{
    g_autofree char *root = g_strconcat("--root=", fixture->root, NULL);
    const char *const argv[] = {
        "sh", "-c", "systemd-analyze verify \"$0\" --man=no --generators=no multi-user.target 2>&1", root, NULL};
    g_autoptr(GError) error = NULL;
    char *text = ingot_process_output(argv, &error);
    assert_non_null(text);
    return text;
}

static gboolean can_verify(void)
{
    g_autofree char *program = g_find_program_in_path("systemd-analyze");
    return program != NULL && g_file_test("/usr/lib/systemd/system/multi-user.target", G_FILE_TEST_EXISTS);
}

static void check_units(const Fixture *fixture, const char *accept, const char *starts)
{
    if (!can_verify()) {
        skip();
    }
    add_system(fixture, accept);
    make_link(fixture, starts, "/etc/systemd/system/sockets.target.wants/ssh.socket");
    install(fixture, firstboot_host_keys);
    install(fixture, firstboot_identities);
    g_autofree char *right = verify(fixture);
    assert_null(strstr(right, "cycle"));
    /* The check would see one: with the default dependencies there is one. */
    const FirstBootFile *unit = firstboot_host_keys;
    g_auto(GStrv) parts = g_strsplit(unit->content, "DefaultDependencies=no\n", 2);
    g_autofree char *bad = g_strjoinv("", parts);
    make_file(fixture, unit->path, bad);
    g_autofree char *wrong = verify(fixture);
    assert_non_null(strstr(wrong, "ordering cycle"));
}

static void no_cycle_with_a_socket_for_each_connection(void **state)
{
    check_units(*state, "yes", "/usr/lib/systemd/system/ssh.socket");
}

static void no_cycle_with_a_socket_that_starts_the_server(void **state)
{
    check_units(*state, "no", "/usr/lib/systemd/system/ssh.socket");
}

/* --- the keys --- */

static gboolean run_script(const Fixture *fixture)
{
    g_autofree char *script = inside(fixture, "/usr/local/lib/ssh-host-keys.sh");
    g_autofree char *etc = inside(fixture, "/etc");
    g_autofree char *ssh = inside(fixture, "/etc/ssh");
    const char *const argv[] = {"/bin/sh", script, etc, NULL};
    install(fixture, firstboot_host_keys + 1);
    assert_int_equal(g_mkdir_with_parents(ssh, 0755), 0);
    return ingot_process_run(argv, NULL, NULL, NULL);
}

static void assert_keys(const Fixture *fixture, const char *wanted)
{
    static const char *const types[] = {"ed25519", "ecdsa", "rsa"};
    for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
        g_autofree char *name = g_strdup_printf("/etc/ssh/ssh_host_%s_key", types[i]);
        g_autofree char *path = inside(fixture, name);
        g_autofree char *public = g_strconcat(path, ".pub", NULL);
        gboolean want = strstr(wanted, types[i]) != NULL;
        assert_int_equal(g_file_test(path, G_FILE_TEST_EXISTS), want);
        assert_int_equal(g_file_test(public, G_FILE_TEST_EXISTS), want);
        struct stat st;
        assert_true(!want || (stat(path, &st) == 0 && (st.st_mode & 0777) == 0600 && st.st_size > 100));
    }
}

static void two_keys_suffice(void **state)
{
    make_file(*state, "/etc/ssh/sshd_config",
              "#HostKey /etc/ssh/ssh_host_rsa_key\nHostKeyAlgorithms -ssh-rsa\nHostKeyAgent none\n");
    assert_true(run_script(*state));
    assert_keys(*state, "ed25519 ecdsa");
}

static void configured_keys_are_made(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *text = g_strdup_printf("hostkey=\"%s/etc/ssh/ssh_host_rsa_key\"\n", fixture->root);
    make_file(fixture, "/etc/ssh/sshd_config.d/10-site.conf", text);
    assert_true(run_script(fixture));
    assert_keys(fixture, "rsa");
}

static void an_algorithm_names_a_key(void **state)
{
    make_file(*state, "/etc/ssh/sshd_config", "HostKeyAlgorithms rsa-sha2-512\n");
    assert_true(run_script(*state));
    assert_keys(*state, "ed25519 ecdsa rsa");
}

static void half_a_set_is_completed(void **state)
{
    const Fixture *fixture = *state;
    assert_true(run_script(fixture));
    g_autofree char *kept = inside(fixture, "/etc/ssh/ssh_host_ed25519_key");
    g_autofree char *cut = inside(fixture, "/etc/ssh/ssh_host_ecdsa_key");
    g_autofree char *before = NULL, *after = NULL;
    assert_true(g_file_get_contents(kept, &before, NULL, NULL));
    assert_int_equal(truncate(cut, 0), 0);
    make_file(fixture, "/etc/ssh/ssh_host_ecdsa_key.new", "half");
    const FirstBootFile *script = firstboot_host_keys + 1;
    g_autofree char *again = inside(fixture, script->path);
    g_autofree char *etc = inside(fixture, "/etc");
    const char *const argv[] = {"/bin/sh", again, etc, NULL};
    assert_true(ingot_process_run(argv, NULL, NULL, NULL));
    assert_keys(fixture, "ed25519 ecdsa");
    assert_true(g_file_get_contents(kept, &after, NULL, NULL));
    assert_string_equal(before, after);
}

/* --- what else makes itself --- */

static void identities_are_made_once(void **state)
{
    const Fixture *fixture = *state;
    install(fixture, firstboot_identities);
    make_file(fixture, "/bin/iscsi-iname", "#!/bin/sh\necho iqn.2016-04.example:$$\n");
    make_file(fixture, "/bin/nvme", "");
    make_file(fixture, "/etc/iscsi/iscsid.conf", "");
    make_file(fixture, "/etc/nvme/discovery.conf", "");
    g_autofree char *script = inside(fixture, firstboot_identities[1].path);
    g_autofree char *bin = inside(fixture, "/bin");
    g_autofree char *command = g_strdup_printf("PATH=%s:$PATH exec /bin/sh \"$0\" \"$1\"", bin);
    const char *const argv[] = {"/bin/sh", "-c", command, script, fixture->root, NULL};
    static const char *const names[] = {"/etc/iscsi/initiatorname.iscsi", "/etc/nvme/hostid", "/etc/nvme/hostnqn"};
    g_autoptr(GString) first = g_string_new(NULL), second = g_string_new(NULL);
    GString *rounds[] = {first, second};
    for (guint i = 0; i < G_N_ELEMENTS(rounds); i++) {
        assert_true(ingot_process_run(argv, NULL, NULL, NULL));
        for (guint j = 0; j < G_N_ELEMENTS(names); j++) {
            g_autofree char *path = inside(fixture, names[j]);
            g_autofree char *text = NULL;
            assert_true(g_file_get_contents(path, &text, NULL, NULL));
            g_string_append(rounds[i], text);
        }
    }
    assert_string_equal(first->str, second->str);
    assert_true(g_str_has_prefix(first->str, "InitiatorName=iqn."));
    assert_non_null(strstr(first->str, "nqn.2014-08.org.nvmexpress:uuid:"));
}

/* A tool that fails leaves nothing that would be taken for an identity at the next boot. */
static void a_tool_that_fails_makes_none(void **state)
{
    const Fixture *fixture = *state;
    install(fixture, firstboot_identities);
    make_file(fixture, "/bin/iscsi-iname", "#!/bin/sh\nexit 1\n");
    make_file(fixture, "/etc/iscsi/iscsid.conf", "");
    g_autofree char *script = inside(fixture, firstboot_identities[1].path);
    g_autofree char *bin = inside(fixture, "/bin");
    g_autofree char *command = g_strdup_printf("PATH=%s:$PATH exec /bin/sh \"$0\" \"$1\"", bin);
    const char *const argv[] = {"/bin/sh", "-c", command, script, fixture->root, NULL};
    assert_false(ingot_process_run(argv, NULL, NULL, NULL));
    g_autofree char *name = inside(fixture, "/etc/iscsi/initiatorname.iscsi");
    assert_false(g_file_test(name, G_FILE_TEST_EXISTS));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_cycle_with_a_socket_for_each_connection),
        TEST(no_cycle_with_a_socket_that_starts_the_server),
        TEST(two_keys_suffice),
        TEST(configured_keys_are_made),
        TEST(an_algorithm_names_a_key),
        TEST(half_a_set_is_completed),
        TEST(identities_are_made_once),
        TEST(a_tool_that_fails_makes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
