#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/vagrant/ahead.h"
#include "cli/vagrant/curl.h"
#include "cli/verbs.h"

/* The one in curl's place opens what standard error is anew, and writes there too: to a file, each must append. */
static void share_standard_error(void)
{
    struct stat st;
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    if (flags >= 0 && fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode)) {
        fcntl(STDERR_FILENO, F_SETFL, flags | O_APPEND);
    }
}

/* Where Vagrant finds the one that stands in curl's place: before anything else. */
static gboolean put_in_front(const IngotCommon *common, GError **error)
{
    g_autofree char *front = ingot_command_libexec(CURL_FRONT);
    if (front == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "%s is missing in the libexec folder: Ingot is not installed whole", CURL_FRONT);
        return FALSE;
    }
    const char *path = g_getenv("PATH");
    g_autofree char *folder = g_path_get_dirname(front);
    g_autofree char *new_path = g_strdup_printf("%s:%s", folder, path == NULL ? "/usr/bin:/bin" : path);
    /* This process becomes Vagrant: its standard error is what people look at, while curl's goes to Vagrant. */
    g_autofree char *told = g_strdup_printf("/proc/%d/fd/2", (int)getpid());
    share_standard_error();
    g_setenv("PATH", new_path, TRUE);
    g_setenv("INGOT_STORE", common->store, TRUE);
    g_setenv(CURL_VARIABLE, common->quiet ? "/dev/null" : told, TRUE);
    /* HashiCorp's packages put a curl of their own first otherwise. */
    g_setenv("VAGRANT_PREFER_SYSTEM_BIN", "1", FALSE);
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_vagrant, NULL, 1, -1, &argc, &argv, error)) {
        return FALSE;
    }
    g_autofree char *program = g_find_program_in_path("vagrant");
    if (program == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "vagrant is not installed: no folder of $PATH has it");
        return FALSE;
    }
    if (!put_in_front(ingot_command_common(), error)) {
        return FALSE;
    }
    argv[0] = program;
    ahead_start(argc, argv);
    execv(program, argv);
    return ingot_error_set_errno(error, errno, "cannot run %s", program);
}

const IngotVerb verb_vagrant = {
    "vagrant",
    "ARGUMENTS",
    "run Vagrant; of an Ingot registry's boxes only what is missing is fetched",
    "Runs `vagrant ARGUMENTS`: any of its commands, with any Vagrantfile. Where it gets a box from an Ingot registry,\n"
    "the chunks that the store lacks cross the network, and the rest of the box is worked out from the store; Vagrant\n"
    "goes on with that file as with a download that was cut off, and checks its sum. The image stays in the store (as\n"
    "HOST/NAME:vagrant, until the box's next version has come), so that the next update is small too. Where something\n"
    "is amiss, Vagrant downloads the whole box, unless a policy asks something of its image. Ingot's own options\n"
    "stand before the first argument.\n\n"
    "Examples:\n  ingot vagrant box add https://registry.example/vagrant/team/web\n"
    "  ingot vagrant box update\n"
    "  alias vagrant='ingot vagrant'\n",
    run,
    TRUE};
