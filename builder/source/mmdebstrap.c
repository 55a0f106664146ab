#include "source/mmdebstrap.h"

#include <errno.h>
#include <ingot/error.h>
#include <ingot/process.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMESPACES "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"

static gboolean may_unshare(void)
{
    const char *argv[] = {NAMESPACES, "true", NULL};
    return geteuid() == 0 && ingot_process_run(argv, NULL, NULL, NULL);
}

static void add_words(GPtrArray *argv, const char *const *words)
{
    for (; *words != NULL; words++) {
        g_ptr_array_add(argv, (gpointer)*words);
    }
}

static gboolean run_in(const MmdebstrapOptions *options, const char *folder, GError **error)
{
    g_autofree char *include = g_strconcat("--include=", options->packages, NULL);
    g_autofree char *settings = g_strconcat("--aptopt=", options->apt_conf, NULL);
    g_autofree char *epoch = g_strdup_printf("SOURCE_DATE_EPOCH=%" G_GINT64_FORMAT, options->time);
    g_autofree char *temporary = g_strconcat("TMPDIR=", folder, NULL);
    const char *outer[] = {NAMESPACES, NULL};
    const char *inner[] = {"mmdebstrap", "--mode=auto",  "--variant=minbase", "--format=tar",   include,
                           settings,     options->suite, options->tar,        options->sources, NULL};
    const char *environment[] = {epoch, temporary, NULL};
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    if (may_unshare()) {
        add_words(argv, outer);
    }
    add_words(argv, inner);
    g_ptr_array_add(argv, NULL);
    return ingot_process_run((const char *const *)argv->pdata, environment, NULL, error);
}

/* A folder of this user's alone, at a name that the next run finds again; others can pass through it, but not write. */
static gboolean make_shared_folder(const char *folder, GError **error)
{
    struct stat info;
    if (mkdir(folder, 0755) == 0) {
        return chmod(folder, 0755) == 0 || ingot_error_set_errno(error, errno, "%s", folder);
    }
    if (errno != EEXIST || lstat(folder, &info) != 0) {
        return ingot_error_set_errno(error, errno, "%s: cannot make this folder", folder);
    }
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 022) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "%s: is in the way; remove it", folder);
        return FALSE;
    }
    return TRUE;
}

static gboolean empty_shared_folder(const char *folder, GError **error)
{
    const char *argv[] = {
        "mmdebstrap", "--unshare-helper", "sh", "-c", "find \"$1\" -mindepth 1 -xdev -delete", "sh", folder, NULL};
    return ingot_process_run(argv, NULL, "/", error);
}

static gboolean run_as_user(const MmdebstrapOptions *options, GError **error)
{
    g_autofree char *base = g_path_get_basename(options->workdir);
    g_autofree char *name = g_strdup_printf("ingot-%u-%.16s", (unsigned)geteuid(), base);
    g_autofree char *folder = g_build_filename("/var/tmp", name, NULL);
    if (!make_shared_folder(folder, error) || !empty_shared_folder(folder, error)) {
        return FALSE;
    }
    gboolean done = run_in(options, folder, error);
    gboolean emptied = empty_shared_folder(folder, done ? error : NULL);
    rmdir(folder);
    return done && emptied;
}

gboolean mmdebstrap_run(const MmdebstrapOptions *options, GError **error)
{
    return geteuid() == 0 ? run_in(options, options->workdir, error) : run_as_user(options, error);
}
