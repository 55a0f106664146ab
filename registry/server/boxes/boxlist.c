#include "server/boxes/boxlist.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/boxes/boxclaims.h"
#include "server/boxes/boxrelease.h"
#include "server/server.h"
#include "server/storage/channels.h"
#include "server/views/asboxes.h"
#include "server/views/entries.h"
#include "server/views/patience.h"
#include "vagrant/version.h"

/* A list in the making. */
typedef struct {
    Request *request;
    const BoxSource *source;
    BoxList *list;
    gint64 until; /* monotonic: it waits for sums that are not known yet */
} Making;

BoxList *boxlist_ref(BoxList *list)
{
    g_atomic_ref_count_inc(&list->references);
    return list;
}

void boxlist_unref(BoxList *list)
{
    if (g_atomic_ref_count_dec(&list->references)) {
        vagrant_box_free(list->box);
        g_clear_pointer(&list->text, g_bytes_unref);
        g_free(list->tag);
        g_free(list);
    }
}

/* --- an image --- */

/* Sums that are not known are asked for. FALSE: one can't be made; *known: all are known by now. */
static gboolean wait_for_sum(Making *making, const char *reference, const AsBox *box, gboolean *known)
{
    const WarmWish wish = {.name = making->source->name,
                           .reference = reference,
                           .format = box->form->format,
                           .sums = TRUE,
                           .listed = TRUE};
    WarmAnswer answer = patience_wait(making->request, &wish, making->until, NULL);
    *known = *known && answer != WARM_LATER;
    return answer != WARM_FAILED;
}

/* Drops what can't be made. What is at an upstream alone is listed without a sum. */
static gboolean complete(Making *making, const IngotDigest *image, AsBoxes *boxes)
{
    g_autofree char *reference = ingot_digest_to_text(image);
    gboolean known = TRUE;
    for (guint i = boxes->boxes->len; i > 0; i--) {
        const AsBox *box = &g_array_index(boxes->boxes, AsBox, i - 1);
        if (*box->sum == '\0' && boxes->is_here ? !wait_for_sum(making, reference, box, &known)
                                                : *box->sum == '\0' && !making->source->there) {
            g_array_remove_index(boxes->boxes, i - 1);
        } else {
            known = known && (*box->sum != '\0' || boxes->is_here);
        }
    }
    return known;
}

/* What the image is as boxes; NULL: it can't be had. */
static AsBoxes *find_boxes(Making *making, const IngotDigest *image)
{
    g_autoptr(GError) error = NULL;
    Views *views = making->request->server->views;
    const char *name = making->source->name;
    g_autoptr(AsBoxes) boxes = as_boxes(views, name, image, &error);
    making->list->is_busy = making->list->is_busy || g_error_matches(error, VIEW_ERROR, VIEW_ERROR_BUSY);
    if (boxes == NULL || boxes->is_whole) {
        return g_steal_pointer(&boxes);
    }
    if (!complete(making, image, boxes)) {
        making->list->is_whole = FALSE;
        return g_steal_pointer(&boxes);
    }
    g_autoptr(AsBoxes) whole = as_boxes(views, name, image, NULL); /* with the sums that were waited for */
    return whole != NULL && whole->is_whole ? g_steal_pointer(&whole) : g_steal_pointer(&boxes);
}

/* --- a version --- */

static void read_times(const json_t *body, gint64 *created, gint64 *updated)
{
    *created = json_integer_value(json_object_get(body, "created"));
    *updated = json_integer_value(json_object_get(body, "updated"));
}

/* The default is what a machine of another architecture takes too: only what most machines can run, unless its
 * publisher has said, who may say otherwise later: no word for a channel. */
static void describe(const BoxSource *source, VagrantProvider *provider, const AsBoxes *boxes,
                     const BoxProviderRecord *record)
{
    provider->architecture = g_strdup(record == NULL ? boxes->architecture : record->architecture);
    provider->is_default =
        strcmp(provider->architecture, "amd64") == 0 || strcmp(provider->architecture, BOX_UNKNOWN) == 0;
    if (record != NULL) {
        const json_t *said = source->channel != NULL ? NULL : json_object_get(record->body, "default");
        provider->is_default = said == NULL ? provider->is_default : json_is_true(said);
        read_times(record->body, &provider->created, &provider->updated);
    }
}

/* An image as a box in a version. */
typedef struct {
    const AsBoxes *boxes;
    const AsBox *box;
    const char *reference; /* the image's digest, as text */
} ListedBox;

static void add_box(const Making *making, VagrantVersion *version, const ListedBox *listed,
                    const BoxProviderRecord *record)
{
    const VagrantForm *form = listed->box->form;
    g_autoptr(VagrantProvider) provider = vagrant_provider_new(form->provider);
    provider->created = version->created;
    provider->updated = version->updated;
    describe(making->source, provider, listed->boxes, record);
    provider->url =
        g_strdup_printf(BOX_FORMATS "%s/%s/%s/%s", making->source->name, listed->reference, form->format, form->file);
    if (*listed->box->sum != '\0') {
        provider->checksum = g_strdup(listed->box->sum);
        provider->checksum_type = g_strdup("sha256");
    }
    if (vagrant_version_provider(version, provider->name, provider->architecture) == NULL) {
        g_ptr_array_add(version->providers, g_steal_pointer(&provider));
    }
}

/* Whether the record is of a box that was uploaded and became that. */
static gboolean is_of(const BoxProviderRecord *record, const ListedBox *listed)
{
    const char *became = json_string_value(json_object_get(record->body, "image"));
    return g_strcmp0(became, listed->reference) == 0 && vagrant_form_of(record->provider) == listed->box->form;
}

/* One file may have been uploaded for several architectures. FALSE: no record is of it. */
static gboolean add_by_records(const Making *making, VagrantVersion *version, const ListedBox *listed)
{
    gboolean any = FALSE;
    const GPtrArray *records = box_records_providers(making->source->records, version->version);
    for (guint i = 0; records != NULL && i < records->len; i++) {
        const BoxProviderRecord *record = g_ptr_array_index(records, i);
        if (is_of(record, listed)) {
            add_box(making, version, listed, record);
            any = TRUE;
        }
    }
    return any;
}

/* only: as the box that it tells of alone; NULL: as all. */
static void add_image(Making *making, VagrantVersion *version, const IngotDigest *image, const BoxProviderRecord *only)
{
    g_autoptr(AsBoxes) boxes = find_boxes(making, image);
    g_autofree char *reference = ingot_digest_to_text(image);
    for (guint i = 0; boxes != NULL && i < boxes->boxes->len; i++) {
        const ListedBox listed = {boxes, &g_array_index(boxes->boxes, AsBox, i), reference};
        if (only != NULL && is_of(only, &listed)) {
            add_box(making, version, &listed, only);
        } else if (only == NULL && !add_by_records(making, version, &listed)) {
            add_box(making, version, &listed, NULL);
        }
    }
}

/* A version that is released has its images by its tag alone; its record tells of one that is yet to come to that. */
static gboolean is_unreleased(const Making *making, const VagrantVersion *version, const BoxProviderRecord *record)
{
    const BoxProviderKey key = {record->version, record->provider, record->architecture};
    return version->status == VAGRANT_UNRELEASED ||
           box_is_draft(making->request->server->storage, making->source->name, &key);
}

/* A box that is an image here has its form's name. */
static gboolean is_added(const VagrantVersion *version, const BoxProviderRecord *record)
{
    gboolean ours = json_object_get(record->body, "image") != NULL;
    const char *provider = ours ? box_claims_provider(record->provider) : record->provider;
    return vagrant_version_provider(version, provider, record->architecture) != NULL;
}

/* What lies elsewhere, and what was uploaded and is not released: its box can be had by whoever is told of it, unless
 * the version is withheld. */
static void add_recorded(Making *making, VagrantVersion *version, const BoxProviderRecord *record, gboolean withheld)
{
    IngotDigest image;
    const char *became = json_string_value(json_object_get(record->body, "image"));
    if (is_added(version, record)) {
        return;
    }
    if (became != NULL && !withheld && ingot_digest_parse(became, &image, NULL) &&
        is_unreleased(making, version, record)) {
        add_image(making, version, &image, record);
    }
    if (is_added(version, record)) {
        return;
    }
    VagrantProvider *provider = vagrant_provider_new(record->provider);
    const char *sum = json_string_value(json_object_get(record->body, "checksum"));
    const char *type = json_string_value(json_object_get(record->body, "checksum_type"));
    provider->architecture = g_strdup(record->architecture);
    provider->is_default = json_is_true(json_object_get(record->body, "default"));
    provider->url = g_strdup(json_string_value(json_object_get(record->body, "url")));
    provider->checksum = sum == NULL || type == NULL ? NULL : g_strdup(sum);
    provider->checksum_type = sum == NULL || type == NULL ? NULL : g_strdup(type);
    read_times(record->body, &provider->created, &provider->updated);
    g_ptr_array_add(version->providers, provider);
}

static void add_all_recorded(Making *making, VagrantVersion *version, gboolean withheld)
{
    const GPtrArray *records = box_records_providers(making->source->records, version->version);
    for (guint i = 0; records != NULL && i < records->len; i++) {
        add_recorded(making, version, g_ptr_array_index(records, i), withheld);
    }
}

/* A channel's list goes by what the channel has named: whoever may only push takes nothing of it back. A name that is a
 * channel by now is no version, though an older record has it. */
static VagrantStatus status_of(const Making *making, const char *version, const json_t *record)
{
    const BoxSource *source = making->source;
    if (source->channel != NULL) {
        return VAGRANT_ACTIVE;
    }
    if (storage_is_channel(making->request->server->storage, source->name, version)) {
        return VAGRANT_UNRELEASED;
    }
    const char *word = json_string_value(json_object_get(record, "status"));
    return g_strcmp0(word, "revoked") == 0      ? VAGRANT_REVOKED
           : g_strcmp0(word, "unreleased") == 0 ? VAGRANT_UNRELEASED
                                                : VAGRANT_ACTIVE;
}

/* What an upstream has may have come since the look. */
static gboolean find_digest(const Making *making, const ListedVersion *listed, IngotDigest *digest)
{
    *digest = listed->digest;
    return making->source->there
               ? storage_find_tag(making->request->server->storage, making->source->name, listed->tag, digest, NULL)
               : listed->is_here;
}

/* Whether the image, or the index, that a version names is disabled or revoked, or nobody can say. */
static gboolean is_withheld(const Making *making, const IngotDigest *digest)
{
    return !views_may_be_seen(making->request->server->views, making->source->name, digest, NULL);
}

static void add_images(Making *making, VagrantVersion *version, const ListedVersion *listed, const IngotDigest *digest)
{
    if (listed->is_image) {
        add_image(making, version, digest, NULL);
        return;
    }
    g_autoptr(GArray) images = view_entries(making->request->server->storage, making->source->name, digest);
    for (guint i = 0; i < images->len; i++) {
        const IngotDigest *image = &g_array_index(images, IngotDigest, i);
        if (listed->images == NULL || g_hash_table_contains(listed->images, image)) {
            add_image(making, version, image, NULL);
        }
    }
}

/* listed: NULL: it has no tag. */
static VagrantVersion *make_version(Making *making, const char *text, const ListedVersion *listed)
{
    VagrantVersion *version = vagrant_version_new(text);
    const json_t *record = box_records_version(making->source->records, text);
    IngotDigest digest;
    gboolean found = listed != NULL && find_digest(making, listed, &digest);
    gboolean withheld = found && is_withheld(making, &digest);
    version->status = status_of(making, text, record);
    version->created = version->updated = listed == NULL ? 0 : listed->made;
    if (record != NULL) {
        read_times(record, &version->created, &version->updated);
        version->description = g_strdup(json_string_value(json_object_get(record, "description")));
        version->begun = box_records_begun(record);
    }
    if (found && !withheld) {
        add_images(making, version, listed, &digest);
    }
    if (making->source->channel == NULL) {
        add_all_recorded(making, version, withheld);
    }
    return version;
}

/* --- all --- */

static gint newest_first(gconstpointer a, gconstpointer b)
{
    const VagrantVersion *one = *(VagrantVersion *const *)a, *two = *(VagrantVersion *const *)b;
    int order = vagrant_version_compare(two->version, one->version);
    return order != 0 ? order : strcmp(two->version, one->version);
}

static GHashTable *tags_of(const GArray *versions)
{
    GHashTable *tags = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < versions->len; i++) {
        g_hash_table_add(tags, g_array_index(versions, ListedVersion, i).tag);
    }
    return tags;
}

/* Those that have a record and no tag: they lie elsewhere, or are not released. One whose tag was removed is gone. */
static void add_untagged(Making *making)
{
    g_autoptr(GHashTable) tags = tags_of(making->source->versions);
    GHashTableIter iter;
    gpointer text;
    g_hash_table_iter_init(&iter, making->source->records->versions);
    while (g_hash_table_iter_next(&iter, &text, NULL)) {
        if (vagrant_version_is_readable(text) && !g_hash_table_contains(tags, text) &&
            !box_needs_tag(making->source->records, text)) {
            g_ptr_array_add(making->list->box->versions, make_version(making, text, NULL));
        }
    }
    g_ptr_array_sort(making->list->box->versions, newest_first);
}

/* One that nothing can have, and nobody has said anything of, is not listed. */
static void add_version(Making *making, const ListedVersion *listed)
{
    g_autoptr(VagrantVersion) version = make_version(making, listed->tag, listed);
    if (version->providers->len > 0 || box_records_version(making->source->records, listed->tag) != NULL) {
        g_ptr_array_add(making->list->box->versions, g_steal_pointer(&version));
    }
}

/* The publisher's letter case, unless the client has its own. */
static char *display_name(const BoxSource *source)
{
    const char *tag = json_string_value(json_object_get(source->records->box, "tag"));
    g_autofree char *folded = tag == NULL ? NULL : g_ascii_strdown(tag, -1);
    return g_strcmp0(folded, source->shown) == 0 ? g_strdup(tag) : g_strdup(source->shown);
}

static VagrantBox *describe_box(const BoxSource *source)
{
    const json_t *record = source->records->box;
    g_autofree char *name = display_name(source);
    VagrantBox *box = vagrant_box_new(name);
    const char *description = json_string_value(json_object_get(record, "description"));
    box->short_description = g_strdup(json_string_value(json_object_get(record, "short_description")));
    box->description =
        description != NULL ? g_strdup(description) : g_strdup_printf("%s, from an Ingot registry", source->shown);
    box->is_private = json_is_true(json_object_get(record, "private"));
    read_times(record, &box->created, &box->updated);
    return box;
}

BoxList *boxlist_make(Request *request, const BoxSource *source, gint64 until)
{
    g_autoptr(BoxList) list = g_new0(BoxList, 1);
    Making making = {.request = request, .source = source, .list = list, .until = until};
    g_atomic_ref_count_init(&list->references);
    list->is_whole = request->server->through == NULL;
    list->sequence = source->sequence;
    list->event = source->event;
    list->box = describe_box(source);
    list->is_recorded = source->records->box != NULL;
    for (guint i = 0; i < source->versions->len; i++) {
        if (request_gone(request)) {
            return NULL;
        }
        add_version(&making, &g_array_index(source->versions, ListedVersion, i));
    }
    if (source->channel == NULL) {
        add_untagged(&making);
    }
    list->is_whole = list->is_whole && !list->is_busy;
    return g_steal_pointer(&list);
}
