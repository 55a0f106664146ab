#include "cli/vagrant/await.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"

#define AWAIT_MOST (30 * G_TIME_SPAN_MINUTE)
#define BETWEEN 3u       /* seconds between two looks, where the registry says none, or a date */
#define BETWEEN_MOST 60u /* whatever it says */
#define RETRY_AFTER "retry-after:"

/* The same that Vagrant asks, but for the head alone, which is printed: --write-out prints single headers since curl
 * 7.84 alone. */
static GPtrArray *probe_arguments(const char *program, const char *const *arguments)
{
    GPtrArray *probe = g_ptr_array_new();
    g_ptr_array_add(probe, (char *)program);
    for (guint i = 1; arguments[i] != NULL; i++) {
        gboolean of_file = strcmp(arguments[i], "--output") == 0 || strcmp(arguments[i], "--continue-at") == 0;
        if (of_file && arguments[i + 1] != NULL) {
            i++;
        } else if (arguments[i + 1] != NULL) {
            g_ptr_array_add(probe, (char *)arguments[i]);
        } else { /* the URL */
            g_ptr_array_add(probe, (char *)"--head");
            g_ptr_array_add(probe, (char *)"--silent");
            g_ptr_array_add(probe, (char *)"--output");
            g_ptr_array_add(probe, (char *)"/dev/null");
            g_ptr_array_add(probe, (char *)"--dump-header");
            g_ptr_array_add(probe, (char *)"-");
            g_ptr_array_add(probe, (char *)arguments[i]);
        }
    }
    g_ptr_array_add(probe, NULL);
    return probe;
}

guint await_seconds(const char *heads)
{
    g_auto(GStrv) lines = g_strsplit(heads, "\n", -1);
    guint status = 0, seconds = 0;
    for (guint i = 0; lines[i] != NULL; i++) {
        if (g_str_has_prefix(lines[i], "HTTP/")) { /* the head behind a redirection, or behind a proxy's own */
            const char *space = strchr(lines[i], ' ');
            status = space == NULL ? 0 : (guint)strtoul(space, NULL, 10);
            seconds = 0;
        } else if (g_ascii_strncasecmp(lines[i], RETRY_AFTER, strlen(RETRY_AFTER)) == 0) {
            seconds = (guint)MIN(strtoul(lines[i] + strlen(RETRY_AFTER), NULL, 10), BETWEEN_MOST);
        }
    }
    return status != 503 ? 0 : seconds == 0 ? BETWEEN : seconds;
}

/* Seconds until the next look; 0: there is nothing to wait for. */
static guint ask(const GPtrArray *probe)
{
    g_autofree char *heads = NULL;
    return g_spawn_sync(NULL, (char **)probe->pdata, NULL,
                        G_SPAWN_STDERR_TO_DEV_NULL | G_SPAWN_LEAVE_DESCRIPTORS_OPEN, /* a login is in one */
                        NULL, NULL, &heads, NULL, NULL, NULL)
               ? await_seconds(heads)
               : 0;
}

static void tell(const char *told)
{
    g_auto(IngotFd) out = told == NULL ? -1 : open(told, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (out >= 0) {
        dprintf(out,
                "ingot vagrant: the registry reads the image's whole disk for this box, the first time: waiting\n");
    }
}

gboolean await_file(const char *program, const char *const *arguments, const char *told)
{
    g_autoptr(GPtrArray) probe = probe_arguments(program, arguments);
    gint64 end = g_get_monotonic_time() + AWAIT_MOST;
    guint seconds;
    for (gboolean first = TRUE; (seconds = ask(probe)) > 0 && g_get_monotonic_time() < end; first = FALSE) {
        if (first) {
            tell(told);
        }
        struct pollfd wait = {.fd = ingot_interrupt_fd(), .events = POLLIN};
        poll(&wait, 1, (int)seconds * 1000);
        if (!ingot_interrupt_check(NULL)) {
            return FALSE;
        }
    }
    return ingot_interrupt_check(NULL);
}
