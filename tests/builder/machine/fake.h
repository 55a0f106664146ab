/* Machines whose QEMU is tests/builder/machine/fake-qemu.py: it does what its JSON says, and no machine runs. */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#include "machine/inside.h"
#include "machine/state.h"

static IngotWorkdir *fake_workdir;

/* A work folder of the test's own, and the fake as the QEMU that is found. */
static int fake_set_up(void **state)
{
    (void)state;
    fake_workdir = ingot_workdir_new(NULL);
    if (fake_workdir == NULL) {
        return -1;
    }
    g_autofree char *program = ingot_workdir_file(fake_workdir, MACHINE_QEMU);
    g_autofree char *fake = realpath("tests/builder/machine/fake-qemu.py", NULL);
    g_autofree char *path = g_strdup_printf("%s:%s", ingot_workdir_path(fake_workdir), g_getenv("PATH"));
    g_autofree char *log = ingot_workdir_file(fake_workdir, "commands");
    g_setenv("PATH", path, TRUE);
    g_setenv("FAKE_QEMU_LOG", log, TRUE);
    return fake == NULL ? -1 : symlink(fake, program);
}

static int fake_tear_down(void **state)
{
    (void)state;
    ingot_workdir_free(fake_workdir);
    return 0;
}

/* behaviour: the fake's JSON. */
static Machine *fake_start_in(const char *folder, const char *behaviour, gboolean incoming)
{
    g_setenv("FAKE_QEMU", behaviour, TRUE);
    const MachineOptions options = {.cpus = 1, .memory = 64 << 20, .folder = folder, .incoming = incoming};
    g_autoptr(GError) error = NULL;
    Machine *machine = machine_start(&options, &error);
    if (machine == NULL) {
        print_error("%s\n", error->message);
    }
    assert_non_null(machine);
    return machine;
}

static inline Machine *fake_start(const char *behaviour, gboolean incoming)
{
    return fake_start_in(ingot_workdir_path(fake_workdir), behaviour, incoming);
}

/* Whether the fake got the command, since it was asked last. */
static inline gboolean fake_heard(const char *command)
{
    g_autofree char *path = ingot_workdir_file(fake_workdir, "commands"), *text = NULL;
    g_autofree char *line = g_strconcat(command, "\n", NULL);
    return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, line) != NULL;
}

static inline void fake_forget(void)
{
    g_autofree char *path = ingot_workdir_file(fake_workdir, "commands");
    unlink(path);
}
