/* Vagrant's words for providers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <ingot/format.h>

#include "vagrant/providers.h"

static void test_forms(void **state)
{
    (void)state;
    assert_string_equal(vagrant_form_of("libvirt")->format, "vagrant-libvirt");
    assert_string_equal(vagrant_form_of("vmware_fusion")->provider, "vmware_desktop");
    assert_null(vagrant_form_of("docker"));
    assert_null(vagrant_form_of_format("qcow2"));
    for (guint i = 0; i < VAGRANT_FORMS; i++) {
        assert_non_null(ingot_format_find(vagrant_forms[i].format, NULL));
        assert_ptr_equal(vagrant_form_of_format(vagrant_forms[i].format), &vagrant_forms[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
