/* What is read out of a tree's archive: its system, its packages, and whether it can be a machine at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

#include "source/tree.h"

static const char *const tree[][2] = {
    {"./usr/lib/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"},
    {"./etc/debian_version", "12.15\n"},
    {"./var/lib/dpkg/status", "Package: adduser\nStatus: install ok installed\nArchitecture: all\nVersion: 3.134\n"
                              "Description: adds\n a user\n\n"
                              "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
                              "Package: zstd\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.5.4\n"},
    {"./usr/sbin/sshd", ""},
    {"./usr/lib/systemd/systemd", ""},
    {"./lib/systemd/systemd-resolved", ""},
    {"./usr/bin/systemd-repart", ""},
    {"./initrd.img", ""},
    {"./vmlinuz", ""},
};

/* The first `count` files of the tree. */
static char *write_tar(const IngotWorkdir *workdir, guint count)
{
    char *path = ingot_workdir_file(workdir, "tree.tar");
    struct archive *archive = archive_write_new();
    archive_write_set_format_pax_restricted(archive);
    archive_write_open_filename(archive, path);
    for (guint i = 0; i < count; i++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, tree[i][0]);
        archive_entry_set_mode(entry, S_IFREG | 0644);
        archive_entry_set_size(entry, (la_int64_t)strlen(tree[i][1]));
        archive_write_header(archive, entry);
        archive_write_data(archive, tree[i][1], strlen(tree[i][1]));
        archive_entry_free(entry);
    }
    archive_write_close(archive);
    archive_write_free(archive);
    return path;
}

static void test_facts(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *tar = write_tar(workdir, G_N_ELEMENTS(tree));
    g_autoptr(GError) error = NULL;
    TreeFacts facts = {NULL, NULL};
    assert_true(tree_facts(tar, &facts, &error));
    g_autofree char *os = ingot_json_canonical(facts.os);
    g_autofree char *packages = ingot_json_canonical(facts.packages);
    assert_string_equal(os, "{\"id\":\"debian\",\"version\":\"12.15\"}");
    assert_string_equal(packages, "[{\"architecture\":\"all\",\"name\":\"adduser\",\"version\":\"3.134\"},"
                                  "{\"architecture\":\"amd64\",\"name\":\"zstd\",\"version\":\"1:1.5.4\"}]");
    tree_facts_clear(&facts);
}

static void test_no_kernel(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *tar = write_tar(workdir, G_N_ELEMENTS(tree) - 1);
    g_autoptr(GError) error = NULL;
    TreeFacts facts = {NULL, NULL};
    assert_false(tree_facts(tar, &facts, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "linux-image"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_facts), cmocka_unit_test(test_no_kernel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
