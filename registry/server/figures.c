#include "server/figures.h"

#include "server/http/metrics.h"
#include "server/server.h"
#include "server/storage/storage.h"
#include "server/upkeep/upkeep.h"
#include "server/views/view.h"
#include "server/webhook/webhooks.h"

/* Whoever pushes a guess to a repository of his own sees by an exact figure whether somebody else has the same bytes.
 * What everybody may read is therefore rounded down to the nearest of 1, 1.5, 2, 3, 4, 6, 8, …: seldom does a push
 * show, and to make it show takes as much again as half of all that is stored. */
static double rounded(double value, gboolean exact)
{
    double step = 1;
    if (exact || value < 2) {
        return value;
    }
    while (step * 2 <= value) {
        step *= 2;
    }
    return value < step * 1.5 ? step : step * 1.5;
}

static void add_size(GString *text, const char *name, const char *type, const char *help, guint64 value, gboolean exact)
{
    metrics_add(text, name, type, help, rounded((double)value, exact));
}

static void add_storage(GString *text, Storage *storage, gboolean exact)
{
    StorageStats stats;
    if (!storage_stats(storage, &stats, NULL)) {
        return;
    }
    add_size(text, "ingot_pieces", "gauge", "Distinct pieces.", stats.pieces, exact);
    add_size(text, "ingot_blobs", "gauge", "Distinct blobs.", stats.blobs, exact);
    add_size(text, "ingot_blob_bytes", "gauge", "Bytes of all blobs, each once.", stats.logical, exact);
    add_size(text, "ingot_piece_bytes", "gauge", "Bytes of all pieces.", stats.stored, exact);
    add_size(text, "ingot_pack_bytes", "gauge", "Bytes of the packs, dead ones too.", stats.packed, exact);
    metrics_add(text, "ingot_dedup_ratio", "gauge", "Bytes of blobs for each byte of pieces.",
                stats.stored == 0 ? 1 : rounded((double)stats.logical, exact) / rounded((double)stats.stored, exact));
    metrics_add(text, "ingot_uploads_open", "gauge", "Uploads that have begun and not ended.", stats.uploads);
    metrics_add(text, "ingot_pieces_damaged", "gauge", "Pieces found damaged and not yet replaced.",
                (double)stats.damaged);
    metrics_add(text, "ingot_damage_found_total", "counter", "How often a read found damage.",
                (double)stats.damage_found);
}

static void add_upkeep(GString *text, Upkeep *upkeep, gboolean exact)
{
    UpkeepFigures figures;
    upkeep_figures(upkeep, &figures);
    metrics_add(text, "ingot_gc_runs_total", "counter", "Collections of garbage.", (double)figures.collections);
    add_size(text, "ingot_gc_pieces_total", "counter", "Pieces that they removed.", figures.collected_pieces, exact);
    add_size(text, "ingot_gc_freed_bytes_total", "counter", "Bytes by which packs shrank.", figures.freed_bytes, exact);
    metrics_add(text, "ingot_gc_last_seconds", "gauge", "When the last one ended, since 1970; 0: never.",
                (double)figures.last_collection);
    metrics_add(text, "ingot_scrub_runs_total", "counter", "Scrubs.", (double)figures.scrubs);
    add_size(text, "ingot_scrub_bytes_total", "counter", "Bytes that they read.", figures.scrubbed_bytes, exact);
    metrics_add(text, "ingot_scrub_damaged", "gauge", "Damaged pieces of the last one.", (double)figures.damaged);
    metrics_add(text, "ingot_scrub_repaired", "gauge", "Pieces that it repaired.", (double)figures.repaired);
    metrics_add(text, "ingot_scrub_inconsistencies", "gauge", "What did not agree.", (double)figures.inconsistencies);
    metrics_add(text, "ingot_scrub_last_seconds", "gauge", "When the last one ended, since 1970; 0: never.",
                (double)figures.last_scrub);
}

static void add_webhooks(GString *text, Webhooks *webhooks)
{
    WebhookFigures figures;
    webhooks_figures(webhooks, &figures);
    metrics_add(text, "ingot_webhooks", "gauge", "Webhooks.", figures.hooks);
    metrics_add(text, "ingot_webhooks_failing", "gauge", "Webhooks whose last try failed.", figures.failing);
    metrics_add(text, "ingot_webhook_deliveries_total", "counter", "Events that receivers took.",
                (double)figures.counts.delivered);
    metrics_add(text, "ingot_webhook_failures_total", "counter", "Tries that failed.", (double)figures.counts.failed);
    metrics_add(text, "ingot_webhook_given_up_total", "counter", "Events that no receiver took in a day.",
                (double)figures.counts.given_up);
}

static void figures_write(GString *text, struct Server *server, gboolean exact)
{
    add_storage(text, server->storage, exact);
    metrics_add(text, "ingot_unpacked_bytes", "gauge", "Bytes that are kept of views that are read.",
                (double)views_unpacked(server->views));
    add_upkeep(text, server->upkeep, exact);
    add_webhooks(text, server->webhooks);
}

static gboolean figures_ready(struct Server *server, GError **error)
{
    return storage_writable(server->storage, error);
}

const StatusSources figures_sources = {.figures = figures_write, .ready = figures_ready};
