/* A host's target: the image that a channel names, how far its rollout has come (rollout.h), and what that means for
 * one host. It is worked out at each question, from the pipeline, the channel's last move and what hosts have reported.
 */
#pragma once

#include "base/json.h"
#include "server/catalogue/database.h"
#include "server/follow/rollout.h"
#include "server/storage/storage.h"

typedef struct HostTarget HostTarget;
/* NOT_FOUND: there is no such tag. ledger: ledger.h. */
HostTarget *host_target_new(Storage *storage, Database *ledger, const char *name, const char *channel, gint64 now,
                            GError **error);
void host_target_free(HostTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostTarget, host_target_free)

/* Whether no host begins any more, since some have failed. */
gboolean host_target_is_stopped(const HostTarget *target);

/* What a host is to run. Where it is to run something: {"digest"}, with "version" and "further": true where that is a
 * barrier and it is to ask again once it runs it. Where it is to keep what it has: {"why"}, with "again", the seconds
 * until its phase opens. runs: the digest that it runs; NULL: none. */
json_t *host_target_tell(HostTarget *target, const RolloutHost *host, const IngotDigest *runs, GError **error);

/* How far the rollout has come: {"channel", "digest", "phase", "phases", "next", "stopped", "failed", "waiting",
 * "why"}, with "next" only where a phase is still to open; waiting: hosts that a barrier keeps which is not there.
 * NULL: there is none, or every host has its turn and nothing keeps any; or an error. */
json_t *host_target_rollout(HostTarget *target, GError **error);
