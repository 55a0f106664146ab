/* Which device a line of /proc/self/mountinfo is about, and whether it can change by that mount. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/sysmacros.h>

#include "base/devices.h"

static const char mounts[] = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
                             "22 21 8:17 / /media/my\\040stick rw - vfat /dev/sdb1 rw\n"
                             "23 21 0:5 / /proc rw - proc proc rw\n"
                             "24 21 8:33 / /old ro,relatime shared:2 - ext4 /dev/sdc1 ro,errors=continue\n"
                             "25 21 8:49 / /view ro,relatime shared:2 - ext4 /dev/sdd1 rw,errors=continue\n"
                             "26 21 8:65 / /cut\n";

static void test_found(void **state)
{
    const guint64 first[] = {makedev(8, 0), makedev(8, 1)}, second[] = {makedev(8, 16), makedev(8, 17)},
                  none[] = {makedev(8, 80)}, cut[] = {makedev(8, 65)};
    (void)state;
    g_autofree char *root = device_mounted(mounts, first, 2, FALSE);
    g_autofree char *stick = device_mounted(mounts, second, 2, TRUE);
    assert_string_equal(root, "/");
    assert_string_equal(stick, "/media/my stick");
    assert_null(device_mounted(mounts, none, 1, FALSE));
    assert_null(device_mounted(mounts, cut, 1, FALSE));
}

/* What counts is the file system: one that is written elsewhere changes under a view of it for reading, too. */
static void test_writable(void **state)
{
    const guint64 old = makedev(8, 33), view = makedev(8, 49);
    (void)state;
    g_autofree char *mounted = device_mounted(mounts, &old, 1, FALSE);
    g_autofree char *seen = device_mounted(mounts, &view, 1, TRUE);
    assert_string_equal(mounted, "/old");
    assert_null(device_mounted(mounts, &old, 1, TRUE));
    assert_string_equal(seen, "/view");
}

static void test_numbers(void **state)
{
    (void)state;
    g_autoptr(GArray) numbers = device_numbers(makedev(4000, 1)); /* of no device */
    assert_int_equal(numbers->len, 1);
    assert_int_equal(g_array_index(numbers, guint64, 0), makedev(4000, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_writable),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
