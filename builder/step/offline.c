#include "step/offline.h"

#include <errno.h>
#include <ingot/error.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/appliance.h"
#include "appliance/selinux.h"
#include "appliance/watch.h"
#include "base/file.h"
#include "base/process.h"
#include "base/sockets.h"
#include "step/context.h"
#include "step/resolver.h"

#define POLL_USEC (G_USEC_PER_SEC / 10)

/* libguestfs blocks for as long as something takes; it has a thread of its own, which alone uses the handle. */
typedef struct {
    StepContext *context;
    char *socket;
    GThread *thread;
    GPtrArray *notes;     /* of the thread, until it has launched */
    gint launched, ended; /* atomic */
    GError *problem;      /* of the thread; read it once it has ended */
} Offline;

/* Ends all processes of the system: first in peace. The shell itself and the one that runs this stay. */
static const char end_processes[] =
    "cd /; read -r ingot_self ingot_line </proc/self/stat\n"
    "ingot_signal() { ingot_found=; for ingot_pid in /proc/[0-9]*; do ingot_pid=${ingot_pid##*/}\n"
    "    [ $ingot_pid != $$ ] && [ $ingot_pid != $ingot_self ] && [ /proc/$ingot_pid/root -ef / ] || continue\n"
    "    kill -$1 $ingot_pid && ingot_found=1; done 2>/dev/null; }\n"
    "ingot_signal TERM; ingot_tries=0\n"
    "while [ -n \"$ingot_found\" ] && [ $ingot_tries -lt 25 ]; do\n"
    "    sleep 0.2; ingot_signal 0; ingot_tries=$((ingot_tries + 1))\n"
    "done\n"
    "[ -z \"$ingot_found\" ] || { ingot_signal KILL; sleep 0.2; }\n"
    "umount \"$ingot_place\" 2>/dev/null; rm -rf \"$ingot_place\"\n"
    "sync\n";

static gpointer offline_appliance(gpointer user)
{
    Offline *offline = user;
    ApplianceOptions options = {.disk = offline->context->disk,
                                .format = offline->context->format,
                                .cache = offline->context->cache,
                                .network = TRUE,
                                .port = offline->socket,
                                .port_name = GUEST_PORT,
                                .notes = offline->notes};
    g_autofree char *root = NULL;
    g_autoptr(guestfs_h) g = appliance_open(&options, &root, &offline->problem);
    if (g != NULL) {
        g_atomic_int_set(&offline->launched, TRUE);
        g_autofree char *output = guestfs_sh(g, guest_appliance_script());
        if (output == NULL) {
            appliance_failed(g, "the shell in the system", &offline->problem);
        } else if (resolver_finish(g, &offline->problem) && selinux_label_all(g, &offline->problem) &&
                   guestfs_shutdown(g) != 0) {
            appliance_failed(g, "closing the disk", &offline->problem);
        }
    }
    g_atomic_int_set(&offline->ended, TRUE);
    return NULL;
}

static gboolean offline_alive(gpointer user, GError **error)
{
    Offline *offline = user;
    if (!g_atomic_int_get(&offline->ended)) {
        return TRUE;
    }
    if (offline->problem != NULL) {
        g_propagate_error(error, g_error_copy(offline->problem));
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the shell in the system has ended");
    }
    return FALSE;
}

/* The port of the appliance, connected before its shell reads from it. -1 on failure. */
static int offline_connect(Offline *offline, GError **error)
{
    struct sockaddr_un address;
    if (!sockets_address(offline->socket, &address, error)) {
        return -1;
    }
    g_auto(IngotFd) fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        ingot_error_set_errno(error, errno, "%s", offline->socket);
        return -1;
    }
    while (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (!ingot_interrupt_check(error) || !offline_alive(offline, error)) {
            return -1;
        }
        g_usleep(POLL_USEC);
    }
    while (!g_atomic_int_get(&offline->launched)) {
        if (!ingot_interrupt_check(error) || !offline_alive(offline, error)) {
            return -1;
        }
        g_usleep(POLL_USEC);
    }
    return g_steal_fd(&fd);
}

static gboolean offline_step(Offline *offline, const json_t *step, GError **error)
{
    int fd = offline_connect(offline, error);
    GuestStream stream = {.fd = fd, .alive = offline_alive, .user_data = offline};
    g_autoptr(Guest) guest = fd < 0 ? NULL : guest_new_on_stream(&stream, error);
    StepContext context = *offline->context;
    context.guest = guest;
    for (guint i = 0; guest != NULL && i < offline->notes->len; i++) {
        step_line(&context, g_ptr_array_index(offline->notes, i));
    }
    return guest != NULL && guest_script(guest, resolver_before, NULL, error) &&
           step_kind(step)->run(&context, step, error) && guest_script(guest, resolver_behind, NULL, error) &&
           guest_script(guest, end_processes, NULL, error);
}

gboolean offline_run(StepContext *context, const json_t *step, GError **error)
{
    g_auto(IngotFd) fd = -1;
    g_autofree char *folder = sockets_folder(context->workdir, &fd, error);
    if (folder == NULL) {
        return FALSE;
    }
    g_autofree char *socket = g_build_filename(folder, "offline", NULL);
    unlink(socket);
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    Offline offline = {.context = context, .socket = socket, .notes = notes};
    offline.thread = g_thread_new("offline", offline_appliance, &offline);
    gboolean ok = offline_step(&offline, step, error);
    if (!ok) {
        /* Nothing of the disk is used. */
        while (!g_atomic_int_get(&offline.ended)) {
            appliance_kill(offline.socket);
            g_usleep(POLL_USEC);
        }
    }
    /* The shell ends with the connection, which the step's guest had. */
    g_thread_join(offline.thread);
    unlink(socket);
    if (ok && offline.problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&offline.problem));
        ok = FALSE;
    }
    g_clear_error(&offline.problem);
    return ok;
}
