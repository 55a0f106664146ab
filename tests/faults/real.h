/* What the preloads share: the functions of libc that stand behind those of a preload. */
#pragma once

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    return found;
}

static int raw_open(const char *path, int flags, mode_t mode)
{
    int (*call)(const char *, int, ...) = (int (*)(const char *, int, ...))real("open64");
    return call(path, flags, mode);
}
