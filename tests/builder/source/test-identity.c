/* The same key gives the same identifiers, another label or key gives others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "source/identity.h"

static void test_uuid(void **state)
{
    (void)state;
    char a[IDENTITY_UUID_SIZE], again[IDENTITY_UUID_SIZE], label[IDENTITY_UUID_SIZE], key[IDENTITY_UUID_SIZE];
    identity_derive_uuid("key", "root", a);
    identity_derive_uuid("key", "root", again);
    identity_derive_uuid("key", "esp", label);
    identity_derive_uuid("kez", "root", key);
    assert_string_equal(a, again);
    assert_string_not_equal(a, label);
    assert_string_not_equal(a, key);
    assert_true(g_uuid_string_is_valid(a));
    assert_int_equal(a[14], '8');
    assert_non_null(strchr("89ab", a[19]));
}

/* Where the key ends and the label begins counts. */
static void test_boundary(void **state)
{
    (void)state;
    char a[IDENTITY_UUID_SIZE], b[IDENTITY_UUID_SIZE];
    identity_derive_uuid("ab", "c", a);
    identity_derive_uuid("a", "bc", b);
    assert_string_not_equal(a, b);
    assert_int_equal(identity_serial("k", "esp"), identity_serial("k", "esp"));
    assert_int_not_equal(identity_serial("k", "esp"), identity_serial("l", "esp"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_uuid), cmocka_unit_test(test_boundary)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
