#include "server/figures.h"

#include "server/http/metrics.h"
#include "server/server.h"
#include "server/storage/storage.h"
#include "server/upkeep/upkeep.h"
#include "server/views/view.h"

static void add_storage(GString *text, Storage *storage)
{
    StorageStats stats;
    if (!storage_stats(storage, &stats, NULL)) {
        return;
    }
    metrics_add(text, "ingot_pieces", "gauge", "Distinct pieces.", (double)stats.pieces);
    metrics_add(text, "ingot_blobs", "gauge", "Distinct blobs.", (double)stats.blobs);
    metrics_add(text, "ingot_blob_bytes", "gauge", "Bytes of all blobs, each once.", (double)stats.logical);
    metrics_add(text, "ingot_piece_bytes", "gauge", "Bytes of all pieces.", (double)stats.stored);
    metrics_add(text, "ingot_pack_bytes", "gauge", "Bytes of the packs, dead ones too.", (double)stats.packed);
    metrics_add(text, "ingot_dedup_ratio", "gauge", "Bytes of blobs for each byte of pieces.",
                stats.stored == 0 ? 1 : (double)stats.logical / (double)stats.stored);
    metrics_add(text, "ingot_uploads_open", "gauge", "Uploads that have begun and not ended.", stats.uploads);
    metrics_add(text, "ingot_pieces_damaged", "gauge", "Pieces found damaged and not yet replaced.",
                (double)stats.damaged);
    metrics_add(text, "ingot_damage_found_total", "counter", "How often a read found damage.",
                (double)stats.damage_found);
}

static void add_upkeep(GString *text, Upkeep *upkeep)
{
    UpkeepFigures figures;
    upkeep_figures(upkeep, &figures);
    metrics_add(text, "ingot_gc_runs_total", "counter", "Collections of garbage.", (double)figures.collections);
    metrics_add(text, "ingot_gc_pieces_total", "counter", "Pieces that they removed.",
                (double)figures.collected_pieces);
    metrics_add(text, "ingot_gc_freed_bytes_total", "counter", "Bytes by which packs shrank.",
                (double)figures.freed_bytes);
    metrics_add(text, "ingot_gc_last_seconds", "gauge", "When the last one ended, since 1970; 0: never.",
                (double)figures.last_collection);
    metrics_add(text, "ingot_scrub_runs_total", "counter", "Scrubs.", (double)figures.scrubs);
    metrics_add(text, "ingot_scrub_bytes_total", "counter", "Bytes that they read.", (double)figures.scrubbed_bytes);
    metrics_add(text, "ingot_scrub_damaged", "gauge", "Damaged pieces of the last one.", (double)figures.damaged);
    metrics_add(text, "ingot_scrub_repaired", "gauge", "Pieces that it repaired.", (double)figures.repaired);
    metrics_add(text, "ingot_scrub_inconsistencies", "gauge", "What did not agree.", (double)figures.inconsistencies);
    metrics_add(text, "ingot_scrub_last_seconds", "gauge", "When the last one ended, since 1970; 0: never.",
                (double)figures.last_scrub);
}

static void figures_write(GString *text, struct Server *server)
{
    add_storage(text, server->storage);
    metrics_add(text, "ingot_unpacked_bytes", "gauge", "Bytes that are kept of views that are read.",
                (double)views_unpacked(server->views));
    add_upkeep(text, server->upkeep);
}

static gboolean figures_ready(struct Server *server, GError **error)
{
    return storage_writable(server->storage, error);
}

const StatusSources figures_sources = {.figures = figures_write, .ready = figures_ready};
