/* The words for processors' architectures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "image/architecture.h"

static void test_architectures(void **state)
{
    (void)state;
    assert_string_equal(architecture_word("x86_64"), "amd64");
    assert_string_equal(architecture_word("AArch64"), "arm64");
    assert_string_equal(architecture_word("386"), "i386");
    assert_string_equal(architecture_word("riscv64"), "riscv64");
    assert_null(architecture_word("unknown"));
    assert_null(architecture_word(""));
    assert_null(architecture_word(NULL));
    assert_string_equal(architecture_word("armv8"), "arm64");
    assert_string_equal(architecture_word("loongarch64"), "loong64");
    assert_string_equal(architecture_plain("I686"), "i386");
    assert_string_equal(architecture_plain("unknown"), "unknown");
    assert_null(architecture_plain(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_architectures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
