/* The webhooks of a server: a sender (hooksender.h) for each that the ledger has, which are looked for anew whenever
 * the ledger changes. Of several servers on one folder one delivers, by a lock on DIR/webhooks.lock. */
#pragma once

#include "server/storage/storage.h"
#include "server/webhook/hooks.h"
#include "server/webhook/hooksender.h"

typedef struct Webhooks Webhooks;
/* data: the folder. NULL: the system gives no thread. */
Webhooks *webhooks_start(Storage *storage, Database *ledger, const char *data, GError **error);
void webhooks_stop(Webhooks *webhooks); /* NULL: nothing */

typedef struct {
    guint hooks, failing;
    HookCounts counts; /* since the start */
} WebhookFigures;
void webhooks_figures(Webhooks *webhooks, WebhookFigures *figures);
