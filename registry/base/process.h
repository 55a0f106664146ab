/* Child processes that never outlive this one, and interrupts.
 *
 * Children get SIGKILL when this process ends, however it ends (prctl PR_SET_PDEATHSIG). Whatever takes long asks
 * whether to go on: its thread's GCancellable, which is how a user of the library ends it, and in a program of this
 * tree its signals. SIGINT, SIGTERM and SIGHUP (but under nohup) are turned into a flag and a readable descriptor
 * there: waits poll it. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Starts argv (searched in PATH) in its own session; the calling thread may end before it. stdin is /dev/null. stdout
 * and stderr go to log_fd (which stays the caller's), or to /dev/null where it is -1. */
GSubprocess *ingot_process_start(const char *const *argv, int log_fd, GError **error);
/* The same for a program that reads what a stranger wrote: it may allocate so many bytes, and leaves no core file. */
GSubprocess *ingot_process_start_bounded(const char *const *argv, int log_fd, guint64 memory, GError **error);

/* Runs argv until it and all that hold its output have ended. A failure names the program, its status and the last
 * lines it printed. environment: NULL or NULL-terminated "K=V" to add; folder: NULL or where to run. Ends the child
 * when interrupted. */
gboolean ingot_process_run(const char *const *argv, const char *const *environment, const char *folder, GError **error);

/* The same with a limit: what still runs after so many seconds is ended, and an error. */
gboolean ingot_process_run_within(const char *const *argv, guint seconds, GError **error);
/* The same with a bound for what it allocates, as ingot_process_start_bounded, and one for the size of each file that
 * it writes; 0: any. */
gboolean ingot_process_run_bounded(const char *const *argv, guint64 memory, guint64 file, GError **error);

/* The same with input (a secret, say) as its stdin. *output: what it printed on stdout, also where it failed. Free it.
 */
gboolean ingot_process_ask(const char *const *argv, const char *input, guint seconds, char **output, GError **error);

/* As ingot_process_run, with its stdout as a string (without the last newline), at most 16 MiB. */
char *ingot_process_output(const char *const *argv, GError **error);

/* Opens those of the descriptors 0, 1 and 2 that our parent has closed, so that no file of ours gets such a number and
 * with it what is meant for a person. Writing to that stdout fails, as to a closed one. Call first of all in main. */
void ingot_process_fill_standard(void);

/* FALSE and INTERRUPTED once the calling thread's current GCancellable (g_cancellable_push_current) is cancelled, or
 * the program is interrupted; else TRUE. */
gboolean ingot_interrupt_check(GError **error);
/* Becomes readable (and stays so) then; -1: nothing interrupts. */
int ingot_interrupt_fd(void);

/* Who tells whether the program is interrupted: for programs of this tree. */
typedef struct {
    gboolean (*check)(GError **error);
    int (*fd)(void);
} IngotInterruptSource;
void ingot_interrupt_use(const IngotInterruptSource *source);

/* Turns SIGINT, SIGTERM and SIGHUP into such an interrupt; a second signal ends the process at once. Call once, in
 * main. */
void ingot_interrupt_install(void);
/* As a signal would, with a reason of our own, which becomes the error's message: a time limit, say. */
void ingot_interrupt_raise(const char *why);

G_END_DECLS
