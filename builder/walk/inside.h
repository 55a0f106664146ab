/* The inside of Walk, which its three files share: walk.c goes through the plan, engine.c has the machine, layers.c
 * what it writes to and what is kept of that. */
#pragma once

#include "cache/nodes.h"
#include "walk/walk.h"

struct Walk {
    WalkInput in;
    char *fingerprint; /* of the machine that this build has */
    gboolean keeping;  /* nodes are kept */
    gboolean secret;   /* a stage has used one, or the machine knows a password of the session or of a proxy */
    gboolean let_in;   /* a person was, who may have changed anything */

    Node *from;            /* the node that the build went on from, or NULL */
    gboolean damaged;      /* its memory is not what it was, which shows itself while it is loaded */
    NodeHold *hold;        /* on it */
    GPtrArray *drafts;     /* of NodeDraft: every layer since, the newest last */
    const char *below;     /* name of the node whose layer the newest one stands on; NULL: the source's disk */
    char *disk;            /* the newest layer: what is written to */
    GPtrArray *further;    /* the newest layers of the machine's further disks: paths */
    gboolean clean;        /* its file systems need no recovery */
    GPtrArray *runs;       /* of NodeRun */
    GPtrArray *made;       /* paths of what the step that runs has written on this host */
    GHashTable *refused;   /* folders of nodes that could not be used */
    gboolean started;      /* a machine has run on the newest layers */
    gboolean resumed;      /* the machine goes on from a node's memory */
    gboolean torn;         /* such a machine has ended by itself in the middle of a step */
    gboolean distrusted;   /* no memory is used any more: it may hold what has ended the machine */
    gboolean offline_said; /* that pauses are not for offline steps */
    guint boots;           /* each has a folder of its own */
    Machine *machine;      /* NULL: none runs */
    Guest *guest;
    IngotLock *turn;           /* to run the stage that is next */
    gboolean spooled;          /* the last node's memory was, which the publisher may still have */
    GThreadPool *publisher;    /* one thread: a node comes after the one below it */
    GError *publishing_failed; /* written by that thread, once, atomically */
};

/* --- engine.c --- */

/* A machine that runs on the newest layer: resumed where the build stands right behind its node, else booted. */
gboolean engine_need(Walk *walk, GError **error);
/* None runs, and the newest layer's file systems need no recovery; one that has not been touched is taken to be so. */
gboolean engine_need_rest(Walk *walk, GError **error);
/* The same of a machine that runs, as quickly as can be, or as the guest itself does it. */
gboolean engine_rest(Walk *walk, GError **error);
gboolean engine_shut_down(Walk *walk, GError **error);
/* Shuts it down and boots it again, on the same disk. */
gboolean engine_restart(Walk *walk, GError **error);
/* After a stage that may have restarted the machine or powered it off, or asked for that in some minutes: waits for its
 * end then, since no node is to go down in the middle of another step. No machine runs after that, and the next stage
 * boots one. An error where it would take too long. */
gboolean engine_follow(Walk *walk, const PlanStage *stage, GError **error);
/* Whether the machine has ended or halted by itself, which a session that was lost may be the first sign of. */
gboolean engine_has_ended(Walk *walk);
/* Ends it where it stands. */
void engine_stop(Walk *walk);

/* --- layers.c --- */

/* A new layer over each disk that was written to so far, or over where the build starts. */
gboolean layers_add(Walk *walk, GError **error);
/* Back to before the first layer. */
void layers_forget(Walk *walk);
/* Other ones in place of the first, which may not be built on. */
gboolean layers_renew(Walk *walk, GError **error);
/* After a stage: the newest layer becomes a node, with the machine's memory where that is wanted, and another layer
 * takes its place. The node is written by a thread. */
gboolean layers_keep(Walk *walk, const PlanStage *stage, GError **error);
/* Nothing more is kept by this build, which is said once. */
void layers_stop_keeping(Walk *walk, const GError *problem);
/* Waits until all nodes are written. */
void layers_settle(Walk *walk);

/* --- stage-step.c --- */

/* Runs the stage's step; a failure is shown, and tried again where a person says so. */
gboolean walk_run_step(Walk *walk, const PlanStage *stage, GError **error);
