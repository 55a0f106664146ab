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

static const OvfDrive *drive(const Ovf *ovf, guint number)
{
    assert_true(number < ovf->drives->len);
    return &g_array_index(ovf->drives, OvfDrive, number);
}

static void test_prefixes(void **state)
{
    (void)state;
    g_autoptr(Ovf) ovf =
        parse("\xef\xbb\xbf<?xml version='1.0'?><ovf:Envelope xmlns:ovf='x'><ovf:References>"
              "<ovf:File id='f' href='./my%20disk.vmdk' compression='gzip' ovf:chunkSize='5' ovf:size='12'/>"
              "</ovf:References><ovf:DiskSection><ovf:Info>&amp;</ovf:Info>"
              "<ovf:Disk diskId='d' ovf:fileRef='f' parentRef='e'/></ovf:DiskSection>"
              "<ovf:VirtualSystemCollection><ovf:VirtualSystem ovf:id='a'/><ovf:VirtualSystem/>"
              "</ovf:VirtualSystemCollection></ovf:Envelope>");
    const OvfFile *file = g_ptr_array_index(ovf->files, 0);
    const OvfDisk *disk = g_ptr_array_index(ovf->disks, 0);
    assert_string_equal(file->id, "f");
    assert_string_equal(file->href, "my%20disk.vmdk");
    assert_string_equal(file->compression, "gzip");
    assert_int_equal(file->chunk, 5);
    assert_int_equal(file->size, 12);
    assert_string_equal(disk->id, "d");
    assert_string_equal(disk->file_id, "f");
    assert_string_equal(disk->parent, "e");
    assert_int_equal(disk->capacity, 0);
    assert_int_equal(ovf->machines->len, 2);
    assert_string_equal(g_ptr_array_index(ovf->machines, 0), "a");
    assert_false(ovf->uefi);
    assert_int_equal(ovf->drives->len, 1);
    assert_ptr_equal(drive(ovf, 0)->disk, disk);
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
        {"capacity='2' capacityAllocationUnits='GiB'", G_GUINT64_CONSTANT(2) << 30},
        {"capacity='2048' capacityAllocationUnits='byte * 512'", 1 << 20},
        {"capacity='3' capacityAllocationUnits='bytes'", 3},
        {"capacity='3' capacityAllocationUnits='byte * 1024 * 1024'", 3 << 20},
        {"capacity='3' capacityAllocationUnits='byte * 10^3'", 3000},
        {"capacity=' 3 ' capacityAllocationUnits=''", 3},
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
    expect_refused(HEAD "<Disk diskId='d' capacity='8' capacityAllocationUnits='byte * 2^60'/>" TAIL, "more than");
    expect_refused(HEAD "<Disk diskId='d' capacity='1' capacityAllocationUnits='byte * x'/>" TAIL, "'byte * x'");
    /* Looked at factor by factor, a long one would take minutes. */
    g_autoptr(GString) factors = g_string_new(HEAD "<Disk diskId='d' capacity='1' capacityAllocationUnits='byte");
    for (guint i = 0; i < 200000; i++) {
        g_string_append(factors, " * 1");
    }
    g_string_append(factors, "'/>" TAIL);
    expect_refused(factors->str, "a unit that is not known");
}

/* "${size}" is what a property has, wherever it stands. */
static void test_properties(void **state)
{
    static const char head[] = "<Envelope><DiskSection><Disk diskId='d' capacity='${%s}'"
                               " capacityAllocationUnits='byte * 2^30'/></DiskSection><VirtualSystem>";
    static const char tail[] = "</VirtualSystem></Envelope>";
    static const struct {
        const char *name, *section;
    } known[] = {
        {"size", "<ProductSection><Property ovf:key='size' ovf:type='uint32' ovf:value='40'/></ProductSection>"},
        {"org.app.size.2", "<ProductSection ovf:class='org.app' ovf:instance='2'><Property ovf:key='size'"
                           " ovf:value='40'/></ProductSection>"},
        {"size", "<ProductSection ovf:class='a'/><ProductSection><Property key='size' value='40'/></ProductSection>"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        g_autofree char *begin = g_strdup_printf(head, known[i].name);
        g_autofree char *text = g_strconcat(begin, known[i].section, tail, NULL);
        g_autoptr(Ovf) ovf = parse(text);
        assert_int_equal(drive(ovf, 0)->disk->capacity, G_GUINT64_CONSTANT(40) << 30);
    }
    g_autofree char *begin = g_strdup_printf(head, "other");
    g_autofree char *without = g_strconcat(begin, known[0].section, tail, NULL);
    expect_refused(without, "'${other}' is a property");
    g_autofree char *word = g_strconcat("<Envelope><DiskSection><Disk diskId='d' capacity='${a}'/></DiskSection>"
                                        "<ProductSection><Property key='a' value='much'/></ProductSection></Envelope>",
                                        NULL);
    expect_refused(word, "'much' is no number");
}

/* --- what the machine has --- */

#define ITEM(id, type, more)                                                                                           \
    "<Item><rasd:InstanceID>" id "</rasd:InstanceID><rasd:ResourceType>" type "</rasd:ResourceType>" more "</Item>"
#define DRIVE(parent, unit, resource)                                                                                  \
    "<Item><rasd:AddressOnParent>" unit "</rasd:AddressOnParent><rasd:HostResource>" resource                          \
    "</rasd:HostResource><rasd:Parent>" parent "</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>"
#define SUBTYPE(name) "<rasd:ResourceSubType>" name "</rasd:ResourceSubType>"
#define ADDRESS(number) "<rasd:Address>" number "</rasd:Address>"

static void test_drives(void **state)
{
    static const struct {
        const char *items, *expected; /* "ID:BUS", in order */
    } machines[] = {
        {"", "a:? b:? c:?"},
        {ITEM("3", "6", SUBTYPE("lsilogic") ADDRESS("0")) DRIVE("3", "1", "ovf:/disk/b") DRIVE("3", "0", "ovf:/disk/a"),
         "a:scsi b:scsi"},
        {ITEM("3", "6", ADDRESS("1")) ITEM("4", "6", ADDRESS("0")) DRIVE("3", "0", "/disk/b")
             DRIVE("4", "7", "ovf://disk/c"),
         "c:scsi b:scsi"},
        {ITEM("3", "20", SUBTYPE("AHCI")) DRIVE("3", "0", "/disk/b"), "b:sata"},
        {ITEM("3", "20", SUBTYPE("vmware.nvme.controller")) DRIVE("3", "0", "/disk/b"), "b:nvme"},
        {ITEM("3", "20", SUBTYPE("VirtioSCSI")) DRIVE("3", "0", "/disk/b"), "b:virtio"},
        {ITEM("5", "5", ADDRESS("0")) ITEM("3", "6", "") DRIVE("3", "0", "ovf:/disk/c") DRIVE("5", "0", "ovf:/disk/a"),
         "c:scsi a:ide"},
        /* A CD's file is no disk of the machine's, whatever it is called. */
        {ITEM("5", "5", "")
             DRIVE("5", "0", "ovf:/disk/a") "<Item><rasd:HostResource>ovf:/file/f</"
                                            "rasd:HostResource><rasd:ResourceType>15</rasd:ResourceType></Item>",
         "a:ide"},
        /* One disk that can't be told: all of them, as they are listed. */
        {ITEM("5", "5", "") DRIVE("5", "1", "ovf:/disk/a") DRIVE("5", "0", "[store] b.vmdk"), "a:? b:? c:?"},
        /* oVirt names the group and the disk. */
        {DRIVE("1", "0", "group/b"), "b:?"},
        {DRIVE("1", "0", "ovf:/file/f"), "a:?"},
        {DRIVE("1", "0", "ovf:/file/g"), "g:?"},
        /* OVF 2.0 has elements of their own for drives. */
        {"<StorageItem><sasd:HostResource>ovf:/disk/c</sasd:HostResource><sasd:ResourceType>17</sasd:ResourceType>"
         "</StorageItem>",
         "c:?"},
        {DRIVE("1", "0", "ovf:/disk/b") DRIVE("1", "1", "ovf:/disk/b"), "b:?"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(machines); i++) {
        g_autofree char *text = g_strconcat(
            "<Envelope><References><File id='f' href='a.vmdk'/><File id='g' href='g.vmdk'/></References><DiskSection>"
            "<Disk diskId='a' fileRef='f'/><Disk diskId='b'/><Disk diskId='c'/></DiskSection><VirtualSystem>"
            "<VirtualHardwareSection>",
            machines[i].items, "</VirtualHardwareSection></VirtualSystem></Envelope>", NULL);
        g_autoptr(Ovf) ovf = parse(text);
        g_autoptr(GString) found = g_string_new(NULL);
        for (guint j = 0; j < ovf->drives->len; j++) {
            const OvfDrive *one = drive(ovf, j);
            g_string_append_printf(found, "%s%s:%s", j == 0 ? "" : " ", one->disk->id,
                                   one->bus == NULL ? "?" : one->bus);
        }
        assert_string_equal(found->str, machines[i].expected);
        assert_int_equal(ovf->unused->len, ovf->disks->len - ovf->drives->len);
    }
}

static void test_architecture(void **state)
{
    static const struct {
        const char *system, *architecture;
    } known[] = {
        {"<OperatingSystemSection vmw:osType='debian12_64Guest'/>", NULL},
        {"<OperatingSystemSection vmw:osType='arm-debian12-64'/>", "arm64"},
        {"<OperatingSystemSection><vbox:OSType>Debian_64</vbox:OSType></OperatingSystemSection>", NULL},
        {"<OperatingSystemSection><vbox:OSType ovf:required='false'>Ubuntu_arm64</vbox:OSType>"
         "</OperatingSystemSection>",
         "arm64"},
        {"<vbox:Machine OSType='Debian_arm64'/>", "arm64"},
        {"<vbox:Machine OSType='Other'><Platform architecture='ARM'/></vbox:Machine>", "arm64"},
        {"<vbox:Machine OSType='Other'><Platform architecture='x86'/></vbox:Machine>", NULL},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        g_autofree char *text = g_strdup_printf("<Envelope>%s</Envelope>", known[i].system);
        g_autoptr(Ovf) ovf = parse(text);
        assert_int_equal(g_strcmp0(ovf->architecture, known[i].architecture), 0);
    }
}

/* What its exporters write where they mean nothing, or what no suffix tells. */
static void test_disks(void **state)
{
    (void)state;
    g_autoptr(Ovf) ovf = parse("<Envelope><DiskSection>"
                               "<Disk diskId='a' fileRef='' parentRef='' ovf:volume-format='RAW'/>"
                               "<Disk diskId='b' fileRef='g/b' ovf:volume-format='COW'/>"
                               "<Disk diskId='c' ovf:volume-format=''/></DiskSection></Envelope>");
    static const char *const formats[] = {"raw", "qcow2", NULL};
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        assert_int_equal(g_strcmp0(drive(ovf, i)->disk->format, formats[i]), 0);
        assert_null(drive(ovf, i)->disk->parent);
    }
    assert_null(drive(ovf, 0)->disk->file_id);
    assert_string_equal(drive(ovf, 1)->disk->file_id, "g/b");
}

static void test_versions(void **state)
{
    static const char *const taken[] = {
        "<Envelope ovf:version='1.0' xmlns='http://schemas.dmtf.org/ovf/envelope/1'/>",
        "<Envelope ovf:version='2.0' xmlns='http://schemas.dmtf.org/ovf/envelope/2'/>",
        "<ovf:Envelope ovf:version='1.1.0' xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1'"
        " xmlns:vmw='http://www.vmware.com/schema/ovf'/>",
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(taken); i++) {
        g_autoptr(Ovf) ovf = parse(taken[i]);
        assert_non_null(ovf);
    }
    expect_refused("<Envelope ovf:version='0.9'/>", "version 0.9");
    expect_refused("<Envelope xmlns='http://www.vmware.com/schema/ovf/1/envelope'/>", "version 0.9");
    expect_refused("<o:Envelope xmlns:o='http://www.vmware.com/schema/ovf/1/envelope'/>", "version 0.9");
    expect_refused("<Envelope ovf:version='3.0'/>", "version '3.0'");
}

static void test_firmware(void **state)
{
    static const struct {
        const char *element;
        gboolean uefi, bios;
    } known[] = {
        {"<vmw:Config vmw:key='firmware' vmw:value='efi'/>", TRUE, FALSE},
        {"<vmw:Config vmw:key='firmware' vmw:value='bios'/>", FALSE, TRUE},
        {"<vmw:Config vmw:key='other' vmw:value='efi'/>", FALSE, FALSE},
        {"<vbox:Machine><Hardware><Firmware type='EFI'/></Hardware></vbox:Machine>", TRUE, FALSE},
        {"<vbox:Machine><Hardware><Firmware type='EFI64'/></Hardware></vbox:Machine>", TRUE, FALSE},
        {"<vbox:Machine><Hardware><Firmware type='BIOS'/></Hardware></vbox:Machine>", FALSE, TRUE},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        g_autofree char *text = g_strdup_printf("<Envelope>%s</Envelope>", known[i].element);
        g_autoptr(Ovf) ovf = parse(text);
        assert_int_equal(ovf->uefi, known[i].uefi);
        assert_int_equal(ovf->bios, known[i].bios);
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
    expect_refused("<Envelope><References><File id='a' href='a' chunkSize='0'/></References></Envelope>", "chunkSize");
    expect_refused("<Envelope><References><File id='a' href='a' chunkSize='1' size='x'/></References></Envelope>",
                   "size 'x'");
    expect_refused("<Envelope><DiskSection><Disk/></DiskSection></Envelope>", "no diskId");
    expect_refused("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><Envelope>&e;</Envelope>", "Entity name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes), cmocka_unit_test(test_places),       cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_firmware), cmocka_unit_test(test_no_ovf),       cmocka_unit_test(test_properties),
        cmocka_unit_test(test_drives),   cmocka_unit_test(test_architecture), cmocka_unit_test(test_disks),
        cmocka_unit_test(test_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
