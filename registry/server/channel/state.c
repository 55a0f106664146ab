#include "server/channel/state.h"

#include "base/text.h"

static gboolean is_mirrored(const json_t *said)
{
    return json_is_true(json_object_get(said, "mirrored"));
}

/* The place of the word of one side that counts, counted from one; 0: none. */
static size_t place_at(const json_t *list, gboolean mirrored, gint64 now)
{
    size_t i = json_array_size(list);
    while (i > 0 && (is_mirrored(json_array_get(list, i - 1)) != mirrored ||
                     lifecycle_from(json_array_get(list, i - 1)) > now)) {
        i--;
    }
    return i;
}

static const json_t *side_at(const json_t *list, gboolean mirrored, gint64 now)
{
    size_t place = place_at(list, mirrored, now);
    return place == 0 ? NULL : json_array_get(list, place - 1);
}

/* The stricter of both sides; it may be active. */
static const json_t *word_at(const json_t *list, gint64 now)
{
    const json_t *own = side_at(list, FALSE, now), *theirs = side_at(list, TRUE, now);
    return own == NULL || lifecycle_of(theirs) > lifecycle_of(own) ? theirs : own;
}

/* --- adding --- */

/* Takes the oldest words of a side out, until there is room for one more. */
static void make_room(json_t *list, gboolean mirrored, gint64 now)
{
    size_t count = 0, counts = place_at(list, mirrored, now);
    for (size_t i = 0; i < json_array_size(list); i++) {
        count += is_mirrored(json_array_get(list, i)) == mirrored ? 1 : 0;
    }
    for (size_t i = 0; count >= STATES_MOST && i < json_array_size(list);) {
        if (is_mirrored(json_array_get(list, i)) != mirrored || i + 1 == counts) {
            i++;
            continue;
        }
        json_array_remove(list, i);
        counts -= counts > i ? 1 : 0;
        count--;
    }
}

json_t *state_add(const json_t *body, const json_t *said, gint64 now)
{
    json_t *list = json_copy(json_object_get(body, "said"));
    if (!json_is_array(list)) {
        json_decref(list);
        list = json_array();
    }
    make_room(list, is_mirrored(said), now);
    json_array_append(list, (json_t *)said);
    return ingot_json_pack("{s:o}", "said", list);
}

/* Whether both say the same, from whenever on. */
static gboolean says_the_same(const json_t *one, const json_t *other)
{
    g_autoptr(json_t) first = json_copy((json_t *)one), second = json_copy((json_t *)other);
    json_object_del(first, "from");
    json_object_del(second, "from");
    return json_equal(first, second);
}

json_t *state_mirror(const json_t *body, const json_t *there, gint64 now)
{
    const json_t *last = side_at(json_object_get(body, "said"), TRUE, now);
    gboolean active = lifecycle_of(there) == LIFECYCLE_ACTIVE;
    if (active && lifecycle_of(last) == LIFECYCLE_ACTIVE) {
        return NULL;
    }
    g_autoptr(json_t) said = active
                                 ? lifecycle_say(LIFECYCLE_ACTIVE, "the other registry has restored it", NULL, now, now)
                                 : json_copy((json_t *)there);
    g_autofree char *from = ingot_text_time(MIN(lifecycle_from(said), now));
    json_object_del(said, "name");
    json_object_del(said, "digest");
    json_object_set_new(said, "mirrored", json_true());
    ingot_json_set_string(said, "from", from);
    return last != NULL && says_the_same(last, said) ? NULL : g_steal_pointer(&said);
}

/* --- what counts --- */

const json_t *state_now(const json_t *body, gint64 now)
{
    const json_t *said = word_at(json_object_get(body, "said"), now);
    return lifecycle_of(said) == LIFECYCLE_ACTIVE ? NULL : said;
}

const json_t *state_next(const json_t *body, gint64 now)
{
    const json_t *list = json_object_get(body, "said"), *counts = word_at(list, now), *next = NULL;
    gint64 nearest = G_MAXINT64;
    for (size_t i = 0; i < json_array_size(list); i++) {
        gint64 from = lifecycle_from(json_array_get(list, i));
        const json_t *then = from > now && from < nearest ? word_at(list, from) : counts;
        if (then != counts) {
            next = then;
            nearest = from;
        }
    }
    return next;
}
