/* Rollout: which hosts the image that a channel names is for by now.
 *
 * It goes out in phases. The first is open from when the channel moved, each other one opens a fixed time after the one
 * before, by the server's clock alone; a clock that was set back closes no more than it. The last phase is of all
 * hosts. Once as many hosts as the rules say have failed, the rollout is stopped: no host begins any more. A rollback
 * is for all hosts at once, and no failure stops it. A barrier is a version that no host may skip, whichever way the
 * channel has moved; what came behind it has passed it. Pure functions. */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef struct {
    const json_t *rules; /* of the channel (pipeline.h), which pipelines_check has passed; NULL: none */
    gboolean at_once;    /* it is a rollback, or nobody knows since when the channel names it */
    gint64 since, now;   /* seconds */
    guint failures;      /* hosts that have failed with it */
} Rollout;

typedef struct {
    const char *name;  /* of the repository */
    const char *host;  /* what it is called */
    const char *id;    /* tells it from others of that name; "": it says none */
    const char *group; /* "": none */
    double wariness;   /* 0.0 (among the first) to 1.0 (among the last); negative: by a hash of name, host and id */
} RolloutHost;

/* At least 1. */
guint rollout_phases(const Rollout *rollout);
/* How many phases are open, at least 1. *next: when the next one opens; 0: all are open. */
guint rollout_open(const Rollout *rollout, gint64 *next);
/* When a phase opens, counted from 0. */
gint64 rollout_opens(const Rollout *rollout, guint phase);
gboolean rollout_is_stopped(const Rollout *rollout);

/* The host's phase, counted from 0: by percent its place among all hosts, which never changes, by groups the one that
 * names its group; else the last. */
guint rollout_phase(const Rollout *rollout, const RolloutHost *host);

/* The version that a host has to run before the target's: the lowest barrier above what it runs and below the target.
 * NULL: none, so too where the target has no version. runs NULL: it has passed none. It belongs to the rules. */
const char *rollout_barrier(const json_t *rules, const char *runs, const char *target);
