/* What an OVF descriptor says, in the ways in which it is written; nothing of XML's that could reach outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "bundle/ovf.h"

#define HEAD "<Envelope xmlns:ovf='x'><References><File ovf:id='f' ovf:href='a.vmdk'/></References><DiskSection>"
#define TAIL "</DiskSection><VirtualSystem/></Envelope>"

static Ovf *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    Ovf *ovf = ovf_parse(text, strlen(text), "web.ovf", &error);
    assert_null(error);
    return ovf;
}

static void expect_refused(const char *text, const char *told)
{
    g_autoptr(GError) error = NULL;
    assert_null(ovf_parse(text, strlen(text), "web.ovf", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_true(g_str_has_prefix(error->message, "web.ovf: "));
    if (strstr(error->message, told) == NULL) {
        fail_msg("'%s' is not in: %s", told, error->message);
    }
}

static void test_prefixes(void **state)
{
    (void)state;
    g_autoptr(Ovf) ovf = parse("\xef\xbb\xbf<?xml version='1.0'?><ovf:Envelope xmlns:ovf='x'><ovf:References>"
                               "<ovf:File id='f' href='./my%20disk.vmdk' compression='gzip' ovf:chunkSize='5'/>"
                               "</ovf:References><ovf:DiskSection><ovf:Info>&amp;</ovf:Info>"
                               "<ovf:Disk diskId='d' ovf:fileRef='f' parentRef='e'/></ovf:DiskSection>"
                               "<ovf:VirtualSystemCollection><ovf:VirtualSystem/><ovf:VirtualSystem/>"
                               "</ovf:VirtualSystemCollection></ovf:Envelope>");
    const OvfFile *file = g_ptr_array_index(ovf->files, 0);
    const OvfDisk *disk = g_ptr_array_index(ovf->disks, 0);
    assert_string_equal(file->id, "f");
    assert_string_equal(file->href, "my%20disk.vmdk");
    assert_string_equal(file->compression, "gzip");
    assert_true(file->chunked);
    assert_string_equal(disk->id, "d");
    assert_string_equal(disk->file_id, "f");
    assert_string_equal(disk->parent, "e");
    assert_int_equal(disk->capacity, 0);
    assert_int_equal(ovf->machines, 2);
    assert_false(ovf->uefi);
}

/* A Disk is one in the section of disks alone, a File one among the references. */
static void test_places(void **state)
{
    (void)state;
    g_autoptr(Ovf) ovf = parse("<Envelope><References><File id='f' href='a'/></References><File/><Disk/>"
                               "<VirtualSystem><Disk/><File/></VirtualSystem></Envelope>");
    assert_int_equal(ovf->files->len, 1);
    assert_int_equal(ovf->disks->len, 0);
}

static void test_capacity(void **state)
{
    static const struct {
        const char *attributes;
        guint64 capacity;
    } known[] = {
        {"capacity='512'", 512},
        {"capacity='3' capacityAllocationUnits='byte'", 3},
        {"ovf:capacity='40' ovf:capacityAllocationUnits='byte * 2^30'", G_GUINT64_CONSTANT(40) << 30},
        {"capacity='7' capacityAllocationUnits='byte*2^10'", 7 << 10},
        {"capacity='2' capacityAllocationUnits='GigaBytes'", G_GUINT64_CONSTANT(2) << 30},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        g_autofree char *text = g_strdup_printf(HEAD "<Disk diskId='d' %s/>" TAIL, known[i].attributes);
        g_autoptr(Ovf) ovf = parse(text);
        assert_int_equal(((const OvfDisk *)g_ptr_array_index(ovf->disks, 0))->capacity, known[i].capacity);
    }
    expect_refused(HEAD "<Disk diskId='d' capacity='-1'/>" TAIL, "'-1' is no number");
    expect_refused(HEAD "<Disk diskId='d' capacity='1' capacityAllocationUnits='pages'/>" TAIL, "'pages'");
    expect_refused(HEAD "<Disk diskId='d' capacity='9' capacityAllocationUnits='byte * 2^62'/>" TAIL, "more than");
    expect_refused(HEAD "<Disk diskId='d' capacity='1' capacityAllocationUnits='byte * 2^99'/>" TAIL, "more than");
}

static void test_firmware(void **state)
{
    static const struct {
        const char *element;
        gboolean uefi;
    } known[] = {
        {"<vmw:Config vmw:key='firmware' vmw:value='efi'/>", TRUE},
        {"<vmw:Config vmw:key='firmware' vmw:value='bios'/>", FALSE},
        {"<vmw:Config vmw:key='other' vmw:value='efi'/>", FALSE},
        {"<vbox:Machine><Hardware><Firmware type='EFI'/></Hardware></vbox:Machine>", TRUE},
        {"<vbox:Machine><Hardware><Firmware type='BIOS'/></Hardware></vbox:Machine>", FALSE},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        g_autofree char *text = g_strdup_printf("<Envelope>%s</Envelope>", known[i].element);
        g_autoptr(Ovf) ovf = parse(text);
        assert_int_equal(ovf->uefi, known[i].uefi);
    }
}

static void test_no_ovf(void **state)
{
    (void)state;
    expect_refused("", "empty");
    expect_refused("<html/>", "'html'");
    expect_refused("<Envelope><References>", "line 1");
    expect_refused("<Envelope><References><File href='a'/></References></Envelope>", "no id");
    expect_refused("<Envelope><References><File id='a'/></References></Envelope>", "no href");
    expect_refused("<Envelope><DiskSection><Disk/></DiskSection></Envelope>", "no diskId");
    expect_refused("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><Envelope>&e;</Envelope>", "Entity name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes), cmocka_unit_test(test_places), cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_firmware), cmocka_unit_test(test_no_ovf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
