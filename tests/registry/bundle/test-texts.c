/* The other texts of a bundle: an OVF package's manifest, and VMware's *.vmx. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "bundle/checksums.h"
#include "bundle/vmx.h"

#define SHA1 "0123456789abcdef0123456789abcdef01234567"
#define SHA256 "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff"

static void test_checksums(void **state)
{
    static const char text[] = "SHA1 (web (1).ovf) = " SHA1 "\r\n\r\nSHA256(web-disk1.vmdk)= " SHA256 "\n";
    g_autoptr(GError) error = NULL;
    (void)state;
    g_autoptr(GPtrArray) all = checksums_parse(text, strlen(text), "web.mf", &error);
    assert_null(error);
    assert_int_equal(all->len, 2);
    const Checksum *first = g_ptr_array_index(all, 0), *second = g_ptr_array_index(all, 1);
    assert_string_equal(first->file, "web (1).ovf");
    assert_int_equal(first->type, G_CHECKSUM_SHA1);
    assert_string_equal(first->hex, SHA1);
    assert_string_equal(second->file, "web-disk1.vmdk");
    assert_int_equal(second->type, G_CHECKSUM_SHA256);
    g_autofree char *lower = g_ascii_strdown(SHA256, -1);
    assert_string_equal(second->hex, lower);
}

static void test_no_checksums(void **state)
{
    static const struct {
        const char *text, *told;
    } wrong[] = {
        {"\nSHA256(a)= " SHA1, "web.mf: line 2"},
        {"MD5(a)= 0123", "line 1"},
        {"SHA2(a)= " SHA1, "line 1"},
        {"SHA1(a)= " SHA1 " more", "line 1"},
        {"SHA1(a)= " SHA1 "\nSHA256(a)= " SHA256, "'a' comes a second time"},
        {"SHA1(\xff)= " SHA1, "line 1"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(checksums_parse(wrong[i].text, strlen(wrong[i].text), "web.mf", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, wrong[i].told));
    }
}

static void test_vmx(void **state)
{
    static const char text[] = ".encoding = \"UTF-8\"\r\n"
                               "firmware = \"EFI\"\r\n"
                               "SCSI0:0.fileName=\"web.vmdk\"\n"
                               "scsi0:0.present = \"TRUE\"\n"
                               "sata0:1.fileName = \"gone.vmdk\"\n"
                               "sata0:1.present = \"false\"\n"
                               "ide1:0.fileName = \"tools.iso\"\n"
                               "nvme0:0.fileName = \"data.vmdk\"\n"
                               "nvram = \"web.vmdk\"\n"
                               "no line at all\n= \"\"\n\"\n";
    (void)state;
    g_autoptr(Vmx) vmx = vmx_parse(text, strlen(text));
    assert_true(vmx->uefi);
    assert_int_equal(vmx->disks->len, 2);
    assert_string_equal(g_ptr_array_index(vmx->disks, 0), "data.vmdk");
    assert_string_equal(g_ptr_array_index(vmx->disks, 1), "web.vmdk");
    g_autoptr(Vmx) nothing = vmx_parse("", 0);
    assert_false(nothing->uefi);
    assert_int_equal(nothing->disks->len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_no_checksums),
        cmocka_unit_test(test_vmx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
