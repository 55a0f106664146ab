#include "server/channel/state.h"

#include "base/text.h"

/* Which words: those said here, those of another registry, or of the first those said by whoever may everywhere. */
typedef enum { SIDE_HERE, SIDE_THERE, SIDE_EVERYWHERE } Side;

static Side side_of(const json_t *said)
{
    return json_is_true(json_object_get(said, "mirrored")) ? SIDE_THERE : SIDE_HERE;
}

static gboolean is_of(const json_t *said, Side side)
{
    return side == SIDE_EVERYWHERE ? json_is_true(json_object_get(said, "everywhere")) : side_of(said) == side;
}

/* The word of one side that counts; NULL: none. */
static const json_t *side_at(const json_t *list, Side side, gint64 now)
{
    size_t i = json_array_size(list);
    while (i > 0 && (!is_of(json_array_get(list, i - 1), side) || lifecycle_from(json_array_get(list, i - 1)) > now)) {
        i--;
    }
    return i == 0 ? NULL : json_array_get(list, i - 1);
}

/* Whether an older version has kept the word, which did not ask whether it was said everywhere. */
static gboolean is_old(const json_t *said)
{
    return said != NULL && side_of(said) == SIDE_HERE && json_object_get(said, "everywhere") == NULL;
}

/* The word that counts everywhere. An old one does, as it did, until another is said here. */
static const json_t *everywhere_at(const json_t *list, gint64 now)
{
    const json_t *last = side_at(list, SIDE_HERE, now);
    return is_old(last) ? last : side_at(list, SIDE_EVERYWHERE, now);
}

static const json_t *stricter(const json_t *own, const json_t *theirs)
{
    return own == NULL || lifecycle_of(theirs) > lifecycle_of(own) ? theirs : own;
}

/* Of both sides; it may be active. */
static const json_t *word_at(const json_t *list, gint64 now)
{
    return stricter(side_at(list, SIDE_HERE, now), side_at(list, SIDE_THERE, now));
}

/* --- adding --- */

/* Whose room the word takes: those that were said everywhere have one of their own. */
static Side room_of(const json_t *said)
{
    return is_of(said, SIDE_EVERYWHERE) ? SIDE_EVERYWHERE : side_of(said);
}

static size_t count_room(const json_t *list, Side room)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        count += room_of(json_array_get(list, i)) == room ? 1 : 0;
    }
    return count;
}

/* The place of the room's word that goes first, counted from one: the oldest that can't count any more, because a later
 * one of its side begins no later than it would; where all can, the oldest that does not count now. */
static size_t place_to_go(const json_t *list, Side room, gint64 now)
{
    size_t past = 0, waiting = 0;
    gint64 next = G_MAXINT64; /* the soonest that a later one begins */
    for (size_t i = json_array_size(list); i > 0; i--) {
        const json_t *said = json_array_get(list, i - 1);
        gint64 from = lifecycle_from(said);
        if (room_of(said) == room) {
            past = MAX(from, now) >= next ? i : past;
            waiting = from > now ? i : waiting;
        }
        next = is_of(said, room) ? MIN(next, from) : next;
    }
    return past > 0 ? past : waiting;
}

/* Takes words of a room out, until there is room for one more. */
static void make_room(json_t *list, Side room, gint64 now)
{
    for (size_t count = count_room(list, room); count >= STATES_MOST; count--) {
        json_array_remove(list, place_to_go(list, room, now) - 1);
    }
}

json_t *state_add(const json_t *body, const json_t *said, gint64 now)
{
    json_t *list = json_copy(json_object_get(body, "said"));
    if (!json_is_array(list)) {
        json_decref(list);
        list = json_array();
    }
    make_room(list, room_of(said), now);
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
    const json_t *last = side_at(json_object_get(body, "said"), SIDE_THERE, now);
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

/* Without what an older version has kept: nobody knows who may have said it. */
static const json_t *said_everywhere_at(const json_t *list, gint64 now)
{
    return is_old(side_at(list, SIDE_HERE, now)) ? NULL : side_at(list, SIDE_EVERYWHERE, now);
}

const json_t *state_of_image(const json_t *states, gint64 now, const char **where)
{
    const json_t *others = json_object_get(states, "others"), *said = state_now(json_object_get(states, "own"), now);
    *where = NULL;
    for (size_t i = 0; i < json_array_size(others); i++) {
        const json_t *other = json_array_get(others, i);
        const json_t *theirs = said_everywhere_at(json_object_get(json_object_get(other, "body"), "said"), now);
        if (lifecycle_of(theirs) > lifecycle_of(said)) {
            said = theirs;
            *where = json_string_value(json_object_get(other, "name"));
        }
    }
    return said;
}

const json_t *state_of_base(const json_t *base, gint64 now)
{
    const json_t *body = json_object_get(base, "body"), *list = json_object_get(body, "said");
    if (json_is_true(json_object_get(base, "named"))) {
        return state_now(body, now);
    }
    gboolean mirror = json_is_true(json_object_get(base, "mirror"));
    const json_t *said = stricter(everywhere_at(list, now), mirror ? side_at(list, SIDE_THERE, now) : NULL);
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
