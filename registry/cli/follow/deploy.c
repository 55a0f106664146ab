#include "cli/follow/deploy.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/file.h"
#include "base/process.h"

#define TURN_FD 9
#define LOOK_EVERY 20 /* milliseconds: whether a group has ended */

/* $1: the command; $2: the marker; $3: the note. SIGTERM is for the command alone: this shell waits for its end, and
 * marks it. What the command leaves running in the background does not hold the turn. */
static const char script[] =
    "trap '' TERM\n"
    "(trap - TERM; exec sh -c \"$1\") 9>&-; status=$?\n"
    "if [ $status = 0 ]; then\n"
    "    printf '%s' \"$INGOT_DIGEST\" >\"$2.new\" && sync \"$2.new\" && mv -f \"$2.new\" \"$3\" &&\n"
    "        mv -f \"$3\" \"$2\" && sync \"${2%/*}\"\n"
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
    g_autofree char *disks = g_strjoinv("\n", deployment->disks);
    environment = g_environ_setenv(environment, "INGOT_REF", deployment->reference, TRUE);
    environment = g_environ_setenv(environment, "INGOT_DIGEST", deployment->digest, TRUE);
    environment = g_environ_setenv(environment, "INGOT_VERSION", deployment->version, TRUE);
    environment = g_environ_setenv(environment, "INGOT_DISK", deployment->disks[0], TRUE);
    return g_environ_setenv(environment, "INGOT_DISKS", disks, TRUE);
}

static gboolean deploy_start(const Deployment *deployment, GPid *pid, GError **error)
{
    GError *problem = NULL;
    g_auto(GStrv) environment = deploy_environment(deployment);
    const char *const argv[] = {"sh", "-c", script, "sh", deployment->command, deployment->marker, deployment->note,
                                NULL};
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

/* Waits for the end of the process, or until the program is interrupted. */
static gboolean deploy_wait(const Deployment *deployment, int process)
{
    struct pollfd waits[] = {{.fd = process, .events = POLLIN}, {.fd = ingot_interrupt_fd(), .events = POLLIN}};
    for (int ready; (ready = poll(waits, G_N_ELEMENTS(waits), deployment->every)) <= 0;) {
        if (!ingot_interrupt_check(NULL)) {
            return FALSE;
        }
        if (ready == 0) {
            deployment->runs(deployment->user);
        }
    }
    return (waits[0].revents & POLLIN) != 0;
}

typedef struct {
    GPid shell; /* and the group's number */
    gboolean waited;
    int status;
} Running;

/* Whether nothing of the group runs any more. What has ended counts as well until somebody has waited for it. The
 * number is free once the group is empty, but the kernel gives out all others before it does so again. */
static gboolean running_has_ended(Running *running)
{
    int status;
    for (pid_t pid; (pid = waitpid(-running->shell, &status, WNOHANG)) > 0;) {
        if (pid == running->shell) {
            running->waited = TRUE;
            running->status = status;
        }
    }
    return running->waited && kill(-running->shell, 0) != 0;
}

static gboolean running_wait(Running *running, int most)
{
    gint64 until = g_get_monotonic_time() + most * G_TIME_SPAN_MILLISECOND;
    while (!running_has_ended(running)) {
        if (g_get_monotonic_time() >= until) {
            return FALSE;
        }
        g_usleep(LOOK_EVERY * G_TIME_SPAN_MILLISECOND);
    }
    return TRUE;
}

static void running_end(Running *running, int grace)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* what loses its parent is waited for here */
    kill(-running->shell, SIGTERM);
    if (!running_wait(running, grace)) {
        kill(-running->shell, SIGKILL);
        running_wait(running, grace);
    }
}

gboolean deploy_run(const Deployment *deployment, int *status, GError **error)
{
    Running running = {0};
    if (!deploy_start(deployment, &running.shell, error)) {
        return FALSE;
    }
    g_auto(IngotFd) process = pidfd_open(running.shell, 0);
    deployment->started(deployment->user);
    gboolean ended = process < 0 || deploy_wait(deployment, process);
    if (!ended) {
        running_end(&running, deployment->grace);
    }
    while (!running.waited && waitpid(running.shell, &running.status, 0) < 0 && errno == EINTR) {
    }
    g_spawn_close_pid(running.shell);
    *status = WIFEXITED(running.status) ? WEXITSTATUS(running.status) : 128 + WTERMSIG(running.status);
    return ended || ingot_interrupt_check(error);
}
