#include "server/channel/announce.h"

#include "server/storage/records.h"
#include "server/storage/several.h"
#include "server/storage/states.h"

void announcement_clear(Announcement *announcement)
{
    g_free(announcement->why);
    free(announcement->said);
    free(announcement->base);
    g_free(announcement->warning);
}

/* The text of a header: printable ASCII. */
static char *warning_of(const char *text)
{
    GString *out = g_string_new("299 - \"");
    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar one = g_utf8_get_char(p);
        if (one == '"' || one == '\\') {
            g_string_append_c(out, '\\');
        }
        g_string_append_c(out, one >= ' ' && one <= '~' ? (char)one : '?');
    }
    g_string_append_c(out, '"');
    return g_string_free(out, FALSE);
}

/* The nearest base that is not active, by the strictest of what repositories say of it; *said is that. */
static const json_t *find_base(const json_t *states, gint64 now, const json_t **said)
{
    const json_t *bases = json_object_get(states, "bases"), *found = NULL;
    for (size_t i = 0; i < json_array_size(bases); i++) {
        const json_t *base = json_array_get(bases, i), *counts = state_of_base(base, now);
        if (found != NULL && !json_equal(json_object_get(found, "digest"), json_object_get(base, "digest"))) {
            break;
        }
        if (counts != NULL && (found == NULL || lifecycle_of(counts) > lifecycle_of(*said))) {
            found = base;
            *said = counts;
        }
    }
    return found;
}

/* The word, as a header has it: with what it is of. */
static json_t *word_of(const json_t *said, const char *name, const char *digest)
{
    json_t *all = json_copy((json_t *)said);
    json_object_del(all, "mirrored");
    json_object_del(all, "everywhere");
    ingot_json_set_string(all, "name", name);
    ingot_json_set_string(all, "digest", digest);
    return all;
}

/* The same of the base that find_base finds, without what whoever asks may not know; NULL: all are active. */
static json_t *word_of_base(const json_t *states, gint64 now, AnnounceSees sees, gconstpointer user)
{
    const json_t *said = NULL, *base = find_base(states, now, &said);
    const char *name = json_string_value(json_object_get(base, "name"));
    gboolean seen = base != NULL && sees(name, user);
    json_t *word =
        base == NULL ? NULL : word_of(said, seen ? name : NULL, json_string_value(json_object_get(base, "digest")));
    if (!seen) {
        json_object_del(word, "by");
        json_object_del(word, "reason");
    }
    return word;
}

json_t *state_word(const json_t *states, const char *name, const IngotDigest *image, gint64 now, AnnounceSees sees,
                   gconstpointer user)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    const char *where = NULL;
    const json_t *said = state_of_image(states, now, &where);
    if (said == NULL) {
        return NULL;
    }
    ingot_digest_write_text(image, digest);
    json_t *word = word_of(said, name, digest);
    if (where != NULL && sees != NULL && sees(where, user)) {
        ingot_json_set_string(word, "where", where);
    } else if (where != NULL) {
        json_object_del(word, "by");
        json_object_del(word, "reason");
    }
    return word;
}

/* "revoked by alice, …: CVE-1 (said of it in team/base)" */
static char *tell(const json_t *word)
{
    const char *where = json_string_value(json_object_get(word, "where"));
    g_autofree char *told = lifecycle_tell(word);
    return g_strdup_printf("%s%s%s%s", told, where == NULL ? "" : " (said of it in ", where == NULL ? "" : where,
                           where == NULL ? "" : ")");
}

/* "team/web@sha256:… is revoked by alice, …" */
static char *sentence(const json_t *word)
{
    const char *name = json_string_value(json_object_get(word, "name"));
    g_autofree char *told = tell(word);
    return g_strdup_printf("%s%s%s is %s", name == NULL ? "" : name, name == NULL ? "" : "@",
                           json_string_value(json_object_get(word, "digest")), told);
}

void announce(const json_t *states, const char *name, const IngotDigest *image, gint64 now, AnnounceSees sees,
              gconstpointer user, Announcement *announcement)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    g_autoptr(json_t) own = state_word(states, name, image, now, sees, user);
    g_autoptr(json_t) base = word_of_base(states, now, sees, user);
    *announcement = (Announcement){.withheld = lifecycle_withholds(own)};
    ingot_digest_write_text(image, digest);
    if (own != NULL) {
        announcement->why = sentence(own);
        announcement->said = lifecycle_write(own);
    } else if (base != NULL) {
        g_autofree char *told = sentence(base);
        announcement->why = g_strdup_printf("%s@%s stands on a base: %s", name, digest, told);
    }
    announcement->base = base == NULL ? NULL : lifecycle_write(base);
    announcement->warning = announcement->why == NULL ? NULL : warning_of(announcement->why);
}

static gint64 states_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

gboolean state_stands_in_the_way(Storage *storage, const char *name, const IngotDigest *image, char **why,
                                 GError **error)
{
    g_autoptr(json_t) states = storage_states_of(storage, name, image, error);
    g_autoptr(json_t) word = state_word(states, name, image, states_now(), NULL, NULL);
    gboolean withheld = lifecycle_withholds(word);
    *why = withheld ? sentence(word) : NULL;
    return withheld;
}

gboolean state_keeps_from_channels(Storage *storage, const char *name, const IngotDigest *image, const GArray *several,
                                   char **why, GError **error)
{
    GError *problem = NULL;
    gboolean withheld = state_stands_in_the_way(storage, name, image, why, &problem);
    g_autoptr(GArray) read =
        several == NULL && !withheld && problem == NULL ? storage_several(storage, name, image, &problem) : NULL;
    const GArray *all = several == NULL ? read : several;
    for (guint i = 0; all != NULL && i < all->len && !withheld && problem == NULL; i++) {
        withheld = state_stands_in_the_way(storage, name, &g_array_index(all, IngotDigest, i), why, &problem);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return withheld;
}

/* of_index: the image is one of an index's. */
static gboolean mark_image(Storage *storage, const char *name, const IngotDigest *image, gboolean of_index,
                           AnnounceSees sees, gconstpointer user, char **mark, GError **error)
{
    GError *problem = NULL;
    gint64 now = states_now();
    g_autoptr(json_t) states = storage_states(storage, name, image, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_autoptr(json_t) own = state_word(states, name, image, now, sees, user);
    g_autoptr(json_t) base = own == NULL ? word_of_base(states, now, sees, user) : NULL;
    g_autofree char *told = own != NULL && !of_index ? tell(own)
                            : own != NULL            ? sentence(own)
                            : base != NULL           ? sentence(base)
                                                     : NULL;
    *mark = told == NULL               ? NULL
            : own != NULL && !of_index ? g_steal_pointer(&told)
                                       : g_strdup_printf("its %s %s", own != NULL ? "image" : "base", told);
    return TRUE;
}

gboolean state_mark(Storage *storage, const char *name, const IngotDigest *image, AnnounceSees sees, gconstpointer user,
                    char **mark, GError **error)
{
    *mark = NULL;
    if (!mark_image(storage, name, image, FALSE, sees, user, mark, error)) {
        return FALSE;
    }
    g_autoptr(GArray) several = *mark == NULL ? storage_several(storage, name, image, error) : NULL;
    gboolean ok = *mark != NULL || several != NULL;
    for (guint i = 0; ok && *mark == NULL && i < MIN(several->len, MARKED_MOST); i++) {
        ok = mark_image(storage, name, &g_array_index(several, IngotDigest, i), TRUE, sees, user, mark, error);
    }
    return ok;
}

static json_t *add_word(const json_t *body, gpointer said)
{
    return state_add(body, said, states_now());
}

gboolean state_say(Storage *storage, const StorageActor *actor, const char *name, const IngotDigest *image,
                   const json_t *said, GError **error)
{
    g_autofree char *digest = ingot_digest_to_text(image);
    return storage_change_record(storage, actor, STATE_RECORD, name, digest, add_word, (gpointer)said, error);
}

static json_t *add_mirrored(const json_t *body, gpointer there)
{
    gint64 now = states_now();
    g_autoptr(json_t) said = state_mirror(body, there, now);
    return said == NULL ? NULL : state_add(body, said, now);
}

gboolean state_hear(Storage *storage, const StorageActor *actor, const char *name, const IngotDigest *image,
                    const json_t *there, GError **error)
{
    GError *problem = NULL;
    g_autofree char *digest = ingot_digest_to_text(image);
    g_autoptr(json_t) body = storage_record(storage, STATE_RECORD, name, digest, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    /* Nearly always nothing is new, and nobody has to wait for the writer. */
    g_autoptr(json_t) said = state_mirror(body, there, states_now());
    return said == NULL ||
           storage_change_record(storage, actor, STATE_RECORD, name, digest, add_mirrored, (gpointer)there, error);
}
