#include "appliance/watch.h"

#include <errno.h>
#include <ingot/error.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"

#define AGAIN_MS 100 /* QEMU may not have been started yet when it is to end */

typedef struct {
    char *mark;
    IngotFd closed; /* readable once the handle is closed */
    GThread *thread;
} Watch;

static void watch_free(Watch *watch)
{
    ingot_fd_clear(&watch->closed);
    g_free(watch->mark);
    g_free(watch);
}

static gboolean is_marked(const char *pid, const char *mark)
{
    g_autofree char *path = g_build_filename("/proc", pid, "cmdline", NULL);
    g_autofree char *text = NULL;
    gsize size;
    return g_file_get_contents(path, &text, &size, NULL) && memmem(text, size, mark, strlen(mark)) != NULL;
}

void appliance_kill(const char *mark)
{
    g_autoptr(GDir) processes = g_dir_open("/proc", 0, NULL);
    const char *pid;
    while (processes != NULL && (pid = g_dir_read_name(processes)) != NULL) {
        if (g_ascii_isdigit(*pid) && is_marked(pid, mark)) {
            kill((pid_t)g_ascii_strtoll(pid, NULL, 10), SIGKILL);
        }
    }
}

static gpointer watch_wait(gpointer user)
{
    const Watch *watch = user;
    /* Once the process is interrupted, only the handle's end is waited for. */
    struct pollfd waits[] = {{.fd = watch->closed, .events = POLLIN}, {.fd = ingot_interrupt_fd(), .events = POLLIN}};
    while (poll(waits, G_N_ELEMENTS(waits), waits[1].fd < 0 ? AGAIN_MS : -1) <= 0 || waits[0].revents == 0) {
        if (!ingot_interrupt_check(NULL)) {
            waits[1].fd = -1;
            appliance_kill(watch->mark);
        }
    }
    return NULL;
}

static void watch_closed(guestfs_h *g, void *user, uint64_t event, int handle, int flags, const char *text, size_t size,
                         const uint64_t *numbers, size_t count)
{
    (void)g, (void)event, (void)handle, (void)flags, (void)text, (void)size, (void)numbers, (void)count;
    Watch *watch = user;
    eventfd_write(watch->closed, 1);
    g_thread_join(watch->thread);
    watch_free(watch);
}

gboolean appliance_watch(guestfs_h *g, GError **error)
{
    Watch *watch = g_new0(Watch, 1);
    watch->mark = g_strdup_printf("ingot-%d-%08x", getpid(), g_random_int());
    g_autofree char *device = g_strconcat("null,id=", watch->mark, NULL);
    watch->closed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->closed < 0) {
        ingot_error_set_errno(error, errno, "cannot make an eventfd");
    } else if (guestfs_config(g, "-chardev", device) != 0 ||
               guestfs_set_event_callback(g, watch_closed, GUESTFS_EVENT_CLOSE, 0, watch) < 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the libguestfs appliance: %s", guestfs_last_error(g));
    } else {
        watch->thread = g_thread_new("appliance", watch_wait, watch);
        return TRUE;
    }
    watch_free(watch);
    return FALSE;
}
