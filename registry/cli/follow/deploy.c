#include "cli/follow/deploy.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/file.h"
#include "base/process.h"

#define TURN_FD 9
#define GRACE 30000 /* milliseconds between SIGTERM and SIGKILL */

/* $1: the command; $2: the marker. What the command leaves running in the background does not hold the turn. */
static const char script[] =
    "sh -c \"$1\" 9>&-; status=$?\n"
    "if [ $status = 0 ]; then\n"
    "    printf '%s' \"$INGOT_DIGEST\" >\"$2.new\" && sync \"$2.new\" && mv -f \"$2.new\" \"$2\"\n"
    "fi\n"
    "exit $status\n";

/* Its process group is whatever it started too. */
static void deploy_setup(gpointer data)
{
    (void)data;
    setsid();
}

static char **deploy_environment(const Deployment *deployment)
{
    char **environment = g_get_environ();
    environment = g_environ_setenv(environment, "INGOT_REF", deployment->reference, TRUE);
    environment = g_environ_setenv(environment, "INGOT_DIGEST", deployment->digest, TRUE);
    environment = g_environ_setenv(environment, "INGOT_VERSION", deployment->version, TRUE);
    return g_environ_setenv(environment, "INGOT_DISK", deployment->disk, TRUE);
}

static gboolean deploy_start(const Deployment *deployment, GPid *pid, GError **error)
{
    GError *problem = NULL;
    g_auto(GStrv) environment = deploy_environment(deployment);
    const char *const argv[] = {"sh", "-c", script, "sh", deployment->command, deployment->marker, NULL};
    const int from[] = {deployment->turn}, to[] = {TURN_FD};
    if (!g_spawn_async_with_pipes_and_fds(NULL, argv, (const char *const *)environment,
                                          G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, deploy_setup, NULL, -1, -1,
                                          -1, from, to, 1, pid, NULL, NULL, NULL, &problem)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the command does not start: %s", problem->message);
        g_error_free(problem);
        return FALSE;
    }
    return TRUE;
}

/* Waits for the end of the process, at most so long (-1: for ever), or until the program is interrupted, where that is
 * asked for. */
static gboolean deploy_wait(int process, int timeout, gboolean interruptible)
{
    struct pollfd waits[] = {{.fd = process, .events = POLLIN}, {.fd = ingot_interrupt_fd(), .events = POLLIN}};
    while (poll(waits, interruptible ? 2 : 1, timeout) < 0) {
        if (interruptible && !ingot_interrupt_check(NULL)) {
            return FALSE;
        }
    }
    return (waits[0].revents & POLLIN) != 0;
}

gboolean deploy_run(const Deployment *deployment, int *status, GError **error)
{
    GPid pid;
    int wait_status = 0;
    if (!deploy_start(deployment, &pid, error)) {
        return FALSE;
    }
    g_auto(IngotFd) process = pidfd_open(pid, 0);
    gboolean ended = process < 0 || deploy_wait(process, -1, TRUE);
    if (!ended) {
        kill(-pid, SIGTERM);
        if (!deploy_wait(process, GRACE, FALSE)) {
            kill(-pid, SIGKILL);
        }
    }
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
    }
    g_spawn_close_pid(pid);
    *status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
    return ended || ingot_interrupt_check(error);
}
