/* How machine_accel() finds out what works: on a host, which a test makes up. */
#pragma once

#include "machine/machine.h"

typedef struct {
    const char *device;          /* KVM's */
    const char *const *patterns; /* where its kernels are: globs, up to a NULL */
} AccelHost;

/* As machine_accel(). */
gboolean accel_find(const AccelHost *host, const char *name, const char *cache, MachineAccel *accel, char **why,
                    GError **error);
