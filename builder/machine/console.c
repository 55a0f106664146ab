#include "machine/console.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sockets.h"
#include "base/text.h"

#define TAIL_MAX (64u << 10)      /* bytes that are looked at for the last lines */
#define ENDED_USEC G_USEC_PER_SEC /* for the thread to read what QEMU has left */

struct Console {
    char *socket, *log, *older;
    int listener, wake;
    GThread *thread;
    GMutex lock;
    GCond changed;
    gboolean ended; /* under the lock: QEMU has closed its end, and all is in the log */
};

/* --- the thread --- */

/* Waits for the descriptor; FALSE: the console is being freed. */
static gboolean wait_for(const Console *console, int fd)
{
    struct pollfd waits[] = {{.fd = fd, .events = POLLIN}, {.fd = console->wake, .events = POLLIN}};
    while (poll(waits, G_N_ELEMENTS(waits), -1) < 0 && errno == EINTR) {
    }
    return waits[1].revents == 0;
}

static int open_log(const Console *console)
{
    return open(console->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* What cannot be written (the disk is full) is lost; the guest is not to hang for it. */
static void append(const Console *console, int *log, gsize *size, const char *data, gsize count)
{
    if (*size + count > CONSOLE_MAX) {
        ingot_fd_clear(log);
        rename(console->log, console->older);
        *log = open_log(console);
        *size = 0;
    }
    for (gsize done = 0; *log >= 0 && done < count;) {
        ssize_t written = write(*log, data + done, count - done);
        if (written <= 0 && errno != EINTR) {
            break;
        }
        done += written > 0 ? (gsize)written : 0;
    }
    *size += count;
}

static gpointer read_all(gpointer user)
{
    Console *console = user;
    g_auto(IngotFd) log = open_log(console), connection = -1;
    gsize size = 0;
    if (wait_for(console, console->listener)) {
        connection = accept4(console->listener, NULL, NULL, SOCK_CLOEXEC);
    }
    while (connection >= 0 && wait_for(console, connection)) {
        char buffer[65536];
        ssize_t got = read(connection, buffer, sizeof buffer);
        if (got <= 0 && errno != EINTR) {
            break;
        }
        append(console, &log, &size, buffer, got > 0 ? (gsize)got : 0);
    }
    g_mutex_lock(&console->lock);
    console->ended = TRUE;
    g_cond_signal(&console->changed);
    g_mutex_unlock(&console->lock);
    return NULL;
}

/* --- its owner --- */

static gboolean listen_on(Console *console, GError **error)
{
    struct sockaddr_un address;
    if (!sockets_address(console->socket, &address, error)) {
        return FALSE;
    }
    unlink(console->socket); /* of a machine before */
    unlink(console->older);
    console->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return (console->listener >= 0 && bind(console->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
            listen(console->listener, 1) == 0) ||
           ingot_error_set_errno(error, errno, "%s", console->socket);
}

Console *console_new(const char *folder, const char *sockets, GError **error)
{
    g_autoptr(Console) console = g_new0(Console, 1);
    console->socket = g_build_filename(sockets, "console", NULL);
    console->log = g_build_filename(folder, "console.log", NULL);
    console->older = g_build_filename(folder, "console.log.1", NULL);
    console->listener = -1;
    g_mutex_init(&console->lock);
    g_cond_init(&console->changed);
    console->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (console->wake < 0) {
        ingot_error_set_errno(error, errno, "cannot make an eventfd");
        return NULL;
    }
    if (!listen_on(console, error)) {
        return NULL;
    }
    console->thread = g_thread_new("console", read_all, console);
    return g_steal_pointer(&console);
}

void console_free(Console *console)
{
    if (console == NULL) {
        return;
    }
    if (console->thread != NULL) {
        eventfd_write(console->wake, 1);
        g_thread_join(console->thread);
    }
    ingot_fd_clear(&console->listener);
    ingot_fd_clear(&console->wake);
    g_mutex_clear(&console->lock);
    g_cond_clear(&console->changed);
    g_free(console->socket);
    g_free(console->log);
    g_free(console->older);
    g_free(console);
}

const char *console_socket(const Console *console)
{
    return console->socket;
}

const char *console_log(const Console *console)
{
    return console->log;
}

/* --- what is shown of it --- */

/* Appends the file's last bytes, at most `most`. */
static void append_end(GString *text, const char *path, gsize most)
{
    g_auto(IngotFd) file = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
    g_autofree char *buffer = g_malloc(most);
    ssize_t got = size < 0 ? 0 : pread(file, buffer, most, size > (off_t)most ? size - (off_t)most : 0);
    g_string_append_len(text, buffer, MAX(got, 0));
}

static void wait_for_end(Console *console)
{
    gint64 until = g_get_monotonic_time() + ENDED_USEC;
    g_mutex_lock(&console->lock);
    while (!console->ended && g_cond_wait_until(&console->changed, &console->lock, until)) {
    }
    g_mutex_unlock(&console->lock);
}

char *console_tail(Console *console, gboolean ended, guint lines)
{
    if (ended) {
        wait_for_end(console);
    }
    g_autoptr(GString) text = g_string_new(NULL);
    append_end(text, console->log, TAIL_MAX);
    if (text->len < TAIL_MAX) { /* the log has just begun anew */
        g_autoptr(GString) older = g_string_new(NULL);
        append_end(older, console->older, TAIL_MAX - text->len);
        g_string_prepend_len(text, older->str, (gssize)older->len);
    }
    g_autofree char *plain = ingot_text_clean(text->str, text->len);
    g_auto(GStrv) all = g_strsplit(g_strchomp(plain), "\n", -1);
    guint count = g_strv_length(all);
    return g_strjoinv("\n", all + (count > lines ? count - lines : 0));
}
