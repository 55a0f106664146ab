/* Referrers: what is attached to a manifest, by pages where it is much.
 *
 * A page is written descriptor by descriptor, as text: it never takes more memory than its bytes and one manifest do,
 * whatever was pushed as an annotation. It ends where it is as large as a manifest may be, or where much was read for
 * it. What is little is put together by POOL_READ, the rest by POOL_SLOW. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/oci/api.h"
#include "server/server.h"
#include "server/storage/mentions.h"

#define PAGE_COUNT 1000                    /* of one answer: each is read for its annotations */
#define PAGE_MAX (API_MANIFEST_MAX - 1024) /* bytes of descriptors; the rest is for what stands around them */
#define READ_MAX (16u << 20)               /* bytes of the manifests that are read for a page */
#define LITTLE_COUNT 64                    /* of so many, with so many bytes in all, no pool is kept long */
#define LITTLE_SIZE (256u << 10)

/* What was found for a request before its answer is made. */
typedef struct {
    OciDigest subject;
    FetchOutcome outcome; /* of the upstream */
    GArray *all;          /* of StorageReferrer */
} Attached;

typedef struct {
    GString *text;               /* descriptors, with commas between them */
    const StorageReferrer *last; /* that it has; NULL: none yet */
    guint64 read;                /* bytes of their manifests */
    gboolean is_sha512;          /* how the subject was named */
    gboolean full;               /* there are others */
} Page;

static void attached_free(gpointer data)
{
    Attached *attached = data;
    g_clear_pointer(&attached->all, g_array_unref);
    g_free(attached);
}

/* NULL: of any kind. */
static const char *wanted_kind(const Request *request)
{
    const char *wanted = request_query(request, "artifactType");
    return wanted == NULL || *wanted == '\0' ? NULL : wanted;
}

/* --- what there is --- */

static gboolean is_little(const GArray *all)
{
    guint64 size = 0;
    for (guint i = 0; i < all->len; i++) {
        size += g_array_index(all, StorageReferrer, i).size;
    }
    return all->len <= LITTLE_COUNT && size <= LITTLE_SIZE;
}

Pool api_referrers_move(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    Attached *attached = g_new0(Attached, 1);
    IngotDigest after;
    const char *last = request_query(request, "last");
    request_keep(request, attached, attached_free);
    if (!oci_digest_parse(route->reference, &attached->subject, &error) ||
        (last != NULL && !storage_digest(request->server->storage, last, &after, &error))) {
        api_refuse_digest(request, error);
        return POOL_READ;
    }
    FetchOutcome outcome = through_referrers(request->server->through, route->name, &attached->subject);
    attached->all = storage_referrers(request->server->storage, route->name, &attached->subject.key,
                                      wanted_kind(request), last == NULL ? NULL : &after, PAGE_COUNT + 1, &error);
    if (attached->all == NULL) {
        request_fail(request, "NAME_UNKNOWN", error);
        return POOL_READ;
    }
    if (last == NULL && through_is_open(outcome)) {
        /* What is here may be a part: a list without a signature would say that there is none. */
        request_refuse_busy(request, through_reason(outcome));
        return POOL_READ;
    }
    return is_little(attached->all) ? POOL_READ : POOL_SLOW;
}

/* --- descriptors --- */

/* As image-spec has them ("Annotations"): texts. What else was pushed as one is left out. */
static json_t *keep_texts(json_t *annotations)
{
    void *next;
    const char *key;
    json_t *value;
    json_object_foreach_safe(annotations, next, key, value)
    {
        if (!json_is_string(value)) {
            json_object_del(annotations, key);
        }
    }
    return annotations;
}

/* Adds the annotations that the manifest has. FALSE: it can't be read. */
static gboolean add_annotations(Request *request, const char *name, const StorageReferrer *referrer, json_t *one)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(request->server->storage, name, &referrer->digest, &type, NULL);
    g_autoptr(json_t) manifest =
        bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    json_t *annotations = json_object_get(manifest, "annotations");
    if (json_is_object(annotations)) {
        json_object_set(one, "annotations", keep_texts(annotations));
    }
    return bytes != NULL;
}

/* Its descriptor, as distribution-spec 1.1 has it ("Listing Referrers"), with a digest of the algorithm that the
 * subject was named by, where that is known; free it. NULL: it can't be read. */
static char *describe(Request *request, const char *name, const StorageReferrer *referrer, gboolean is_sha512)
{
    g_autofree char *digest =
        is_sha512 && referrer->alias != NULL ? g_strdup(referrer->alias) : ingot_digest_to_text(&referrer->digest);
    g_autoptr(json_t) one =
        json_pack("{s:s, s:s, s:I}", "mediaType", referrer->type, "digest", digest, "size", (json_int_t)referrer->size);
    if (*referrer->artifact != '\0') {
        json_object_set_new(one, "artifactType", json_string(referrer->artifact));
    }
    return add_annotations(request, name, referrer, one) ? ingot_json_canonical(one) : NULL;
}

/* --- a page --- */

/* The first is always given: a page without any would lead nowhere. */
static void page_add(Page *page, Request *request, const char *name, const StorageReferrer *referrer)
{
    if (page->last != NULL && page->read + referrer->size > READ_MAX) {
        page->full = TRUE;
        return;
    }
    g_autofree char *text = describe(request, name, referrer, page->is_sha512);
    gsize length = text == NULL ? 0 : strlen(text) + 1;
    if (page->last != NULL && page->text->len + length > PAGE_MAX) {
        page->full = TRUE;
        return;
    }
    page->last = referrer;
    page->read += referrer->size;
    if (text != NULL) {
        g_string_append_printf(page->text, "%s%s", page->text->len == 0 ? "" : ",", text);
    }
}

/* The link to the page behind this one; NULL: there is none. */
static char *page_link(const Page *page, const Request *request)
{
    const char *wanted = wanted_kind(request);
    if (!page->full) {
        return NULL;
    }
    g_autofree char *last = ingot_digest_to_text(&page->last->digest);
    g_autofree char *filter = wanted == NULL ? NULL : g_uri_escape_string(wanted, NULL, FALSE);
    return g_strdup_printf("<%s?last=%s%s%s>; rel=\"next\"", request->path, last,
                           filter == NULL ? "" : "&artifactType=", filter == NULL ? "" : filter);
}

enum MHD_Result api_referrers(Request *request, const ApiRoute *route)
{
    const Attached *attached = request->kept;
    g_autoptr(GString) text = g_string_new(NULL);
    Page page = {.text = text, .is_sha512 = attached->subject.is_sha512};
    for (guint i = 0; i < attached->all->len && !page.full; i++) {
        if (request_gone(request)) {
            return MHD_NO;
        }
        if (i == PAGE_COUNT) {
            page.full = TRUE;
        } else {
            page_add(&page, request, route->name, &g_array_index(attached->all, StorageReferrer, i));
        }
    }
    g_autofree char *link = page_link(&page, request);
    g_string_prepend(text, "{\"manifests\":[");
    g_string_append(text, "],\"mediaType\":\"" INGOT_TYPE_LIST "\",\"schemaVersion\":2}");
    g_autoptr(GBytes) bytes = g_string_free_to_bytes(g_steal_pointer(&text));
    return request_answer_bytes(request, MHD_HTTP_OK, INGOT_TYPE_LIST, bytes, "OCI-Filters-Applied",
                                wanted_kind(request) == NULL ? NULL : "artifactType", "Link", link, NULL);
}
