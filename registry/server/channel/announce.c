#include "server/channel/announce.h"

#include "server/storage/records.h"
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

/* The nearest base that is not active; *said is what counts of it. */
static const json_t *find_base(const json_t *states, gint64 now, const json_t **said)
{
    const json_t *bases = json_object_get(states, "bases"), *found = NULL;
    for (size_t i = 0; found == NULL && i < json_array_size(bases); i++) {
        const json_t *base = json_array_get(bases, i);
        *said = state_now(json_object_get(base, "body"), now);
        found = *said == NULL ? NULL : base;
    }
    return found;
}

static char *sentence(const char *name, const char *digest, const json_t *said)
{
    g_autofree char *told = lifecycle_tell(said);
    return g_strdup_printf("%s@%s is %s", name, digest, told);
}

static char *header_of(const json_t *said, const char *name, const char *digest)
{
    g_autoptr(json_t) all = json_copy((json_t *)said);
    json_object_del(all, "mirrored");
    json_object_set_new(all, "name", json_string(name));
    json_object_set_new(all, "digest", json_string(digest));
    return lifecycle_write(all);
}

void announce(const json_t *states, const char *name, const IngotDigest *image, gint64 now, Announcement *announcement)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    const json_t *of_base = NULL, *own = state_now(json_object_get(states, "own"), now);
    const json_t *base = find_base(states, now, &of_base);
    *announcement = (Announcement){.withheld = lifecycle_withholds(own)};
    ingot_digest_write_text(image, digest);
    if (own != NULL) {
        announcement->why = sentence(name, digest, own);
        announcement->said = header_of(own, name, digest);
    }
    if (base != NULL) {
        const char *base_name = json_string_value(json_object_get(base, "name"));
        const char *base_digest = json_string_value(json_object_get(base, "digest"));
        g_autofree char *told = sentence(base_name, base_digest, of_base);
        announcement->base = header_of(of_base, base_name, base_digest);
        if (own == NULL) {
            announcement->why = g_strdup_printf("%s@%s stands on a base: %s", name, digest, told);
        }
    }
    announcement->warning = announcement->why == NULL ? NULL : warning_of(announcement->why);
}

static gint64 states_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

gboolean state_stands_in_the_way(Storage *storage, const char *name, const IngotDigest *image, char **why,
                                 GError **error)
{
    g_autofree char *digest = ingot_digest_to_text(image);
    g_autoptr(json_t) body = storage_record(storage, STATE_RECORD, name, digest, error);
    const json_t *said = state_now(body, states_now());
    gboolean withheld = lifecycle_withholds(said);
    *why = withheld ? sentence(name, digest, said) : NULL;
    return withheld;
}

gboolean state_mark(Storage *storage, const char *name, const IngotDigest *image, char **mark, GError **error)
{
    GError *problem = NULL;
    const json_t *of_base = NULL;
    gint64 now = states_now();
    g_autoptr(json_t) states = storage_states(storage, name, image, &problem);
    *mark = NULL;
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    const json_t *own = state_now(json_object_get(states, "own"), now), *base = find_base(states, now, &of_base);
    g_autofree char *told = own == NULL && base == NULL ? NULL : lifecycle_tell(own == NULL ? of_base : own);
    *mark = own != NULL || base == NULL
                ? g_steal_pointer(&told)
                : g_strdup_printf("its base %s@%s is %s", json_string_value(json_object_get(base, "name")),
                                  json_string_value(json_object_get(base, "digest")), told);
    return TRUE;
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
