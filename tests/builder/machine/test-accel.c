/* Which accelerator is used: by what a kernel does under it, told once per boot and QEMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "machine/accel.h"
#include "machine/ports.h"

static IngotWorkdir *workdir;

static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    g_autofree char *path = g_strdup_printf("%s:%s", ingot_workdir_path(workdir), g_getenv("PATH"));
    g_setenv("PATH", path, TRUE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_workdir_free(workdir);
    return 0;
}

/* A QEMU that does what the test says, and leaves a mark. */
static void fake_qemu(const char *body)
{
    g_autofree char *path = ingot_workdir_file(workdir, "qemu-system-x86_64");
    g_autofree char *text = g_strdup_printf("#!/bin/sh\necho x >>%s/ran\n%s\n", ingot_workdir_path(workdir), body);
    assert_true(ingot_file_replace(path, text, strlen(text), 0755, NULL));
}

static guint runs(void)
{
    g_autofree char *path = ingot_workdir_file(workdir, "ran");
    g_autofree char *text = NULL;
    gsize size = 0;
    g_file_get_contents(path, &text, &size, NULL);
    unlink(path);
    return (guint)(size / 2);
}

/* On a host that has what is in the folder: a device "kvm", kernels "vmlinuz-*". */
static MachineAccel find(const char *name, char **why)
{
    MachineAccel accel;
    g_autofree char *cache = ingot_workdir_file(workdir, "cache");
    g_autofree char *device = ingot_workdir_file(workdir, "kvm");
    g_autofree char *kernels = ingot_workdir_file(workdir, "vmlinuz-*");
    const char *const patterns[] = {kernels, NULL};
    const AccelHost host = {device, patterns};
    assert_true(accel_find(&host, name, cache, &accel, why, NULL));
    return accel;
}

static void host_has(const char *name)
{
    g_autofree char *path = ingot_workdir_file(workdir, name);
    assert_true(ingot_file_replace(path, "", 0, 0600, NULL));
}

static void what_is_asked_for_is_used(void **state)
{
    (void)state;
    g_autofree char *why = NULL;
    assert_int_equal(find("kvm", NULL), MACHINE_KVM);
    assert_int_equal(find("tcg", &why), MACHINE_TCG);
    assert_string_equal(g_getenv("LIBGUESTFS_BACKEND_SETTINGS"), "force_tcg");
    assert_non_null(strstr(why, "as asked"));
    MachineAccel accel;
    g_autoptr(GError) error = NULL;
    assert_false(machine_accel("kmv", ingot_workdir_path(workdir), &accel, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "did you mean"));
}

static void only_what_works_is_used(void **state)
{
    (void)state;
    fake_qemu("exit 0");
    g_autofree char *bare = NULL, *untried = NULL;
    assert_int_equal(find(NULL, &bare), MACHINE_TCG);
    assert_non_null(strstr(bare, "no /dev/kvm"));
    host_has("kvm");
    assert_int_equal(find(NULL, &untried), MACHINE_TCG);
    assert_non_null(strstr(untried, "no readable kernel"));
    assert_int_equal(runs(), 0);
    host_has("vmlinuz-1");
    fake_qemu("exec sleep 60");
    g_autofree char *why = NULL, *again = NULL;
    assert_int_equal(find(NULL, &why), MACHINE_TCG);
    assert_non_null(strstr(why, "no kernel boots under it"));
    assert_int_equal(runs(), 1);
    assert_int_equal(find("auto", &again), MACHINE_TCG);
    assert_int_equal(runs(), 0); /* remembered */
    fake_qemu("exit 0 # another program, so another proof");
    g_autofree char *good = NULL;
    assert_int_equal(find("auto", &good), MACHINE_KVM);
    assert_int_equal(runs(), 1);
    for (guint i = 0; i < 2; i++) { /* without a cache nothing is remembered, nor believed */
        g_autofree char *kernels = ingot_workdir_file(workdir, "vmlinuz-*"),
                        *device = ingot_workdir_file(workdir, "kvm");
        const char *const patterns[] = {kernels, NULL};
        MachineAccel accel;
        assert_true(accel_find(&(AccelHost){device, patterns}, "auto", NULL, &accel, NULL, NULL));
        assert_int_equal(accel, MACHINE_KVM);
        assert_int_equal(runs(), 1);
    }
    fake_qemu("exit 1 # and one that refuses at once");
    g_autofree char *bad = NULL;
    assert_int_equal(find("auto", &bad), MACHINE_TCG);
}

/* Held ones, as a machine holds them until its QEMU listens. */
static void ports_differ(void **state)
{
    (void)state;
    guint16 seen[200];
    int held[G_N_ELEMENTS(seen)];
    for (guint i = 0; i < G_N_ELEMENTS(seen); i++) {
        held[i] = ports_hold(&seen[i], NULL);
        assert_true(held[i] >= 0);
        assert_true(seen[i] > 1023);
        for (guint k = 0; k < i; k++) {
            assert_int_not_equal(seen[i], seen[k]);
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(seen); i++) {
        close(held[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_is_used),
        cmocka_unit_test(only_what_works_is_used),
        cmocka_unit_test(ports_differ),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
