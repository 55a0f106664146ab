#include "source/mmdebstrap.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"

static const char *const namespaces[] = {"unshare",           "--mount",      "--pid", "--fork",
                                         "--kill-child=KILL", "--mount-proc", NULL};
static const char *const users[] = {"--user", "--map-root-user", "--map-auto", NULL}; /* by /etc/subuid */

static void mmdebstrap_add_words(GPtrArray *argv, const char *const *words)
{
    for (; *words != NULL; words++) {
        g_ptr_array_add(argv, (gpointer)*words);
    }
}

/* Runs argv in its own namespaces. */
static gboolean mmdebstrap_run_apart(const char *const *command, const char *const *environment, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    mmdebstrap_add_words(argv, namespaces);
    if (geteuid() != 0) {
        mmdebstrap_add_words(argv, users);
    }
    mmdebstrap_add_words(argv, command);
    g_ptr_array_add(argv, NULL);
    return ingot_process_run((const char *const *)argv->pdata, environment, NULL, error);
}

static gboolean mmdebstrap_may_unshare(void)
{
    const char *argv[] = {"true", NULL};
    return mmdebstrap_run_apart(argv, NULL, NULL);
}

gboolean mmdebstrap_run(const MmdebstrapOptions *options, GError **error)
{
    g_autofree char *include = g_strconcat("--include=", options->packages, NULL);
    g_autofree char *pattern = g_strconcat("--include=", options->pattern, NULL);
    g_autofree char *settings = g_strconcat("--aptopt=", options->apt_conf, NULL);
    g_autofree char *epoch = g_strdup_printf("SOURCE_DATE_EPOCH=%" G_GINT64_FORMAT, options->time);
    g_autofree char *temporary = g_strconcat("TMPDIR=", options->workdir, NULL);
    /* The caller's umask, language and time zone reach what packages do while they are installed. */
    const char *argv[] = {"sh",
                          "-c",
                          "umask 022; exec \"$@\"",
                          "mmdebstrap",
                          "mmdebstrap",
                          "--mode=auto",
                          "--variant=minbase",
                          "--format=tar",
                          include,
                          pattern,
                          settings,
                          options->suite,
                          options->tar,
                          options->sources,
                          NULL};
    const char *environment[] = {epoch, temporary, "LC_ALL=C.UTF-8", "LANGUAGE=", "TZ=UTC", NULL};
    g_auto(IngotFd) tar = ingot_file_open(options->tar, O_WRONLY | O_CREAT | O_EXCL, 0600, error);
    if (tar < 0) {
        return FALSE; /* made here so that nobody else can read it: it may hold the settings' logins */
    }
    /* In a container that may not unshare, mmdebstrap finds a mode of its own. */
    return mmdebstrap_may_unshare() ? mmdebstrap_run_apart(argv, environment, error)
                                    : ingot_process_run(argv, environment, NULL, error);
}

gboolean mmdebstrap_sweep(const char *workdir, GError **error)
{
    const char *argv[] = {"rm", "-rf", "--one-file-system", "--", workdir, NULL};
    if (geteuid() != 0 && g_file_test(workdir, G_FILE_TEST_EXISTS) && mmdebstrap_may_unshare()) {
        return mmdebstrap_run_apart(argv, NULL, error);
    }
    return ingot_file_remove_tree(workdir, error);
}
