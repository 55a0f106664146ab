/* A guest without a machine: a shell of this host at the other end of a socket. Its folder, which is also its HOME, is
 * a temporary one, and programs in `bin` beside it go before the host's. */
#pragma once

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/guest.h"

typedef struct {
    IngotWorkdir *workdir;
    char *place;
    pid_t shell;
    Guest *guest;
} Fake;

/* Starts the program as the guest's shell. */
static inline int fake_shell(Fake *fake, const char *script)
{
    int ends[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
    fake->workdir = ingot_workdir_new(NULL);
    fake->place = ingot_workdir_file(fake->workdir, "place");
    g_assert_nonnull(fake->workdir);
    g_autofree char *bin = ingot_workdir_file(fake->workdir, "bin");
    g_autofree char *path = g_strconcat(bin, ":/usr/sbin:/usr/bin:/sbin:/bin", NULL);
    g_assert_true(ingot_file_make_folder(bin, NULL));
    fake->shell = fork();
    if (fake->shell == 0) {
        setsid();
        dup2(ends[1], 0);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        setenv("PATH", path, 1);
        setenv("HOME", fake->place, 1);
        execl("/bin/sh", "sh", "-c", script, NULL);
        _exit(127);
    }
    close(ends[1]);
    return ends[0];
}

static inline void fake_open(Fake *fake, const char *script, guint stall_seconds, GError **error)
{
    *fake = (Fake){.shell = -1};
    int fd = fake_shell(fake, script);
    GuestStream stream = {.fd = fd, .place = fake->place, .stall_seconds = stall_seconds};
    fake->guest = guest_new_on_stream(&stream, error);
}

static inline Fake fake_new(void)
{
    Fake fake;
    g_autoptr(GError) error = NULL;
    fake_open(&fake, guest_loop(), 0, &error);
    g_assert_no_error(error);
    return fake;
}

/* A program that notes its arguments in the file of its name in the guest's HOME, and ends with the status. */
static inline void fake_program(const Fake *fake, const char *name, int status)
{
    g_autofree char *path = g_build_filename(ingot_workdir_path(fake->workdir), "bin", name, NULL);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\necho \"$*\" >>%s/%s\nexit %d\n", fake->place, name, status);
    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
}

static inline void fake_clear(Fake *fake)
{
    g_clear_pointer(&fake->guest, guest_free);
    if (fake->shell > 0) {
        kill(-fake->shell, SIGKILL);
        waitpid(fake->shell, NULL, 0);
    }
    g_free(fake->place);
    ingot_workdir_free(fake->workdir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fake, fake_clear)
