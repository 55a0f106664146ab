/* Where GRUB's first two pieces are told that the rest lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <string.h>

#include "source/grub.h"

static GByteArray *core_of(guint size)
{
    GByteArray *core = g_byte_array_new();
    g_byte_array_set_size(core, size);
    memset(core->data, 0x55, size);
    return core;
}

static void test_addresses(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) core = core_of(3 * 512 + 1);
    guint8 boot[512];
    memset(boot, 0x11, sizeof boot);
    assert_true(grub_patch(boot, sizeof boot, core, 2048, &error));

    static const guint8 sector[] = {0x00, 0x08, 0, 0, 0, 0, 0, 0, 0xff, 0x11, 0x90, 0x90};
    static const guint8 list[] = {0x01, 0x08, 0, 0, 0, 0, 0, 0, 3, 0, 0x55, 0x55};
    assert_memory_equal(boot + 0x5c, sector, sizeof sector);
    assert_int_equal(core->len, 4 * 512);
    assert_memory_equal(core->data + 512 - sizeof list, list, sizeof list);
    assert_int_equal(core->data[3 * 512], 0x55);
    assert_int_equal(core->data[3 * 512 + 1], 0);
}

static void test_odd_sizes(void **state)
{
    (void)state;
    guint8 boot[512] = {0};
    g_autoptr(GByteArray) small = core_of(512);
    g_autoptr(GByteArray) core = core_of(1024);
    g_autoptr(GError) first = NULL;
    g_autoptr(GError) second = NULL;
    assert_false(grub_patch(boot, sizeof boot, small, 2048, &first));
    assert_non_null(first);
    assert_false(grub_patch(boot, 440, core, 2048, &second));
    assert_non_null(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses), cmocka_unit_test(test_odd_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
