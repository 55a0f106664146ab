#include "server/storage/notes.h"

#include <ingot/error.h>

#include "base/crew.h"
#include "server/storage/inside.h"

#define PENDING_MAX 4096u /* notes; more are dropped */

typedef struct {
    Damage damage;    /* pack 0: none. A lost pack: offset is LOST */
    IngotDigest blob; /* else: whose starts these are */
    gint64 sum;
    guint64 *starts;
    guint windows;
} Note;

#define LOST G_MAXUINT64

struct Notes {
    Storage *storage;
    GMutex lock; /* guards what follows */
    GCond changed;
    GThread *thread; /* NULL: nothing has been noted yet */
    GQueue pending;  /* of Note */
    guint writing;   /* of them, at the head, are being written */
    gboolean ends;
};

static void note_free(gpointer data)
{
    Note *note = data;
    g_free(note->starts);
    g_free(note);
}

static gboolean note_write(Change *change, const Note *note, GError **error)
{
    gboolean changed = FALSE, ok;
    if (note->damage.pack == 0) {
        return blobmap_keep_starts(change->writer, &note->blob, note->sum, note->starts, note->windows, error);
    }
    ok = blobmap_mark_damaged(change->writer, &note->damage.digest, note->damage.pack, note->damage.offset, &changed,
                              error);
    change->moved |= changed;
    return ok;
}

static const Note *note_at(Notes *notes, guint at)
{
    g_mutex_lock(&notes->lock);
    const Note *note = g_queue_peek_nth(&notes->pending, at);
    g_mutex_unlock(&notes->lock);
    return note;
}

/* Those at the head, which nobody takes away meanwhile, in one change; a lost pack is a change of its own. */
static void write_all(Notes *notes, guint count)
{
    g_autoptr(GError) error = NULL;
    Change change;
    if (change_begin(notes->storage, &change, &error)) {
        gboolean ok = TRUE;
        for (guint i = 0; ok && i < count; i++) {
            const Note *note = note_at(notes, i);
            ok = note->damage.offset == LOST || note_write(&change, note, &error);
        }
        change_end(&change, ok, ok ? &error : NULL);
    }
    for (guint i = 0; i < count; i++) {
        if (note_at(notes, i)->damage.offset == LOST) {
            blob_pack_lost(notes->storage, note_at(notes, i)->damage.pack);
        }
    }
    if (error != NULL) {
        g_warning("%s (what readers found is not noted for now)", error->message);
    }
}

static gpointer work(gpointer data)
{
    Notes *notes = data;
    g_mutex_lock(&notes->lock);
    for (;;) {
        while (notes->pending.length == 0 && !notes->ends) {
            g_cond_wait(&notes->changed, &notes->lock);
        }
        if (notes->pending.length == 0) {
            break;
        }
        notes->writing = notes->pending.length;
        g_mutex_unlock(&notes->lock);
        write_all(notes, notes->writing);
        g_mutex_lock(&notes->lock);
        for (; notes->writing > 0; notes->writing--) {
            note_free(g_queue_pop_head(&notes->pending));
        }
        g_cond_broadcast(&notes->changed);
    }
    g_mutex_unlock(&notes->lock);
    return NULL;
}

Notes *notes_new(Storage *storage)
{
    Notes *notes = g_new0(Notes, 1);
    notes->storage = storage;
    g_mutex_init(&notes->lock);
    g_cond_init(&notes->changed);
    g_queue_init(&notes->pending);
    return notes;
}

void notes_free(Notes *notes)
{
    g_mutex_lock(&notes->lock);
    notes->ends = TRUE;
    g_cond_broadcast(&notes->changed);
    g_mutex_unlock(&notes->lock);
    if (notes->thread != NULL) {
        g_thread_join(notes->thread);
    }
    g_cond_clear(&notes->changed);
    g_mutex_clear(&notes->lock);
    g_free(notes);
}

static gboolean is_same(const Note *a, const Note *b)
{
    return a->damage.pack == b->damage.pack && a->damage.offset == b->damage.offset &&
           (a->damage.pack != 0 || ingot_digest_equal(&a->blob, &b->blob));
}

/* Takes the note. FALSE: it is there already, or there are too many. */
static gboolean note_add(Notes *notes, Note *note)
{
    g_mutex_lock(&notes->lock);
    gboolean fresh = notes->pending.length < PENDING_MAX;
    for (const GList *link = notes->pending.head; fresh && link != NULL; link = link->next) {
        fresh = !is_same(link->data, note);
    }
    if (fresh && notes->thread == NULL) { /* where there is none, the next reader finds the same again */
        notes->thread = crew_thread("notes", work, notes, NULL);
        fresh = notes->thread != NULL;
    }
    if (fresh) {
        g_queue_push_tail(&notes->pending, note);
        g_cond_broadcast(&notes->changed);
    } else {
        note_free(note);
    }
    g_mutex_unlock(&notes->lock);
    return fresh;
}

gboolean notes_damage(Notes *notes, const Damage *damage)
{
    Note *note = g_new0(Note, 1);
    note->damage = *damage;
    return note_add(notes, note);
}

void notes_lost(Notes *notes, gint64 pack)
{
    Note *note = g_new0(Note, 1);
    note->damage = (Damage){.pack = pack, .offset = LOST};
    note_add(notes, note);
}

void notes_starts(Notes *notes, const BlobMap *map)
{
    Note *note = g_new0(Note, 1);
    note->blob = map->digest;
    note->sum = map->sum;
    note->starts = g_memdup2(map->starts, map->windows * sizeof *map->starts);
    note->windows = map->windows;
    note_add(notes, note);
}

void notes_wait(Notes *notes)
{
    g_mutex_lock(&notes->lock);
    while (notes->pending.length > 0 && notes->thread != g_thread_self()) {
        g_cond_wait(&notes->changed, &notes->lock);
    }
    g_mutex_unlock(&notes->lock);
}
