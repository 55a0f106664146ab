/* The last step of a recipe with outputs: what it asks of a guest, from the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ingot/format.h>

#include "base/process.h"
#include "ready/drivers.h"
#include "ready/ready.h"

/* The value of NAME='VALUE' in the step's script. Free it. */
static char *given(const json_t *step, const char *name)
{
    g_autofree char *begin = g_strdup_printf("%s='", name);
    const char *script = json_string_value(json_object_get(step, "script"));
    const char *at = strstr(script, begin);
    assert_non_null(at);
    at += strlen(begin);
    return g_strndup(at, strcspn(at, "'"));
}

static void assert_given(const json_t *step, const char *name, const char *expected)
{
    g_autofree char *value = given(step, name);
    assert_string_equal(value, expected);
}

static void every_format_has_its_drivers(void **state)
{
    (void)state;
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        const ReadyOutput *row = ready_outputs;
        while (row->format != NULL && strcmp(row->format, (*format)->name) != 0) {
            row++;
        }
        if (row->format == NULL || row->drivers[0] == NULL) {
            fail_msg("builder/ready/drivers.c has no row for the format '%s'", (*format)->name);
        }
    }
}

/* The part of what runs in the guest from one text up to another. Free it. */
static char *part_of_guest(const char *from, const char *to)
{
    g_autofree char *all = NULL;
    assert_true(g_file_get_contents("builder/ready/guest.sh", &all, NULL, NULL));
    const char *start = strstr(all, from), *end = start == NULL ? NULL : strstr(start, to);
    assert_non_null(end);
    return g_strndup(start, (gsize)(end - start));
}

/* What a text prints on this host's shell, with a status of 0. Free it. */
static char *printed(const char *text)
{
    const char *const argv[] = {"/bin/sh", "-c", text, NULL};
    char *out = ingot_process_output(argv, NULL);
    assert_non_null(out);
    return out;
}

/* Words for the default entry alone are not in those for recovery. */
static void every_entry_gets_the_words(void **state)
{
    (void)state;
    g_autofree char *part = part_of_guest("for word in net.ifnames", "GRUB_TERMINAL=");
    g_autofree char *text =
        g_strconcat("GRUB_CMDLINE_LINUX=biosdevname=0 GRUB_CMDLINE_LINUX_DEFAULT='quiet console=ttyS0 net.ifnames=0'\n",
                    part, "echo \"$GRUB_CMDLINE_LINUX\"\n", NULL);
    g_autofree char *out = printed(text);
    assert_string_equal(g_strchomp(out), "biosdevname=0 net.ifnames=0 console=tty0 console=ttyS0,115200n8");
}

#define ENTRY "\tlinux /boot/vmlinuz root=UUID=1 ro net.ifnames=0 biosdevname=0 console=tty0 console=ttyS0,115200n8\n"

static void entries_are_ready_where_each_system_has_the_words(void **state)
{
    (void)state;
    static const struct {
        const char *config, *ready;
    } cases[] = {
        {"serial --unit=0\n" ENTRY, "yes"},
        {"serial --unit=0\n" ENTRY "\tlinux /boot/memtest86+x64.bin console=ttyS0\n", "yes"},
        {"serial --unit=0\n" ENTRY "\tlinux /boot/vmlinuz root=UUID=1 ro single net.ifnames=0\n", "no"},
        {"serial --unit=0\n\tlinux /boot/memtest86+x64.bin\n", "no"},
        {ENTRY, "no"},
    };
    g_autofree char *part = part_of_guest("linux='^", "edit_config()");
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *quoted = g_shell_quote(cases[i].config);
        g_autofree char *text =
            g_strdup_printf("config=$(mktemp); printf '%%s' %s >$config\n%s\nif entries_are_ready; then echo yes; "
                            "else echo no; fi; rm $config\n",
                            quoted, part);
        g_autofree char *out = printed(text);
        assert_string_equal(g_strchomp(out), cases[i].ready);
    }
}

static void no_outputs_no_step(void **state)
{
    (void)state;
    g_autoptr(json_t) none = json_array();
    assert_null(ready_step(none));
    assert_null(ready_step(NULL));
}

static void a_driver_is_needed_by_all_that_need_it(void **state)
{
    (void)state;
    g_autoptr(json_t) outputs = json_pack("[s, s, s]", "vhdx", "qcow2", "vhd");
    g_autoptr(json_t) step = ready_step(outputs);
    assert_string_equal(json_string_value(json_object_get(step, "kind")), "ready");
    assert_string_equal(json_string_value(json_object_get(step, "name")), "ready for vhdx, qcow2, vhd");
    assert_true(json_equal(json_object_get(step, "outputs"), outputs));
    assert_given(step, "needs",
                 "virtio_pci:qcow2 virtio_blk:qcow2 virtio_net:qcow2 hv_vmbus:vhd,vhdx hv_storvsc:vhd,vhdx "
                 "hv_netvsc:vhd,vhdx ata_piix:vhd,vhdx sd_mod:vhd,vhdx");
    assert_given(step, "boxes", "");
}

/* Whatever the outputs are, the initramfs gets what any of them might need, each once. */
static void all_drivers_are_wanted(void **state)
{
    (void)state;
    static const char *const some[] = {"virtio_blk", "ahci",       "nvme",       "ata_piix",
                                       "mptspi",     "vmw_pvscsi", "hv_storvsc", "xen_blkfront"};
    g_autoptr(json_t) outputs = json_pack("[s]", "raw");
    g_autoptr(json_t) step = ready_step(outputs);
    g_autofree char *wanted = given(step, "wanted");
    g_auto(GStrv) words = g_strsplit(wanted, " ", -1);
    for (guint i = 0; i < G_N_ELEMENTS(some); i++) {
        assert_true(g_strv_contains((const char *const *)words, some[i]));
    }
    for (guint i = 0; words[i] != NULL; i++) {
        assert_false(g_strv_contains((const char *const *)words + i + 1, words[i]));
    }
}

static void boxes_are_told(void **state)
{
    (void)state;
    g_autoptr(json_t) outputs = json_pack("[s, s]", "qcow2", "vagrant-libvirt");
    g_autoptr(json_t) step = ready_step(outputs);
    assert_given(step, "boxes", "vagrant-libvirt");
}

/* A step of any other kind that calls a package manager would be run again each day. */
static void it_stands_for_ever(void **state)
{
    (void)state;
    g_autoptr(json_t) outputs = json_pack("[s]", "qcow2");
    g_autoptr(json_t) step = ready_step(outputs);
    assert_int_equal(json_integer_value(json_object_get(step, "max_age")), 0);
    assert_true(json_is_integer(json_object_get(step, "max_age")));
}

static void assert_beyond_clouds(const char *format, gboolean expected)
{
    g_autoptr(json_t) outputs = json_pack("[s, s]", "raw", format);
    assert_int_equal(ready_beyond_clouds(outputs), expected);
}

static void some_outputs_need_more_than_clouds_have(void **state)
{
    (void)state;
    g_autoptr(json_t) none = json_array();
    assert_false(ready_beyond_clouds(none));
    assert_beyond_clouds("qcow2", FALSE);
    assert_beyond_clouds("vhd", FALSE);
    assert_beyond_clouds("vdi", TRUE);
    assert_beyond_clouds("vmdk", TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_has_its_drivers),
        cmocka_unit_test(every_entry_gets_the_words),
        cmocka_unit_test(entries_are_ready_where_each_system_has_the_words),
        cmocka_unit_test(no_outputs_no_step),
        cmocka_unit_test(a_driver_is_needed_by_all_that_need_it),
        cmocka_unit_test(all_drivers_are_wanted),
        cmocka_unit_test(boxes_are_told),
        cmocka_unit_test(it_stands_for_ever),
        cmocka_unit_test(some_outputs_need_more_than_clouds_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
