/* What a program of this tree makes of signals: a flag and a descriptor, which ingot_interrupt_check and
 * ingot_interrupt_fd ask. */
#include "base/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ingot/error.h>

static gint interrupted; /* atomic: any thread asks */
static int wake_fd = -1;
static gpointer reason; /* atomic: char *; NULL: a signal */

static gboolean signals_check(GError **error)
{
    if (!g_atomic_int_get(&interrupted))
        return TRUE;
    const char *why = g_atomic_pointer_get(&reason);
    g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, why ? why : "interrupted");
    return FALSE;
}

static int signals_fd(void)
{
    return wake_fd;
}

static const IngotInterruptSource signals = {signals_check, signals_fd};

/* By the signal, so that whoever waits for us sees it; our children end with us. The kernel ends no first process of a
 * PID namespace so, which ingot may be in a container. */
static G_NORETURN void end_by(int number)
{
    sigset_t one;

    signal(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL); /* blocked until now: this is its handler */
    _exit(128 + number);
}

static void on_signal(int number)
{
    int saved = errno;

    if (g_atomic_int_get(&interrupted)) /* asked twice */
        end_by(number);
    g_atomic_int_set(&interrupted, 1);
    eventfd_write(wake_fd, 1); /* the first write to an eventfd cannot fail */
    errno = saved;
}

void ingot_interrupt_install(void)
{
    /* Without SA_RESTART: a blocking call returns with EINTR and its caller looks at the flag. */
    struct sigaction action = {.sa_handler = on_signal}, before;

    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        g_error("cannot make an eventfd: %s", g_strerror(errno));
    ingot_interrupt_use(&signals);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* A closed terminal ends a command like Ctrl-C does, unless nohup has said otherwise. */
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

void ingot_interrupt_raise(const char *why)
{
    if (g_atomic_int_get(&interrupted))
        return;
    ingot_interrupt_use(&signals);
    g_atomic_pointer_set(&reason, g_strdup(why)); /* for as long as the process lives */
    g_atomic_int_set(&interrupted, 1);
    if (wake_fd >= 0)
        eventfd_write(wake_fd, 1);
}
