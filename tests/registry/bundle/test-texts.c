/* The other texts of a bundle: an OVF package's manifest, VMware's *.vmx, Hyper-V's XML, UTM's property list, a
 * box's Vagrantfile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "bundle/boxfile.h"
#include "bundle/checksums.h"
#include "bundle/hyperv.h"
#include "bundle/utm.h"
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

/* One file's digest, in each of the ways in which it is written. */
static void test_spellings(void **state)
{
    static const char *const lines[] = {
        "SHA256(a b.vmdk)= " SHA256,
        "SHA-256 (a b.vmdk) = " SHA256 "\r",
        "\xef\xbb\xbfSHA256(a b.vmdk)=" SHA256,
        SHA256 "  a b.vmdk",
        SHA256 " *a b.vmdk\r\n",
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) all = checksums_parse(lines[i], strlen(lines[i]), "web.mf", &error);
        assert_null(error);
        assert_int_equal(all->len, 1);
        const Checksum *checksum = g_ptr_array_index(all, 0);
        assert_string_equal(checksum->file, "a b.vmdk");
        assert_int_equal(checksum->type, G_CHECKSUM_SHA256);
    }
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
        {"SHA-256(a)= " SHA1, "line 1"},
        {"0123456789abcdef0123456789abcdef  a", "line 1"},
        {SHA1 "ab  a", "line 1"},
        {SHA1, "line 1"},
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
                               "ide0:0.fileName = \"cd.vmdk\"\n"
                               "ide0:0.deviceType = \"cdrom-image\"\n"
                               "nvme0:0.fileName = \"data.VMDK\"\n"
                               "scsi0:10.fileName = \"c.vmdk\"\n"
                               "scsi0:2.fileName = \"b.vmdk\"\n"
                               "scsi1:0.fileName = \"a.vmdk\"\n"
                               "nvram = \"web.vmdk\"\n"
                               "no line at all\n= \"\"\n\"\n";
    static const char *const disks[][2] = {
        {"web.vmdk", "scsi"}, {"b.vmdk", "scsi"}, {"c.vmdk", "scsi"}, {"a.vmdk", "scsi"}, {"data.VMDK", "nvme"}};
    (void)state;
    g_autoptr(Vmx) vmx = vmx_parse(text, strlen(text), "web.vmx", NULL);
    assert_true(vmx->uefi);
    assert_false(vmx->bios);
    assert_null(vmx->architecture);
    assert_int_equal(vmx->disks->len, G_N_ELEMENTS(disks));
    for (guint i = 0; i < G_N_ELEMENTS(disks); i++) {
        const VmxDisk *disk = g_ptr_array_index(vmx->disks, i);
        assert_string_equal(disk->file, disks[i][0]);
        assert_string_equal(disk->bus, disks[i][1]);
    }
    g_autoptr(Vmx) nothing = vmx_parse("", 0, "web.vmx", NULL);
    assert_false(nothing->uefi);
    assert_int_equal(nothing->disks->len, 0);
    static const char arm[] = "guestOS = \"arm-ubuntu-64\"\nfirmware = \"bios\"\n";
    g_autoptr(Vmx) other = vmx_parse(arm, strlen(arm), "web.vmx", NULL);
    assert_string_equal(other->architecture, "arm64");
    assert_true(other->bios);
}

/* Files are called by what the host had for letters; one that cannot be read is not left out. */
static void test_vmx_letters(void **state)
{
    static const struct {
        const char *encoding, *name, *file; /* NULL: it cannot be read */
    } known[] = {
        {"UTF-8", "B\xc3\xbcro.vmdk", "B\xc3\xbcro.vmdk"},
        {"windows-1252", "B\xfcro.vmdk", "B\xc3\xbcro.vmdk"},
        {"GBK", "\xce\xc4.vmdk", "\xe6\x96\x87.vmdk"},
        {"Shift_JIS", "\x95\xb6.vmdk", "\xe6\x96\x87.vmdk"},
        {"klingon", "web.vmdk", "web.vmdk"},
        {"UTF-8", "B\xfcro.vmdk", NULL},
        {"klingon", "B\xfcro.vmdk", NULL},
        {NULL, "B\xc3\xbcro.vmdk", "B\xc3\xbcro.vmdk"},
        {NULL, "B\xfcro.vmdk", NULL},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        const char *encoding = known[i].encoding;
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_strdup_printf(
            "%s%s%s\nannotation = \"\xff\"\nscsi0:0.fileName = \"%s\"\nscsi0:1.fileName = \"data.vmdk\"",
            encoding == NULL ? "" : ".encoding = \"", encoding == NULL ? "" : encoding, encoding == NULL ? "" : "\"",
            known[i].name);
        g_autoptr(Vmx) vmx = vmx_parse(text, strlen(text), "web.vmx", &error);
        if (known[i].file == NULL) {
            assert_null(vmx);
            assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
            assert_true(g_str_has_prefix(error->message, "web.vmx: line 3: "));
            continue;
        }
        assert_null(error);
        assert_int_equal(vmx->disks->len, 2);
        assert_string_equal(((const VmxDisk *)g_ptr_array_index(vmx->disks, 0))->file, known[i].file);
    }
    static const char no_disk[] = "ide1:0.fileName = \"B\xfcro.iso\"\nscsi0:0.fileName = \"web.vmdk\"\n";
    g_autoptr(Vmx) other = vmx_parse(no_disk, strlen(no_disk), "web.vmx", NULL);
    assert_int_equal(other->disks->len, 1);
}

/* --- Hyper-V --- */

static const char hyperv_xml[] =
    "<?xml version=\"1.0\" encoding=\"UTF-16\" standalone=\"yes\"?>\n<configuration>"
    "<_83f8638b-8dca-4152-9eda-2ca8b33039b4_><controller0>"
    "<drive0><pathname type=\"string\">D:\\VMs\\Virtual Hard Disks\\data.vhdx</pathname><type "
    "type=\"string\">VHD</type>"
    "</drive0><drive1><pathname type=\"string\">C:\\setup.iso</pathname><type type=\"string\">ISO</type></drive1>"
    "</controller0></_83f8638b-8dca-4152-9eda-2ca8b33039b4_>"
    "<controller1><drive0><type type=\"string\">VHD</type><pathname type=\"string\">b.vhd</pathname></drive0>"
    "</controller1><controller0><drive0><pathname type=\"string\">..\\a.vhd</pathname></drive0><drive1/></controller0>"
    "<properties><name type=\"string\">web</name><subtype type=\"integer\">%d</subtype></properties></configuration>";

static void test_hyperv(void **state)
{
    static const char *const disks[] = {"a.vhd", "b.vhd", "data.vhdx"};
    (void)state;
    for (int subtype = 0; subtype < 3; subtype++) {
        g_autofree char *text = g_strdup_printf(hyperv_xml, subtype);
        g_autoptr(GError) error = NULL;
        gsize size;
        g_autofree char *wide = g_convert(text, -1, "UTF-16LE", "UTF-8", NULL, &size, NULL);
        g_autofree char *marked = g_malloc(size + 2);
        memcpy(marked, "\xff\xfe", 2);
        memcpy(marked + 2, wide, size);
        g_autoptr(Hyperv) plain = hyperv_parse(text, strlen(text), "web.xml", &error);
        assert_null(error);
        g_autoptr(Hyperv) machine = hyperv_parse(marked, size + 2, "web.xml", &error);
        assert_null(error);
        assert_int_equal(plain->generation, subtype == 2 ? 0 : subtype + 1);
        assert_int_equal(machine->generation, plain->generation);
        assert_int_equal(machine->disks->len, G_N_ELEMENTS(disks));
        for (guint i = 0; i < G_N_ELEMENTS(disks); i++) {
            assert_string_equal(g_ptr_array_index(machine->disks, i), disks[i]);
        }
    }
}

static void test_no_hyperv(void **state)
{
    static const char *const wrong[] = {"", "<html/>", "<configuration>", "\xff\xfe<", "\xfe\xff\xd8"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(hyperv_parse(wrong[i], strlen(wrong[i]), "web.xml", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_true(g_str_has_prefix(error->message, "web.xml: "));
    }
}

/* --- UTM --- */

static void test_utm(void **state)
{
    static const char text[] =
        "<?xml version='1.0'?><!DOCTYPE plist PUBLIC '-//Apple//DTD PLIST 1.0//EN' 'x'><plist><dict>"
        "<key>Drive</key><array><dict><key>ImageName</key><string>a.qcow2</string><key>Interface</key>"
        "<string>VirtIO</string></dict><dict><key>ImageName</key><string>b.iso</string><key>ImageType</key>"
        "<string>CD</string></dict><dict><key>ImageType</key><string>Disk</string><key>ImageName</key>"
        "<string>c.qcow2</string><key>Interface</key><string>USB</string></dict></array>"
        "<key>Other</key><dict><key>Drive</key><dict><key>ImageName</key><string>no</string></dict></dict>"
        "<key>QEMU</key><dict><key>UEFIBoot</key><false/><key>X</key><true/></dict>"
        "<key>System</key><dict><key>Architecture</key><string>x86_64</string></dict></dict></plist>";
    static const char *const wrong[] = {"",
                                        "<dict/>",
                                        "bplist00",
                                        "<plist><dict>",
                                        "<plist></dict></plist>",
                                        "<plist><dict><key>System</key><dict><key>Architecture</key>"
                                        "<string>z80</string></dict></dict></plist>"};
    g_autoptr(GError) error = NULL;
    (void)state;
    g_autoptr(Utm) utm = utm_parse(text, strlen(text), "config.plist", &error);
    assert_null(error);
    assert_int_equal(utm->disks->len, 2);
    const UtmDisk *first = g_ptr_array_index(utm->disks, 0), *second = g_ptr_array_index(utm->disks, 1);
    assert_string_equal(first->file, "a.qcow2");
    assert_string_equal(first->bus, "virtio");
    assert_string_equal(second->file, "c.qcow2");
    assert_null(second->bus);
    assert_true(utm->bios);
    assert_false(utm->uefi);
    assert_string_equal(utm->architecture, "amd64");
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) problem = NULL;
        assert_null(utm_parse(wrong[i], strlen(wrong[i]), "config.plist", &problem));
        assert_true(g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_true(g_str_has_prefix(problem->message, "config.plist: "));
    }
}

/* --- a box's Vagrantfile --- */

static void test_boxfile(void **state)
{
    static const struct {
        const char *text;
        gboolean uefi;
        const char *architecture;
    } known[] = {
        {"", FALSE, NULL},
        {"libvirt.loader = \"/usr/share/OVMF/OVMF_CODE.fd\"\n", TRUE, NULL},
        {"  v.nvram = '/usr/share/edk2/vars.fd'", TRUE, NULL},
        {"# libvirt.loader = \"/usr/share/OVMF/OVMF_CODE.fd\"\n", FALSE, NULL},
        {"libvirt.loader = \"/usr/share/seabios/bios.bin\"\n", FALSE, NULL},
        {"qe.arch = \"aarch64\"\n", FALSE, "aarch64"},
        {"libvirt.machine_arch = 'x86_64'\n", FALSE, "x86_64"},
        {"qe.arch = \"z80\"\nconfig.vm.box = \"efi\"", FALSE, "z80"},
        {"qe.arch = \"#{ENV['ARCH']}\"\n", FALSE, NULL},
        {"qe.arch = \"#{arch}\"\n", FALSE, NULL},
        {"qe.arch = ''\n", FALSE, NULL},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        g_auto(BoxFile) said = boxfile_read(known[i].text);
        assert_int_equal(said.uefi, known[i].uefi);
        assert_int_equal(g_strcmp0(said.architecture, known[i].architecture), 0);
        assert_false(said.own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksums),   cmocka_unit_test(test_no_checksums), cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_vmx),         cmocka_unit_test(test_hyperv),       cmocka_unit_test(test_no_hyperv),
        cmocka_unit_test(test_vmx_letters), cmocka_unit_test(test_utm),          cmocka_unit_test(test_boxfile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
