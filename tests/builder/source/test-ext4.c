/* A file system made from an archive: whole, with what the archive says of each entry, and the same bytes each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include "base/process.h"
#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/digest.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "source/ext4.h"
#include "source/tree.h"

#define OFFSET (1ull << 20)
#define SIZE (32ull << 20)
#define TIME 1700000000
#define UUID "11111111-2222-8333-8444-555555555555"
#define BIG 3000001 /* bytes; no whole number of blocks */

typedef struct {
    IngotWorkdir *workdir;
    char *tar, *disk;
    GPtrArray *files;
} Fixture;

typedef struct {
    const char *path;
    guint mode;
    guint uid;
    gint64 time;
    const char *content; /* or target */
    gsize size;
} Member;

static void add(struct archive *archive, const Member *member)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, member->path);
    archive_entry_set_mode(entry, member->mode);
    archive_entry_set_uid(entry, member->uid);
    archive_entry_set_gid(entry, 5);
    archive_entry_set_mtime(entry, member->time, 0);
    if (S_ISLNK(member->mode)) {
        archive_entry_set_symlink(entry, member->content);
    } else if (S_ISCHR(member->mode)) {
        archive_entry_set_rdevmajor(entry, 1);
        archive_entry_set_rdevminor(entry, 3);
    } else if (S_ISREG(member->mode)) {
        archive_entry_set_size(entry, (la_int64_t)member->size);
        archive_entry_xattr_add_entry(entry, "user.colour", "green", 5);
    }
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    if (S_ISREG(member->mode) && member->size > 0) {
        assert_int_equal(archive_write_data(archive, member->content, member->size), (la_ssize_t)member->size);
    }
    archive_entry_free(entry);
}

static void add_hard_link(struct archive *archive, const char *path, const char *to)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, path);
    archive_entry_set_mode(entry, S_IFREG | 0644);
    archive_entry_set_hardlink(entry, to);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    archive_entry_free(entry);
}

/* Enough names to need several blocks of directory. */
static void add_many(struct archive *archive)
{
    for (guint i = 0; i < 500; i++) {
        g_autofree char *path = g_strdup_printf("./many/a-name-of-some-length-%u", i);
        Member member = {path, S_IFREG | 0644, 0, TIME, "", 0};
        add(archive, &member);
    }
}

static void write_tar(const char *path)
{
    g_autofree char *big = g_malloc(BIG);
    for (gsize i = 0; i < BIG; i++) {
        big[i] = (char)(i * 7 + i / 4096);
    }
    const Member members[] = {
        {"./", S_IFDIR | 0755, 0, TIME + 99, NULL, 0},
        {"./etc/", S_IFDIR | 0755, 0, TIME, NULL, 0},
        {"./etc/machine-id", S_IFREG | 0444, 0, TIME, "0123\n", 5},
        {"./etc/seed", S_IFREG | 0600, 0, TIME, "secret", 6},
        {"./etc/old", S_IFREG | 04755, 100000, 1600000000, "old\n", 4},
        {"./etc/F\305\221tan\303\272s", S_IFREG | 0644, 0, TIME, "utf-8", 5},
        {"./null", S_IFCHR | 0666, 0, TIME, NULL, 0},
        {"./short", S_IFLNK | 0777, 0, TIME, "etc/old", 0},
        {"./many", S_IFDIR | 01777, 0, TIME, NULL, 0},
        {"./big", S_IFREG | 0644, 0, TIME + 5, big, BIG},
    };
    struct archive *archive = archive_write_new();
    archive_write_set_format_pax_restricted(archive);
    archive_write_set_format_option(archive, "pax", "hdrcharset", "BINARY");
    assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        add(archive, &members[i]);
    }
    add_hard_link(archive, "./twin", "./big");
    add_many(archive);
    archive_write_close(archive);
    archive_write_free(archive);
}

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->tar = ingot_workdir_file(fixture->workdir, "tree.tar");
    fixture->disk = ingot_workdir_file(fixture->workdir, "disk");
    TreeOptions options = {.root_uuid = UUID, .esp_uuid = "1234-ABCD", .apt = "deb x y z\n", .apt_conf = ""};
    fixture->files = tree_settings(&options);
    write_tar(fixture->tar);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    g_ptr_array_unref(fixture->files);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->tar);
    g_free(fixture->disk);
    g_free(fixture);
    return 0;
}

static gboolean make(const Fixture *fixture, guint64 size, GError **error)
{
    Ext4Options options = {fixture->disk, OFFSET, size, UUID, UUID, TIME};
    int fd = open(fixture->disk, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_return_code(ftruncate(fd, (off_t)(OFFSET + size)), 0);
    close(fd);
    return ext4_make(&options, fixture->tar, fixture->files, error);
}

/* What debugfs, a reader that is not ours, says. */
static char *ask(const Fixture *fixture, const char *request)
{
    g_autofree char *where = g_strdup_printf("%s?offset=%llu", fixture->disk, OFFSET);
    const char *argv[] = {"debugfs", "-R", request, where, NULL};
    g_autoptr(GError) error = NULL;
    char *text = ingot_process_output(argv, &error);
    assert_null(error);
    return text;
}

static void expect(const Fixture *fixture, const char *request, const char *words)
{
    g_autofree char *answer = ask(fixture, request);
    if (strstr(answer, words) == NULL) {
        fail_msg("debugfs '%s': no '%s' in:\n%s", request, words, answer);
    }
}

static void test_sound(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    assert_true(make(fixture, SIZE, &error));
    g_autofree char *where = g_strdup_printf("%s?offset=%llu", fixture->disk, OFFSET);
    const char *argv[] = {"e2fsck", "-f", "-n", where, NULL};
    ingot_process_run(argv, NULL, NULL, &error);
    assert_null(error);
}

static void test_entries(void **state)
{
    const Fixture *fixture = *state;
    assert_true(make(fixture, SIZE, NULL));
    expect(fixture, "stat /etc/old", "Mode:  04755");
    expect(fixture, "stat /etc/old", "User: 100000");
    expect(fixture, "stat /etc/old", "Group:     5");
    expect(fixture, "stat /etc/old", "mtime: 0x5f5e1000:00000000");
    expect(fixture, "stat /etc/old", "user.colour (5) = \"green\"");
    expect(fixture, "stat /big", "mtime: 0x6553f100:00000000"); /* not younger than the disk */
    expect(fixture, "stat /big", "ctime: 0x6553f100:00000000");
    expect(fixture, "stat /big", "Links: 2");
    expect(fixture, "stat /twin", "Size: 3000001");
    expect(fixture, "stat /null", "Type: character special");
    expect(fixture, "stat /null", "Device major/minor number: 01:03");
    expect(fixture, "stat /short", "Fast link dest: \"etc/old\"");
    expect(fixture, "stat /many", "Mode:  01777");
    expect(fixture, "stat /many/a-name-of-some-length-499", "Type: regular");
    expect(fixture, "cat /etc/F\305\221tan\303\272s", "utf-8");
}

static void test_settings_win(void **state)
{
    const Fixture *fixture = *state;
    assert_true(make(fixture, SIZE, NULL));
    g_autofree char *id = ask(fixture, "cat /etc/machine-id");
    assert_string_equal(id, "");
    expect(fixture, "stat /etc/machine-id", "Size: 0");
    expect(fixture, "stat /etc/resolv.conf", "stub-resolv.conf");
    expect(fixture, "cat /etc/fstab", "UUID=" UUID " / ext4");
    expect(fixture, "cat /boot/grub/grub.cfg", "root=UUID=" UUID);
    expect(fixture, "cat /etc/apt/sources.list", "deb x y z");
}

static void test_same_bytes(void **state)
{
    const Fixture *fixture = *state;
    IngotDigest first, second;
    assert_true(make(fixture, SIZE, NULL));
    assert_true(ingot_digest_of_file(fixture->disk, &first, NULL, NULL));
    g_usleep(1100000); /* a clock that shows would now show another second */
    assert_true(make(fixture, SIZE, NULL));
    assert_true(ingot_digest_of_file(fixture->disk, &second, NULL, NULL));
    assert_true(ingot_digest_equal(&first, &second));
}

static void test_too_small(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    assert_false(make(fixture, 3ull << 20, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE));
    assert_non_null(strstr(error->message, "machine.disk"));
}

static void test_damaged_archive(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    assert_return_code(truncate(fixture->tar, 100000), 0);
    assert_false(make(fixture, SIZE, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_non_null(strstr(error->message, "tree.tar"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_entries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settings_win, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_same_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_small, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_archive, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
