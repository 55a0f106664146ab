#include "server/channel/state.h"

json_t *state_add(const json_t *body, const json_t *said)
{
    json_t *list = json_copy(json_object_get(body, "said"));
    if (!json_is_array(list)) {
        json_decref(list);
        list = json_array();
    }
    while (json_array_size(list) >= STATES_MOST) {
        json_array_remove(list, 0);
    }
    json_array_append(list, (json_t *)said);
    return ingot_json_pack("{s:o}", "said", list);
}

/* The place of the word that counts, counted from one; 0: none. */
static size_t place_now(const json_t *list, gint64 now)
{
    size_t i = json_array_size(list);
    while (i > 0 && lifecycle_from(json_array_get(list, i - 1)) > now) {
        i--;
    }
    return i;
}

const json_t *state_now(const json_t *body, gint64 now)
{
    const json_t *list = json_object_get(body, "said");
    size_t place = place_now(list, now);
    const json_t *said = place == 0 ? NULL : json_array_get(list, place - 1);
    return lifecycle_of(said) == LIFECYCLE_ACTIVE ? NULL : said;
}

/* Behind the word that counts now the last one wins once its time has come; until then an earlier one may. */
const json_t *state_next(const json_t *body, gint64 now)
{
    const json_t *list = json_object_get(body, "said"), *next = NULL;
    for (size_t i = place_now(list, now); i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (next == NULL || lifecycle_from(one) <= lifecycle_from(next)) {
            next = one;
        }
    }
    return next;
}
