#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/crew.h"
#include "base/file.h"

#define TAIL_MAX 2048            /* of a failed program's words are worth showing */
#define OUTPUT_MAX (16u << 20)   /* more than any tool whose output is read as a text has to say */
#define GRACE_MS 10000           /* between SIGTERM and SIGKILL */
#define BOUNDED_STACK (1u << 20) /* of each thread of a child whose memory is bounded, which counts to it */

/* A child's output stream on its way into a buffer. */
typedef struct {
    IngotFd fd;         /* -1 once it has ended */
    GString *text;      /* NULL: no such stream */
    gboolean tail_only; /* keeps TAIL_MAX bytes */
} Stream;

static void close_stream(Stream *stream)
{
    ingot_fd_clear(&stream->fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Stream, close_stream)

typedef struct {
    pid_t parent;
    sigset_t signals; /* that are blocked in it */
    guint64 memory;   /* that it may allocate, bytes; 0: any */
    guint64 file;     /* bytes that a file it writes may have; 0: any */
} Setup;

static void set_limit(int what, guint64 most)
{
    setrlimit(what, &(struct rlimit){most, most});
}

/* In the child, between fork and exec. */
static void tie_to_parent(gpointer user)
{
    const Setup *setup = user;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != setup->parent) /* it ended before the line above */
        _exit(127);
    setsid();
    pthread_sigmask(SIG_SETMASK, &setup->signals, NULL);
    if (setup->memory > 0) {
        set_limit(RLIMIT_DATA, setup->memory);
        set_limit(RLIMIT_STACK, BOUNDED_STACK);
        set_limit(RLIMIT_CORE, 0);
    }
    if (setup->file > 0)
        set_limit(RLIMIT_FSIZE, setup->file);
}

static GSubprocess *spawn(GSubprocessLauncher *launcher, const char *const *argv, Setup *setup, GError **error)
{
    g_autoptr(GError) problem = NULL;

    g_subprocess_launcher_set_child_setup(launcher, tie_to_parent, setup, NULL);
    GSubprocess *child = g_subprocess_launcher_spawnv(launcher, argv, &problem);
    if (child)
        return child;
    if (g_error_matches(problem, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT))
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: no such program (is it installed and in PATH?)",
                    argv[0]);
    else
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: cannot start: %s", argv[0], problem->message);
    return NULL;
}

static int duplicate(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* A child that is started for a thread which may end before it. The kernel kills the child with the thread that
 * started it, so that one is a thread of the child's own, which waits for its end. */
typedef struct {
    GSubprocessLauncher *launcher;
    const char *const *argv;
    Setup setup;
    GAsyncQueue *started; /* gets this, with the child or the error */
    GSubprocess *child;
    GError *error;
} Start;

static gpointer start_and_wait(gpointer user)
{
    Start *start = user;
    g_autoptr(GAsyncQueue) started = g_async_queue_ref(start->started);
    g_autoptr(GSubprocess) child = spawn(start->launcher, start->argv, &start->setup, &start->error);

    start->child = child ? g_object_ref(child) : NULL;
    g_async_queue_push(started, start);
    if (child)
        g_subprocess_wait(child, NULL, NULL);
    return NULL;
}

/* The thread takes no signals: they are for those of the program. The child has the caller's mask. */
static GSubprocess *spawn_in_thread(GSubprocessLauncher *launcher, const char *const *argv, guint64 memory,
                                    GError **error)
{
    g_autoptr(GAsyncQueue) started = g_async_queue_new();
    Start start = {
        .launcher = launcher, .argv = argv, .setup = {.parent = getpid(), .memory = memory}, .started = started};
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &start.setup.signals);
    GThread *thread = crew_thread("child", start_and_wait, &start, error);
    pthread_sigmask(SIG_SETMASK, &start.setup.signals, NULL);
    if (!thread)
        return NULL;
    g_thread_unref(thread);
    g_async_queue_pop(started);
    if (start.error)
        g_propagate_error(error, start.error);
    return start.child;
}

GSubprocess *ingot_process_start_bounded(const char *const *argv, int log_fd, guint64 memory, GError **error)
{
    GSubprocessFlags flags = log_fd < 0 ? G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE : 0;
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(flags);

    if (log_fd >= 0) {
        g_subprocess_launcher_take_stdout_fd(launcher, duplicate(log_fd));
        g_subprocess_launcher_take_stderr_fd(launcher, duplicate(log_fd));
    }
    return spawn_in_thread(launcher, argv, memory, error);
}

GSubprocess *ingot_process_start(const char *const *argv, int log_fd, GError **error)
{
    return ingot_process_start_bounded(argv, log_fd, 0, error);
}

/* Ties the child's stderr to words, and its stdout to output, or to words as well where output has no text. */
static gboolean connect_streams(GSubprocessLauncher *launcher, Stream *words, Stream *output, GError **error)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return ingot_error_set_errno(error, errno, "cannot make a pipe");
    words->fd = ends[0];
    g_subprocess_launcher_take_stderr_fd(launcher, ends[1]);
    if (!output->text) {
        g_subprocess_launcher_take_stdout_fd(launcher, duplicate(ends[1]));
        return TRUE;
    }
    if (pipe2(ends, O_CLOEXEC) < 0)
        return ingot_error_set_errno(error, errno, "cannot make a pipe");
    output->fd = ends[0];
    g_subprocess_launcher_take_stdout_fd(launcher, ends[1]);
    return TRUE;
}

/* The child leads its own session, so its process group is whatever it started too. */
static void end_group(GSubprocess *child, int signal_number)
{
    const char *pid = g_subprocess_get_identifier(child);
    if (pid)
        kill((pid_t)-g_ascii_strtoll(pid, NULL, 10), signal_number);
}

static void take_output(Stream *stream)
{
    char buffer[1 << 16];

    g_assert(stream->text); /* a stream without text is never open */
    gssize got = read(stream->fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0) {
        ingot_fd_clear(&stream->fd);
        return;
    }
    g_string_append_len(stream->text, buffer, got);
    if (stream->tail_only && stream->text->len > TAIL_MAX)
        g_string_erase(stream->text, 0, (gssize)(stream->text->len - TAIL_MAX));
}

static gboolean is_open(const Stream *words, const Stream *output)
{
    return words->fd >= 0 || output->fd >= 0;
}

/* Waits for either stream or wake_fd, at most timeout_ms (-1: for ever), and takes what came. Negative descriptors are
 * passed over by poll. */
static void poll_streams(Stream *words, Stream *output, int wake_fd, int timeout_ms)
{
    struct pollfd waits[] = {
        {.fd = words->fd, .events = POLLIN},
        {.fd = output->fd, .events = POLLIN},
        {.fd = wake_fd, .events = POLLIN},
    };

    if (poll(waits, G_N_ELEMENTS(waits), timeout_ms) <= 0)
        return;
    if (waits[0].revents)
        take_output(words);
    if (waits[1].revents)
        take_output(output);
}

/* Reads both streams to their ends, for at most so many seconds (0: for ever). */
static gboolean collect(Stream *words, Stream *output, const char *program, guint seconds, GError **error)
{
    gint64 end = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;

    while (is_open(words, output)) {
        gint64 left = (end - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
        if (seconds > 0 && left <= 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: still running after %u s: ended", program,
                        seconds);
            return FALSE;
        }
        poll_streams(words, output, ingot_interrupt_fd(), seconds > 0 ? (int)MIN(left, G_MAXINT) : -1);
        if (!ingot_interrupt_check(error))
            return FALSE;
        if (output->text && output->text->len > OUTPUT_MAX) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: printed more than %u MiB", program,
                        OUTPUT_MAX >> 20);
            return FALSE;
        }
    }
    return TRUE;
}

/* Lets the child clean up behind itself, but not for ever. */
static void end_child(GSubprocess *child, Stream *words, Stream *output)
{
    gint64 deadline = g_get_monotonic_time() + GRACE_MS * G_TIME_SPAN_MILLISECOND;

    end_group(child, SIGTERM);
    ingot_fd_clear(&output->fd);
    for (;;) {
        gint64 left = (deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
        if (left <= 0 || !is_open(words, output))
            break;
        poll_streams(words, output, -1, (int)left);
    }
    end_group(child, SIGKILL);
    g_subprocess_wait(child, NULL, NULL);
}

static gboolean check_status(GSubprocess *child, const char *program, GString *words, GError **error)
{
    g_subprocess_wait(child, NULL, NULL);
    if (g_subprocess_get_successful(child))
        return TRUE;
    g_autofree char *valid = g_utf8_make_valid(words->str, (gssize)words->len);
    g_strchomp(valid);
    const char *separator = *valid ? ":\n" : "";
    if (g_subprocess_get_if_signaled(child)) {
        int number = g_subprocess_get_term_sig(child);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: ended by signal %d (%s)%s%s", program, number,
                    g_strsignal(number), separator, valid);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: failed with status %d%s%s", program,
                    g_subprocess_get_exit_status(child), separator, valid);
    }
    return FALSE;
}

static void set_environment(GSubprocessLauncher *launcher, const char *const *environment)
{
    for (; environment && *environment; environment++) {
        g_auto(GStrv) pair = g_strsplit(*environment, "=", 2);
        g_subprocess_launcher_setenv(launcher, pair[0], pair[1], TRUE);
    }
}

/* In memory alone. */
static gboolean give_input(GSubprocessLauncher *launcher, const char *input, GError **error)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0)
        return ingot_error_set_errno(error, errno, "cannot make a file in memory");
    g_subprocess_launcher_take_stdin_fd(launcher, fd);
    return ingot_file_pwrite(fd, input, strlen(input), 0, "input", error);
}

typedef struct {
    guint seconds;        /* 0: for ever */
    guint64 memory, file; /* bytes; 0: any */
} Limits;

/* input NULL: the child has none. output NULL: what the child prints on stdout is kept like its stderr, for the error
 * message. */
static gboolean run_child(const char *const *argv, const char *const *environment, const char *folder,
                          const Limits *limits, const char *input, GString *output, GError **error)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autoptr(GString) text = g_string_new(NULL);
    g_auto(Stream) words = {.fd = -1, .text = text, .tail_only = TRUE};
    g_auto(Stream) out = {.fd = -1, .text = output};

    if (!ingot_interrupt_check(error) || !connect_streams(launcher, &words, &out, error) ||
        (input && !give_input(launcher, input, error)))
        return FALSE;
    set_environment(launcher, environment);
    if (folder)
        g_subprocess_launcher_set_cwd(launcher, folder);
    Setup setup = {.parent = getpid(), .memory = limits->memory, .file = limits->file};
    pthread_sigmask(SIG_SETMASK, NULL, &setup.signals);
    g_autoptr(GSubprocess) child = spawn(launcher, argv, &setup, error);
    g_clear_object(&launcher); /* closes our copies of the child's ends */
    if (!child)
        return FALSE;
    if (!collect(&words, &out, argv[0], limits->seconds, error)) {
        end_child(child, &words, &out);
        return FALSE;
    }
    return check_status(child, argv[0], text, error);
}

gboolean ingot_process_run(const char *const *argv, const char *const *environment, const char *folder, GError **error)
{
    return run_child(argv, environment, folder, &(Limits){0}, NULL, NULL, error);
}

gboolean ingot_process_run_within(const char *const *argv, guint seconds, GError **error)
{
    return run_child(argv, NULL, NULL, &(Limits){.seconds = seconds}, NULL, NULL, error);
}

gboolean ingot_process_run_bounded(const char *const *argv, guint64 memory, guint64 file, GError **error)
{
    return run_child(argv, NULL, NULL, &(Limits){.memory = memory, .file = file}, NULL, NULL, error);
}

gboolean ingot_process_ask(const char *const *argv, const char *input, guint seconds, char **output, GError **error)
{
    GString *text = g_string_new(NULL);
    gboolean ok = run_child(argv, NULL, NULL, &(Limits){.seconds = seconds}, input, text, error);
    *output = g_string_free(text, FALSE);
    return ok;
}

char *ingot_process_output(const char *const *argv, GError **error)
{
    g_autoptr(GString) output = g_string_new(NULL);

    if (!run_child(argv, NULL, NULL, &(Limits){0}, NULL, output, error))
        return NULL;
    if (g_str_has_suffix(output->str, "\n"))
        g_string_truncate(output, output->len - 1);
    return g_string_free(g_steal_pointer(&output), FALSE);
}

void ingot_process_fill_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        /* The lowest number that is free: this one. */
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(127);
    }
}
