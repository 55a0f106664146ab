#include "walk/pause.h"

#include <errno.h>
#include <ingot/error.h>
#include <ingot/process.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "guest/sshcommand.h"

void pause_show(const Machine *machine, const GuestKey *key, IngotProgress *progress)
{
    g_autofree char *ssh = sshcommand_line(key, machine_port(machine, 22));
    ingot_progress_message(progress, "  %s\n  console: %s", ssh, machine_console(machine));
}

/* The first letter of a line from the terminal; 0 at its end or when a signal has come. */
static char read_answer(void)
{
    struct pollfd waits[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = ingot_interrupt_fd(), .events = POLLIN}};
    while (poll(waits, 2, -1) < 0) {
        if (errno != EINTR) {
            return 0;
        }
    }
    char line[256];
    if (waits[1].revents != 0 || fgets(line, sizeof line, stdin) == NULL) {
        return 0;
    }
    return line[0];
}

gboolean pause_before(const char *title, const Machine *machine, const GuestKey *key, IngotProgress *progress,
                      GError **error)
{
    pause_show(machine, key, progress);
    ingot_progress_message(progress, "before '%s': Enter goes on, Ctrl-C ends the build", title);
    read_answer();
    return ingot_interrupt_check(error);
}

static void keep(Machine *machine, const GuestKey *key, IngotProgress *progress)
{
    pause_show(machine, key, progress);
    ingot_progress_message(progress, "the machine is kept until it is powered off or you press Ctrl-C");
    gboolean ended;
    machine_wait(machine, 0, &ended, NULL);
}

gboolean pause_after_error(OnError mode, gboolean can_retry, const GError *failure, Machine *machine,
                           const GuestKey *key, IngotProgress *progress)
{
    if (mode == ON_ERROR_ABORT || !machine_alive(machine, NULL) || !ingot_interrupt_check(NULL)) {
        return FALSE;
    }
    ingot_progress_drop(progress);
    ingot_progress_message(progress, "failed: %s", failure->message);
    if (mode == ON_ERROR_KEEP) {
        keep(machine, key, progress);
        return FALSE;
    }
    while (isatty(STDIN_FILENO)) {
        ingot_progress_message(progress, "%s[k]eep the machine to look around, [a]bort?",
                               can_retry ? "[r]etry the step, " : "");
        char answer = read_answer();
        if (answer == 'k') {
            keep(machine, key, progress);
        }
        if (answer == 'r' && !can_retry) {
            continue;
        }
        if (answer != '\n') {
            return answer == 'r';
        }
    }
    return FALSE;
}
