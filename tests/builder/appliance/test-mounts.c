/* A system whose /etc/fstab names devices that are not on the disk. libguestfs is the functions below: they are found
 * before those of the library. */
#include "appliance/mounts.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Of the disk: "DEVICE TYPE …", "POINT DEVICE …" as the inspection tells them, and a text. */
static const char *disk_devices, *disk_points, *disk_fstab;
static GString *mounted; /* "POINT " for each */
static int number;

static char **words_of(const char *text)
{
    return g_strsplit(text, " ", -1);
}

static char *type_of(const char *device)
{
    g_auto(GStrv) words = words_of(disk_devices);
    for (guint i = 0; words[i] != NULL && words[i + 1] != NULL; i += 2) {
        if (strcmp(words[i], device) == 0) {
            return g_strdup(words[i + 1]);
        }
    }
    return NULL;
}

char **guestfs_inspect_os(guestfs_h *g)
{
    (void)g;
    return words_of(*disk_points == '\0' ? "" : "/dev/sda1");
}

char **guestfs_inspect_get_mountpoints(guestfs_h *g, const char *root)
{
    (void)g, (void)root;
    return words_of(disk_points);
}

char **guestfs_list_partitions(guestfs_h *g)
{
    (void)g;
    g_auto(GStrv) words = words_of(disk_devices);
    g_autoptr(GStrvBuilder) devices = g_strv_builder_new();
    for (guint i = 0; words[i] != NULL && words[i + 1] != NULL; i += 2) {
        g_strv_builder_add(devices, words[i]);
    }
    return g_strv_builder_end(devices);
}

char *guestfs_vfs_type(guestfs_h *g, const char *device)
{
    (void)g;
    char *type = type_of(device);
    number = type == NULL ? ENOENT : 0;
    return type;
}

/* Each partition's name and UUID have its device's in them. */
char **guestfs_blkid(guestfs_h *g, const char *device)
{
    (void)g;
    g_autofree char *fields =
        g_strdup_printf("TYPE ext4 PART_ENTRY_UUID uuid-of-%s PART_ENTRY_NAME name-of-%s", device, device);
    return words_of(fields);
}

int guestfs_mount(guestfs_h *g, const char *device, const char *point)
{
    g_autofree char *type = guestfs_vfs_type(g, device);
    if (g_strcmp0(type, "ext4") != 0) {
        return -1;
    }
    g_string_append_printf(mounted, "%s ", point);
    return 0;
}

int guestfs_is_file_opts(guestfs_h *g, const char *path, ...)
{
    (void)g;
    assert_string_equal(path, "/etc/fstab");
    return disk_fstab != NULL;
}

int64_t guestfs_filesize(guestfs_h *g, const char *path)
{
    (void)g, (void)path;
    return (int64_t)strlen(disk_fstab);
}

char *guestfs_cat(guestfs_h *g, const char *path)
{
    (void)g, (void)path;
    return g_strdup(disk_fstab);
}

const char *guestfs_last_error(guestfs_h *g)
{
    (void)g;
    return "the library's words";
}

int guestfs_last_errno(guestfs_h *g)
{
    (void)g;
    return number;
}

/* What was mounted and what was noted, or the error. Free it. */
static char *result(const char *devices, const char *points, const char *fstab)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) points_mounted = mounted = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *root = NULL;
    disk_devices = devices, disk_points = points, disk_fstab = fstab;
    if (!mounts_mount(NULL, &root, notes, &error)) {
        assert_null(root);
        return g_strdup(error->message);
    }
    assert_string_equal(root, "/dev/sda1");
    for (guint i = 0; i < notes->len; i++) {
        g_string_append_printf(mounted, "\n%s", (const char *)g_ptr_array_index(notes, i));
    }
    return g_strdup(points_mounted->str);
}

static void assert_result(const char *devices, const char *points, const char *fstab, const char *expected)
{
    g_autofree char *got = result(devices, points, fstab);
    assert_string_equal(got, expected);
}

#define DISK "/dev/sda1 ext4 /dev/sda2 ext4"

static void a_whole_system_is_mounted_from_above(void **state)
{
    (void)state;
    assert_result(DISK, "/home/a /dev/sda2 /home /dev/sda2 / /dev/sda1", "UUID=1 / ext4 defaults 0 1\n",
                  "/ /home /home/a ");
    assert_result(DISK, "/ /dev/sda1", NULL, "/ ");
}

static void an_absent_device_is_left_out_with_a_word(void **state)
{
    (void)state;
    assert_result(DISK, "/data /dev/sdb1 /home /dev/sda2 / /dev/sda1",
                  "/dev/sdb1 /data ext4 defaults 0 2\nUUID=2 /srv xfs nofail\nproc /proc proc\nLABEL=x none swap sw\n",
                  "/ /home \n/srv: UUID=2 is not there: what it holds is left as it is"
                  "\n/data: /dev/sdb1 is not there: what it holds is left as it is");
    assert_result(DISK, "/data /dev/sdb1 /data/a /dev/sda2 / /dev/sda1", "/dev/sdb1 /data ext4 noauto\n",
                  "/ \n/data/a: /dev/sda2 would be mounted below what is not there: what it holds is left as it is");
}

static void a_partition_is_found_by_its_table(void **state)
{
    (void)state;
    assert_result(DISK " /dev/sda3 ext4", "/ /dev/sda1",
                  "PARTUUID=UUID-of-/dev/sda2 /usr ext4 defaults 0 2\nPARTLABEL=name-of-/dev/sda3 /usr/local ext4 x\n"
                  "PARTUUID=3 /srv ext4 defaults\n",
                  "/ /usr /usr/local \n/srv: PARTUUID=3 is not there: what it holds is left as it is");
}

static void encryption_is_told(void **state)
{
    (void)state;
    assert_result("/dev/sda1 ext4 /dev/sda2 crypto_LUKS", "/home /dev/mapper/home / /dev/sda1", "",
                  "/ \n/home: /dev/mapper/home is not there (/dev/sda2 is encrypted, and is not opened): what it holds "
                  "is left as it is");
    assert_result("/dev/sda1 crypto_LUKS", "", "",
                  "0 operating systems on the disk, 1 expected (/dev/sda1 is encrypted, and is not opened)");
}

static void a_system_without_usr_is_none(void **state)
{
    (void)state;
    assert_result(DISK, "/usr /dev/sdb1 / /dev/sda1", "/dev/sdb1 /usr ext4 nofail\n",
                  "/usr: /dev/sdb1 is not there: the system on the disk is not whole");
    assert_result(DISK, "/ /dev/sda1", "UUID=2 /usr ext4 defaults\n",
                  "/usr: UUID=2 is not there: the system on the disk is not whole");
    assert_result(DISK, "/ /dev/sdb1", "", "/: the library's words");
}

static void a_device_that_is_there_is_mounted_or_an_error(void **state)
{
    (void)state;
    assert_result("/dev/sda1 ext4 /dev/sda2 unknown", "/home /dev/sda2 / /dev/sda1", "/dev/sda2 /home ext4 defaults\n",
                  "/home: the library's words");
    assert_result("/dev/sda1 ext4 /dev/sda2 unknown", "/home /dev/sda2 / /dev/sda1",
                  "/dev/sda2 /home ext4 noatime,nofail\n",
                  "/ \n/home: /dev/sda2 can't be mounted: what it holds is left as it is");
    assert_result("/dev/sda1 ext4 /dev/sda2 unknown", "/home /dev/sda2 / /dev/sda1",
                  "/dev/sda2 /home ext4 noauto,nofail\n",
                  "/ \n/home: /dev/sda2 can't be mounted: what it holds is left as it is");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_system_is_mounted_from_above),
        cmocka_unit_test(an_absent_device_is_left_out_with_a_word),
        cmocka_unit_test(a_partition_is_found_by_its_table),
        cmocka_unit_test(encryption_is_told),
        cmocka_unit_test(a_system_without_usr_is_none),
        cmocka_unit_test(a_device_that_is_there_is_mounted_or_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
