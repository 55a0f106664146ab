/* Promotion: moving a channel of a name to a digest that its gates let pass.
 *
 * Every gate is asked every time, so that the answer lists all that is missing. The channel moves in one change, from
 * what it named while the gates were asked: whoever comes second is told. Thread safe. */
#pragma once

#include <ingot/digest.h>
#include <jansson.h>

#include "server/auth/accounts.h"
#include "server/storage/storage.h"

typedef struct {
    Storage *storage;
    const char *name, *channel;
    const char *from;            /* a version, tag, channel or digest; of a rollback it may be NULL: what the channel
                                    named before */
    const StorageActor *actor;   /* who promotes, and why */
    const IngotDigest *expected; /* what the caller thinks that the channel names; NULL: whatever it names */
    gboolean dry_run;            /* asks the gates alone */
    gboolean force;              /* moves it whatever they say */
    struct Database *ledger;     /* that has the secrets of gates and what hosts report (follow/ledger.h); NULL: none */
    Accounts *accounts;          /* of those whose approvals count; NULL: there are none */
    struct Through *through;     /* where more may be attached to the image (mirror/through.h); NULL: nowhere */
} Promotion;

typedef struct {
    gboolean moved, refused;
    IngotDigest digest; /* what the channel names, or is to name */
    json_t *gates;      /* array of {"gate", "passed", "why", "mend"}; of a repetition it is empty */
} PromotionResult;
void promotion_result_clear(PromotionResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PromotionResult, promotion_result_clear)

/* A channel that names the image already stays, unless its rollout is stopped: that begins anew, by a move. A
 * repetition (the actor's request has moved the channel already: its answer was lost) does nothing, asks no gate, and
 * ends as the first did. A refusal by gates is no error. INVALID: there is no such channel. NOT_FOUND: nothing is named
 * so. EXISTS: the channel has moved meanwhile, or another pipeline was applied. LIMIT: a rollback has nothing to go
 * back to. */
gboolean promotion_run(const Promotion *promotion, PromotionResult *result, GError **error);
/* Back to what the channel named before (where it was removed: to what it named last), or to another digest that it has
 * named. Only gates with `always` are asked. */
gboolean promotion_roll_back(const Promotion *promotion, PromotionResult *result, GError **error);

/* The digest of a version, tag, channel or digest of a name; NOT_FOUND, with the nearest. */
gboolean promotion_find(Storage *storage, const char *name, const char *from, IngotDigest *digest, GError **error);
/* INVALID, with the nearest channel, where the name has no such one. */
gboolean promotion_check_channel(Storage *storage, const char *name, const char *channel, GError **error);
