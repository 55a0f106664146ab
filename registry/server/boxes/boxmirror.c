#include "server/boxes/boxmirror.h"

#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "import/boximage.h"
#include "server/boxes/boxrelease.h"
#include "server/boxes/ingest.h"
#include "server/boxes/watcher.h"
#include "server/storage/channels.h"

#define FOLDER "imports" /* of the storage's: files on their way */
/* What is left out: it is told once; key: which; {"why"}, and of a file that no image could be made of {"checksum",
 * "by"}, the version of Ingot that tried. */
#define LEFT_RECORD "box-left"
#define FILE_MAX ((guint64)64 << 30)                 /* bytes of a box's file */
#define WAITS_SECONDS (7 * G_GINT64_CONSTANT(86400)) /* that a part is kept, for a run that goes on with it */
#define BRIEF_MAX (4u << 10)                         /* bytes of what is said of a box in short */

typedef struct {
    Storage *storage;
    const BoxMirror *mirror;
    guint64 *released;
    gboolean unfinished; /* the version has a box that is not released with it */
} Mirroring;

static const StorageActor mirror_actor = {.name = "mirror", .reason = "a box of a catalogue is mirrored"};

/* By the name under which the catalogue has the box here: VMware's providers had several. */
static BoxProviderKey key_of(const BoxPiece *piece)
{
    const char *architecture = piece->provider->architecture;
    return (BoxProviderKey){piece->version->version, box_image_form(piece->provider->name, NULL)->provider,
                            architecture == NULL ? BOX_UNKNOWN : architecture};
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* --- the box --- */

/* A publisher here has said something of it. */
static gboolean is_told_here(const Mirroring *own, const char *name)
{
    g_autoptr(GPtrArray) records = storage_records(own->storage, BOX_RECORD, name, NULL);
    const StorageRecord *record = records == NULL || records->len == 0 ? NULL : g_ptr_array_index(records, 0);
    return record != NULL && g_strcmp0(record->by, mirror_actor.name) != 0;
}

/* A site may say more than is kept of a box here. */
static const char *description_of(const VagrantBox *box)
{
    gsize said = box->description == NULL ? 0 : strlen(box->description);
    return said > BOX_SAID_MAX - BRIEF_MAX ? NULL : box->description;
}

static const char *brief_of(const VagrantBox *box)
{
    gsize said = box->short_description == NULL ? 0 : strlen(box->short_description);
    return said > BRIEF_MAX ? NULL : box->short_description;
}

static gboolean is_described(const json_t *record, const VagrantBox *box)
{
    return record != NULL && g_strcmp0(text_of(record, "short_description"), brief_of(box)) == 0 &&
           g_strcmp0(text_of(record, "description"), description_of(box)) == 0 &&
           json_is_true(json_object_get(record, "private")) == box->is_private;
}

static gboolean mirror_begin(const char *name, const VagrantBox *box, gpointer user, GError **error)
{
    const Mirroring *own = user;
    GError *problem = NULL;
    g_autoptr(json_t) record = storage_record(own->storage, BOX_RECORD, name, BOX_KEY, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (is_described(record, box) || is_told_here(own, name)) {
        return TRUE;
    }
    const char *brief_text = brief_of(box), *text = description_of(box);
    g_autoptr(json_t) brief = brief_text == NULL ? json_null() : ingot_json_text(brief_text);
    g_autoptr(json_t) description = text == NULL ? json_null() : ingot_json_text(text);
    g_autoptr(json_t) private = json_boolean(box->is_private);
    const BoxSaid said = {brief, description, private, box->name};
    return box_change(own->storage, &mirror_actor, name, &said, FALSE, error);
}

/* --- its versions --- */

/* Reads its record, NULL where there is none; free it. *here: it was published here: begun by the API, or pushed. */
static gboolean read_version(const Mirroring *own, const char *name, const char *version, json_t **record,
                             gboolean *here, GError **error)
{
    IngotDigest digest;
    GError *problem = NULL;
    *record = storage_record(own->storage, BOX_VERSION_RECORD, name, version, &problem);
    *here = *record == NULL ? storage_find_tag(own->storage, name, version, &digest, NULL)
                            : !json_is_true(json_object_get(*record, "mirrored"));
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    return TRUE;
}

/* Whether the version was released here and has lost its tag since, by a policy or by hand: it does not come again. */
static gboolean was_let_go(const Mirroring *own, const char *name, const char *version, const json_t *record)
{
    IngotDigest digest;
    return record != NULL && g_strcmp0(text_of(record, "status"), "unreleased") != 0 &&
           !storage_find_tag(own->storage, name, version, &digest, NULL);
}

static gboolean mirror_look(const char *name, const VagrantVersion *version, char **why, gpointer user, GError **error)
{
    const Mirroring *own = user;
    gboolean here;
    g_autoptr(json_t) record = NULL;
    if (!read_version(own, name, version->version, &record, &here, error)) {
        return FALSE;
    }
    if (storage_is_channel(own->storage, name, version->version)) {
        *why = g_strdup("it is a channel here, and channels move by promotion alone");
    } else if (here) {
        *why = g_strdup("it was published here, and stays as it is");
    } else if (was_let_go(own, name, version->version, record)) {
        *why = g_strdup("it was taken before, and its tag has been removed here since");
    }
    return TRUE;
}

/* Its record, unreleased where it is new. EXISTS: it was published here while its boxes came. */
static gboolean note_version(const Mirroring *own, const char *name, const VagrantVersion *version, GError **error)
{
    gboolean here;
    g_autoptr(json_t) record = NULL;
    if (!read_version(own, name, version->version, &record, &here, error)) {
        return FALSE;
    }
    if (here) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s: version %s was published here meanwhile", name,
                    version->version);
        return FALSE;
    }
    if (record != NULL && g_strcmp0(text_of(record, "description"), version->description) == 0) {
        return TRUE;
    }
    g_autoptr(json_t) description = version->description == NULL ? json_null() : ingot_json_text(version->description);
    return record == NULL ? box_begin_mirrored(own->storage, &mirror_actor, name, version->version, description, error)
                          : box_change_version(own->storage, &mirror_actor, name, version->version, description, NULL,
                                               FALSE, error);
}

/* --- its boxes --- */

/* The image that the box has become and that is here; NULL: none. */
static gboolean has_image(const Mirroring *own, const char *name, const json_t *record)
{
    IngotDigest digest;
    const char *image = text_of(record, "image");
    return image != NULL && ingot_digest_parse(image, &digest, NULL) &&
           storage_has_manifest(own->storage, name, &digest);
}

/* Where the catalogue has no checksum, what was taken under a version is what it has. */
static gboolean is_of_source(const json_t *record, const VagrantProvider *provider)
{
    const json_t *source = json_object_get(record, "source");
    return source != NULL &&
           (provider->checksum == NULL || g_strcmp0(text_of(source, "checksum"), provider->checksum) == 0);
}

static gboolean is_released(const Mirroring *own, const BoxPiece *piece)
{
    g_autoptr(json_t) version =
        storage_record(own->storage, BOX_VERSION_RECORD, piece->name, piece->version->version, NULL);
    return g_strcmp0(text_of(version, "status"), "unreleased") != 0;
}

static gboolean was_refused(const Mirroring *own, const BoxPiece *piece)
{
    g_autoptr(json_t) left = storage_record(own->storage, LEFT_RECORD, piece->name, piece->what, NULL);
    return piece->provider->checksum != NULL && g_strcmp0(text_of(left, "by"), INGOT_VERSION) == 0 &&
           g_strcmp0(text_of(left, "checksum"), piece->provider->checksum) == 0;
}

/* Before the file is fetched: what is full by now, or takes the version no more, would only be found behind that. */
static gboolean may_come(const Mirroring *own, const BoxPiece *piece, GError **error)
{
    return storage_has_quota(own->storage, piece->name, 0, error) && storage_has_room(own->storage, 0, error) &&
           note_version(own, piece->name, piece->version, error);
}

static gboolean mirror_state(const BoxPiece *piece, BoxState *state, gpointer user, GError **error)
{
    Mirroring *own = user;
    const BoxProviderKey key = key_of(piece);
    GError *problem = NULL;
    g_autofree char *text = box_provider_key(key.version, key.provider, key.architecture);
    g_autoptr(json_t) record = storage_record(own->storage, BOX_PROVIDER_RECORD, piece->name, text, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    gboolean ours = json_object_get(record, "source") != NULL;
    *state = record == NULL || (ours && !has_image(own, piece->name, record)) ? BOX_LACKS
             : is_of_source(record, piece->provider)                          ? BOX_HAS
             : ours && !is_released(own, piece)                               ? BOX_LACKS
                                                                              : BOX_DIFFERS;
    own->unfinished = own->unfinished || (*state == BOX_HAS && box_is_draft(own->storage, piece->name, &key));
    if (*state == BOX_LACKS && was_refused(own, piece)) {
        *state = BOX_REFUSED;
    }
    return *state != BOX_LACKS || may_come(own, piece, error);
}

static gboolean note_image(const Mirroring *own, const BoxPiece *piece, const IngotDigest *image, GError **error)
{
    const BoxProviderKey key = key_of(piece);
    g_autofree char *digest = ingot_digest_to_text(image);
    g_autofree char *text = box_provider_key(key.version, key.provider, key.architecture);
    g_autoptr(json_t) source = json_object(), before = NULL;
    ingot_json_set_string(source, "url", piece->url);
    ingot_json_set_string(source, "checksum", piece->provider->checksum);
    ingot_json_set_string(source, "checksum_type", piece->provider->checksum_type);
    g_autoptr(json_t) members =
        json_pack("{s:s, s:b, s:O}", "image", digest, "default", (int)piece->provider->is_default, "source", source);
    if (piece->provider->architecture == NULL) { /* nobody has said which is the default */
        json_object_del(members, "default");
    }
    before = storage_record(own->storage, BOX_PROVIDER_RECORD, piece->name, text, NULL);
    return box_change_provider(own->storage, &mirror_actor, piece->name, &key, members, before == NULL, error);
}

static void tell_taken(const Mirroring *own, const BoxPiece *piece)
{
    const BoxProviderKey key = key_of(piece);
    g_autofree char *line = g_strdup_printf("%s %s %s %s", piece->name, key.version, key.provider, key.architecture);
    own->mirror->tell(line, own->mirror->user);
}

/* A tag of its own keeps the image until its version is released. */
static gboolean mirror_take(const BoxPiece *piece, const char *path, gpointer user, GError **error)
{
    Mirroring *own = user;
    const BoxProviderKey key = key_of(piece);
    const IngestFacts facts = {.version = key.version,
                               .provider = key.provider,
                               .architecture = piece->provider->architecture,
                               .actor = &mirror_actor};
    IngotDescriptor image;
    if (!ingest_box(own->storage, piece->name, path, &facts, &image, error) ||
        !note_version(own, piece->name, piece->version, error) ||
        !box_draft(own->storage, &mirror_actor, piece->name, &key, &image.digest, error) ||
        !note_image(own, piece, &image.digest, error)) {
        return FALSE;
    }
    own->unfinished = TRUE;
    tell_taken(own, piece);
    return TRUE;
}

/* --- the release --- */

static gboolean status_is(const Mirroring *own, const char *name, const char *version, const char *status)
{
    g_autoptr(json_t) record = storage_record(own->storage, BOX_VERSION_RECORD, name, version, NULL);
    return g_strcmp0(text_of(record, "status"), status) == 0;
}

/* A version that was taken back here stays so. */
static gboolean mirror_end(const char *name, const VagrantVersion *version, gpointer user, GError **error)
{
    Mirroring *own = user;
    gboolean unfinished = own->unfinished;
    own->unfinished = FALSE;
    if (!note_version(own, name, version, error)) {
        return FALSE;
    }
    if ((!unfinished && status_is(own, name, version->version, "active")) ||
        status_is(own, name, version->version, "revoked")) {
        return TRUE;
    }
    if (!box_release_ready(own->storage, &mirror_actor, name, version->version, error)) {
        return FALSE;
    }
    ++*own->released;
    return TRUE;
}

/* --- what is told --- */

/* Without its record it would be looked at again. */
static void mirror_refuse(const BoxPiece *piece, const char *why, gpointer user)
{
    const Mirroring *own = user;
    g_autoptr(json_t) body = json_object();
    ingot_json_set_string(body, "why", why);
    ingot_json_set_string(body, "checksum", piece->provider->checksum);
    ingot_json_set_string(body, "by", INGOT_VERSION);
    storage_put_record(own->storage, &mirror_actor, LEFT_RECORD, piece->name, piece->what, body, NULL);
}

static gboolean mirror_leave(const char *name, const char *what, const char *why, gpointer user)
{
    const Mirroring *own = user;
    g_autoptr(json_t) before = storage_record(own->storage, LEFT_RECORD, name, what, NULL);
    if (g_strcmp0(text_of(before, "why"), why) == 0) {
        return FALSE;
    }
    g_autoptr(json_t) body = json_object();
    ingot_json_set_string(body, "why", why);
    storage_put_record(own->storage, &mirror_actor, LEFT_RECORD, name, what, body, NULL); /* else it is told again */
    return TRUE;
}

static void mirror_tell(const char *line, gpointer user)
{
    const Mirroring *own = user;
    own->mirror->tell(line, own->mirror->user);
}

/* --- all --- */

/* A site that has given up a version, or changed its file, leaves what came of it. */
static void sweep(const char *folder)
{
    const char *name;
    struct stat info;
    g_autoptr(GDir) files = g_dir_open(folder, 0, NULL);
    gint64 before = g_get_real_time() / G_USEC_PER_SEC - WAITS_SECONDS;
    while (files != NULL && (name = g_dir_read_name(files)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        gboolean is_box = g_str_has_suffix(name, ".box") || g_str_has_suffix(name, ".box.part");
        if (is_box && lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_mtime < before) {
            unlink(path);
        }
    }
}

/* One import at a time, of whichever process: what is on its way has the same name in each. */
static gboolean import_all(const Mirroring *own, const BoxSink *sink, const char *folder, BoxReport *report,
                           GError **error)
{
    g_autofree char *path = g_build_filename(folder, ".lock", NULL);
    const BoxImport import = {
        .from = own->mirror->from, .names = own->mirror->names, .folder = folder, .most = FILE_MAX, .sink = sink};
    if (!ingot_file_make_folder(folder, error)) {
        return FALSE;
    }
    g_autoptr(IngotLock) lock = ingot_lock_take(path, TRUE, TRUE, error);
    if (lock == NULL) {
        return FALSE;
    }
    sweep(folder);
    return box_import(&import, report, error);
}

gboolean box_mirror(Storage *storage, const BoxMirror *mirror, BoxReport *report, guint64 *released, GError **error)
{
    Mirroring own = {storage, mirror, released, FALSE};
    const BoxSink sink = {mirror_begin,  mirror_look,  mirror_state, mirror_take, mirror_end,
                          mirror_refuse, mirror_leave, mirror_tell,  &own};
    g_autofree char *folder = g_build_filename(storage_path(storage), FOLDER, NULL);
    g_autoptr(GError) problem = NULL;
    *report = (BoxReport){0};
    *released = 0;
    Watcher *watcher = watcher_start(mirror->goes_on, mirror->user, error);
    if (watcher == NULL) {
        return FALSE;
    }
    gboolean ok = import_all(&own, &sink, folder, report, &problem);
    watcher_end(watcher);
    if (!ok &&
        (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED) || mirror->goes_on(mirror->user, error))) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return ok;
}
