/* KVM or TCG, by what works. A /dev/kvm that opens is no proof: on some hosts the firmware runs under it and the kernel
 * then spins for ever. So a kernel is booted without a root file system; it panics, reboots, and QEMU ends: that is the
 * proof. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <glob.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "machine/accel.h"
#include "machine/firmware.h"
#include "machine/target.h"

#define PROOF_USEC (10 * G_TIME_SPAN_SECOND)
#define QEMU "qemu-system-x86_64"

/* The newest kernel that we may read, or NULL. */
static char *find_kernel(const char *const *patterns)
{
    char *found = NULL;
    time_t newest = 0;
    for (guint p = 0; patterns[p] != NULL; p++) {
        glob_t all = {0};
        for (size_t i = 0, count = glob(patterns[p], 0, NULL, &all) == 0 ? all.gl_pathc : 0; i < count; i++) {
            struct stat st;
            if (stat(all.gl_pathv[i], &st) == 0 && access(all.gl_pathv[i], R_OK) == 0 && st.st_mtime >= newest) {
                newest = st.st_mtime;
                g_free(found);
                found = g_strdup(all.gl_pathv[i]);
            }
        }
        globfree(&all);
    }
    return found;
}

static gboolean ends_by_itself(const char *kernel)
{
    const char *const argv[] = {
        QEMU,       "-accel", "kvm",        "-cpu",    "host", "-m",      "256M",           "-nodefaults",
        "-display", "none",   "-no-reboot", "-kernel", kernel, "-append", "panic=-1 quiet", NULL};
    g_autoptr(GSubprocess) qemu = ingot_process_start(argv, -1, NULL);
    if (qemu == NULL) {
        return FALSE;
    }
    gint64 end = g_get_monotonic_time() + PROOF_USEC;
    while (g_subprocess_get_identifier(qemu) != NULL && g_get_monotonic_time() < end && ingot_interrupt_check(NULL)) {
        g_usleep(G_USEC_PER_SEC / 50);
    }
    gboolean ended = g_subprocess_get_identifier(qemu) == NULL;
    g_subprocess_force_exit(qemu);
    g_subprocess_wait(qemu, NULL, NULL);
    return ended && g_subprocess_get_if_exited(qemu) && g_subprocess_get_exit_status(qemu) == 0;
}

/* What the proof holds for: this boot of the host, this QEMU. */
static char *circumstances(void)
{
    g_autofree char *boot = NULL, *program = g_find_program_in_path(QEMU);
    struct stat st;
    if (program == NULL || stat(program, &st) != 0 ||
        !g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot, NULL, NULL)) {
        return g_strdup("unknown");
    }
    return g_strdup_printf("%s %s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT, g_strstrip(boot), program,
                           (gint64)st.st_size, (gint64)st.st_mtime);
}

static gboolean prove(const AccelHost *host, const char *cache, char **why)
{
    g_autofree char *path = cache == NULL ? NULL : g_build_filename(cache, "accel", NULL);
    g_autofree char *now = circumstances();
    g_autofree char *works = g_strconcat(now, " works\n", NULL);
    g_autofree char *fails = g_strconcat(now, " hangs\n", NULL);
    g_autofree char *before = NULL;
    if (path != NULL && g_file_get_contents(path, &before, NULL, NULL) &&
        (strcmp(before, works) == 0 || strcmp(before, fails) == 0)) {
        gboolean good = strcmp(before, works) == 0;
        *why = g_strdup(good ? "kvm (a kernel has booted under it)"
                             : "tcg (/dev/kvm is there, but no kernel boots under it)");
        return good;
    }
    g_autofree char *kernel = find_kernel(host->patterns);
    if (kernel == NULL) {
        *why = g_strdup("tcg (no readable kernel in /boot to try /dev/kvm with; --accel kvm uses it untried)");
        return FALSE;
    }
    gboolean good = ends_by_itself(kernel);
    *why = g_strdup(good ? "kvm (a kernel boots under it)" : "tcg (/dev/kvm is there, but no kernel boots under it)");
    /* Not remembered is only slower the next time. */
    if (path != NULL && ingot_interrupt_check(NULL) && ingot_file_make_folder(cache, NULL)) {
        const char *answer = good ? works : fails;
        ingot_file_replace(path, answer, strlen(answer), 0644, NULL);
    }
    return good;
}

gboolean accel_find(const AccelHost *host, const char *name, const char *cache, MachineAccel *accel, char **why,
                    GError **error)
{
    static const char *const words[] = {"auto", "kvm", "tcg", NULL};
    g_autofree char *reason = NULL;
    gboolean kvm = FALSE;
    if (name == NULL || strcmp(name, "auto") == 0) {
        if (access(host->device, R_OK | W_OK) == 0) {
            kvm = prove(host, cache, &reason);
        } else {
            reason = g_strdup("tcg (no /dev/kvm that this user may open)");
        }
    } else if (strcmp(name, "kvm") == 0 || strcmp(name, "tcg") == 0) {
        kvm = strcmp(name, "kvm") == 0;
        reason = g_strdup_printf("%s (as asked for)", name);
    } else {
        g_autofree char *hint = ingot_text_suggestion(name, words);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--accel: '%s' is none of auto, kvm, tcg%s", name, hint);
        return FALSE;
    }
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    *accel = kvm ? MACHINE_KVM : MACHINE_TCG;
    g_setenv("LIBGUESTFS_BACKEND", "direct", FALSE);
    if (!kvm) {
        g_setenv("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg", TRUE);
    }
    if (why != NULL) {
        *why = g_steal_pointer(&reason);
    }
    return TRUE;
}

gboolean machine_accel(const char *name, const char *cache, MachineAccel *accel, char **why, GError **error)
{
    static const char *const patterns[] = {"/boot/vmlinuz-*", "/lib/modules/*/vmlinuz", NULL};
    static const AccelHost host = {"/dev/kvm", patterns};
    return accel_find(&host, name, cache, accel, why, error);
}

gboolean machine_accel_of(const char *architecture, const char *name, const char *cache, MachineAccel *accel,
                          GError **error)
{
    const MachineTarget *target = target_find(architecture, error);
    const char *code; /* of a machine that starts by UEFI alone */
    if (target == NULL) {
        return FALSE;
    }
    gboolean foreign = !target_is_host(target);
    if (foreign && g_strcmp0(name, "kvm") == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--accel kvm: this machine's processor does not run %s; tcg emulates it", target->architecture);
        return FALSE;
    }
    if (!target->pc && !firmware_prepare(target->architecture, NULL, &code, error)) {
        return FALSE;
    }
    gboolean emulates = foreign && (name == NULL || strcmp(name, "auto") == 0);
    return machine_accel(emulates ? "tcg" : name, cache, accel, NULL, error);
}
