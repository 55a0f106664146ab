#include "walk/pause.h"

#include <errno.h>
#include <ingot/error.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/process.h"
#include "base/text.h"
#include "guest/sshcommand.h"

void pause_show(const Pause *pause)
{
    g_autofree char *ssh = sshcommand_line(pause->key, machine_port(pause->machine, 22));
    g_autoptr(GError) why = NULL;
    if (sshcommand_try(pause->machine, pause->key, SSHCOMMAND_TRY_SECONDS, &why)) {
        ingot_progress_message(pause->progress, "  %s", ssh);
    } else {
        g_autofree char *recipe = ingot_text_word(pause->recipe);
        ingot_progress_message(
            pause->progress,
            "  ssh does not let root in (%s)\n  `ingot shell %s -- COMMAND` looks into the machine as it was "
            "kept last",
            why->message, recipe);
    }
    ingot_progress_message(pause->progress, "  console: %s", machine_console(pause->machine));
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

gboolean pause_before(const Pause *pause, const char *title, GError **error)
{
    pause_show(pause);
    ingot_progress_message(pause->progress, "before '%s': Enter goes on, Ctrl-C ends the build", title);
    read_answer();
    return ingot_interrupt_check(error);
}

static void keep(const Pause *pause)
{
    pause_show(pause);
    ingot_progress_message(pause->progress, "the machine is kept until it is powered off or you press Ctrl-C");
    gboolean ended;
    machine_wait(pause->machine, 0, &ended, NULL);
}

gboolean pause_after_error(const Pause *pause, OnError mode, gboolean can_retry, const GError *failure)
{
    IngotProgress *progress = pause->progress;
    if (mode == ON_ERROR_ABORT || !machine_alive(pause->machine, NULL) || !ingot_interrupt_check(NULL)) {
        return FALSE;
    }
    ingot_progress_drop(progress);
    ingot_progress_message(progress, "failed: %s", failure->message);
    if (mode == ON_ERROR_KEEP) {
        keep(pause);
        return FALSE;
    }
    while (isatty(STDIN_FILENO)) {
        ingot_progress_message(progress, "%s[k]eep the machine to look around, [a]bort?",
                               can_retry ? "[r]etry the step, " : "");
        char answer = read_answer();
        if (answer == 'k') {
            keep(pause);
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
