/* A preload in whose process only so many threads may start: ${THREADS} in all, then each fails as where pids.max,
 * TasksMax or ulimit -u is reached. Whatever runs must go on with what it has, or end with an error. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_int started;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *data)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    const char *most = getenv("THREADS");
    if (most != NULL && atomic_fetch_add(&started, 1) >= atoi(most)) {
        return EAGAIN;
    }
    return real(thread, attributes, work, data);
}
