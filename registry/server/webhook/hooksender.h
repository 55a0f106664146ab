/* A sender: the thread that delivers the events of one webhook, one after another.
 *
 * It reads the log of events from the webhook's place on, which moves in the ledger only when an event was delivered or
 * given up: each is therefore delivered at least once, and in order, whatever is killed when. A delivery that fails is
 * tried again after a time that doubles from a second to an hour, for a day. Nobody waits for it. */
#pragma once

#include "server/storage/storage.h"
#include "server/webhook/hookpost.h"
#include "server/webhook/hooks.h"

#define HOOK_TRIED_FOR ((gint64)24 * 3600) /* seconds */

/* Seconds until the next try after so many that failed; chance is 0 to 1. From half of that time to the whole and a
 * half, so that receivers which come back are not met by all at once. */
double hook_pause(guint tries, double chance);
/* Whether no more tries are made of an event of that time, whose receiver has failed since. */
gboolean hook_gives_up(gint64 event, gint64 since, gint64 now);
/* Where a webhook stands after a try of an event of that time: whether the event is done with, as one is too that is
 * given up here. */
gboolean hook_settle(Hook *hook, gint64 event, HookTry *tried);

/* Sends once: what is kept of it is in *tried (hook_try_clear). FALSE: INTERRUPTED, and nothing is to be kept. */
gboolean hook_send(const Hook *hook, guint64 number, const char *kind, const char *name, const char *id,
                   const char *body, HookTry *tried, GError **error);

typedef struct {
    guint64 delivered, failed, given_up; /* tries: failed */
} HookCounts;

typedef struct HookSender HookSender;
/* Takes the webhook over. NULL: the log can't be read, or the system gives no thread. */
HookSender *hook_sender_start(Storage *storage, Database *ledger, Hook *hook, GError **error);
void hook_sender_stop(HookSender *sender); /* NULL: nothing; at once, whatever it waits for */
gint64 hook_sender_id(const HookSender *sender);
/* Adds what it has done since it began; whether its receiver fails now. */
gboolean hook_sender_count(HookSender *sender, HookCounts *counts);
