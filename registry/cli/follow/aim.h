/* Aim: what a host that follows a channel is to run now, as its registry says. Mostly that is what the channel names.
 * An Ingot's registry may let it out in phases, so it is asked for this very host, which may have to wait, or to take
 * another image first. Any other has the tag alone. */
#pragma once

#include <ingot/reference.h>
#include <ingot/remote.h>

typedef struct {
    const char *host, *id; /* id: tells it from others of that name */
    const char *group;     /* NULL: none */
    const char *wariness;  /* "0.0" to "1.0"; NULL: its name says its place */
} AimHost;

typedef struct {
    IngotDigest digest; /* that is to run; not set while it waits */
    gboolean further;   /* a barrier: what comes behind it is to be asked for once it runs */
    char *version;      /* of a barrier; NULL: what the channel names, or not known */
    char *waits;        /* why nothing is to be done yet; NULL: something is */
    gint64 again;       /* seconds until that is over; 0: the registry can't say */
} Aim;
void aim_clear(Aim *aim);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Aim, aim_clear)

/* runs: what the host runs; NULL: nothing. */
gboolean aim_find(IngotRemote *remote, const IngotReference *channel, const AimHost *host, const IngotDigest *runs,
                  Aim *aim, GError **error);
