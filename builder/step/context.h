/* What a running step may ask of the build that it is part of. A new kind of step needs no more than this. */
#pragma once

#include <ingot/store.h>

#include "guest/guest.h"
#include "recipe/recipe.h"
#include "step/step.h"

struct StepContext {
    const Recipe *recipe;
    IngotStore *store;
    const char *cache;   /* see appliance.h */
    const char *workdir; /* the build's own folder, for passing files */
    GPtrArray *made;     /* gets the path of each file of this host that the step writes: a later build looks at them */
    char **environment;  /* "K=V": what every command of the step gets besides its own, for the time of the build */

    /* A machine that runs; guest is NULL in an offline step. */
    Guest *guest;
    guint16 ssh_port; /* of 127.0.0.1, where the guest has an ssh server */
    const GuestKey *key;

    /* A disk at rest, which needs no recovery; NULL while a machine runs. */
    const char *disk, *format;

    /* Of the walk; use the functions below. */
    GuestLineFunc line;
    gboolean (*restart)(StepContext *context, GError **error);
    gpointer walk;
};

/* Prints a line of the step's output; secrets are masked. */
void step_line(StepContext *context, const char *line);
/* A GuestLineFunc whose user data is the context. */
void step_take_line(const char *line, gpointer context);
/* Shuts the machine down, starts it again on the same disk and waits until it is up; context->guest is a new one. */
gboolean step_restart(StepContext *context, GError **error);
