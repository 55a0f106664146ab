/* A push of a disk to a registry that is busy, by a link that breaks: what has come is ended or gone on with, not sent
 * again; what is left behind is dropped; and the frames' digests are forgotten where they may be wrong alone. */
#include "serve.h"

#include "base/file.h"
#include "image/encoder.h"

#include "remote/ours.h"
#include "remote/patience.h"
#include "remote/uploadnotes.h"

#define HASHES "503 Service Unavailable", "Retry-After: 1\r\nIngot-Hashing: yes\r\n"
#define BUSY "503 Service Unavailable", "Retry-After: 1\r\n"
#define FRAME 8u /* bytes of each of the two, as a rule */

typedef struct {
    const char *status, *headers;
} Answer;

typedef struct {
    const Answer *answers;             /* to each PUT in turn; behind the last, one that has no status, 201 */
    gboolean is_foreign;               /* it knows of no frames */
    gboolean forgets;                  /* an upload, once its connection has ended */
    gsize frame;                       /* bytes; 0: FRAME */
    guint64 keeps;                     /* of each PUT with a body: bytes, behind which the connection ends; 0: all */
    guint64 come;                      /* bytes of frames that it has, each of which may come once */
    gulong silence;                    /* microseconds before each answer to a PUT */
    Answer list;                       /* to a list of frames; no status: both are missing */
    const Answer *lists;               /* to each list in turn instead; behind the last as above */
    gboolean is_anothers;              /* some other client goes on with the upload that was begun before */
    enum { NO_NOTE, LEFT, HELD } note; /* of upload 9: the push that wrote it has ended, or lives */
    gboolean *note_stays;              /* whether it says the same behind the push */
    const IngotMeanwhile *meanwhile;
    guint begun, put;
    GString *log; /* of each request a letter, and the upload's number: P begun, L list, G asked for, C some of its
                   * frames, S with its end, E ended, D dropped; M: what is done meanwhile */
} Registry;

static char *answer_put(Registry *registry)
{
    const Answer *answer = registry->answers == NULL ? NULL : &registry->answers[registry->put];
    g_usleep(registry->silence);
    if (answer == NULL || answer->status == NULL) {
        return serve_text("201 Created", "", "");
    }
    registry->put++;
    return serve_text(answer->status, answer->headers, "");
}

static guint64 size_of(const Registry *registry)
{
    return 2 * (registry->frame == 0 ? FRAME : registry->frame);
}

/* Bytes that go on from where it stands. */
static void take(Registry *registry, const char *request, gsize size)
{
    const char *place = strstr(request, "Content-Range: ");
    guint64 first = place == NULL ? 0 : g_ascii_strtoull(place + strlen("Content-Range: "), NULL, 10);
    assert_int_equal(first, registry->come);
    registry->come += size;
    assert_true(registry->come <= size_of(registry));
}

/* To an upload without its end: where it stands. */
static char *answer_place(const Registry *registry, const char *status)
{
    g_autofree char *range =
        g_strdup_printf("Range: 0-%" G_GUINT64_FORMAT "\r\n", registry->come == 0 ? 0 : registry->come - 1);
    return registry->forgets ? serve_text("404 Not Found", "", "") : serve_text(status, range, "");
}

static char *answer(const char *request, gsize sent, gpointer user)
{
    Registry *registry = user;
    const char *number = strstr(request, "/uploads/") + strlen("/uploads/");
    gboolean is_put = g_str_has_prefix(request, "PUT");
    gboolean begins = g_str_has_prefix(request, "POST") && *number == ' ';
    registry->begun += begins ? 1 : 0;
    g_string_append_printf(registry->log, "%s%c%c", registry->log->len == 0 ? "" : " ",
                           begins                                ? 'P'
                           : g_str_has_prefix(request, "DELETE") ? 'D'
                           : g_str_has_prefix(request, "PATCH")  ? 'C'
                           : g_str_has_prefix(request, "GET")    ? 'G'
                           : !is_put                             ? 'L'
                           : sent > 0                            ? 'S'
                                                                 : 'E',
                           begins ? '0' + (char)registry->begun : *number);
    if (begins) {
        registry->come = 0;
        g_autofree char *place = g_strdup_printf("/v2/team/web/blobs/uploads/%u", registry->begun);
        g_autofree char *headers =
            g_strdup_printf("Location: %s\r\n%s%s%s", place,
                            registry->is_foreign ? "" : "Ingot-Frames: ", registry->is_foreign ? "" : place,
                            registry->is_foreign ? "" : "\r\n");
        return serve_text("202 Accepted", headers, "");
    }
    if (g_str_has_prefix(request, "DELETE")) {
        return serve_text("204 No Content", "", "");
    }
    if (registry->is_anothers && *number == '9' && g_str_has_prefix(request, "PATCH")) {
        return serve_text("409 Conflict", "", "");
    }
    if (is_put && sent > registry->keeps && registry->keeps > 0) {
        take(registry, request, registry->keeps);
        return NULL;
    }
    if (!registry->is_foreign && sent > 0 && (is_put || g_str_has_prefix(request, "PATCH"))) {
        take(registry, request, sent);
    }
    if (is_put) {
        return answer_put(registry);
    }
    if (g_str_has_prefix(request, "PATCH")) {
        return answer_place(registry, "202 Accepted");
    }
    if (g_str_has_prefix(request, "GET")) {
        return answer_place(registry, "204 No Content");
    }
    const Answer list =
        registry->lists == NULL || registry->lists->status == NULL ? registry->list : *registry->lists++;
    return list.status == NULL ? serve_text("200 OK", "", "\x03") : serve_text(list.status, list.headers, "");
}

static IngotIndex *index_new(const guint8 *disk, gsize frame)
{
    IngotIndex *index = ingot_index_new(ingot_encoder_name(), 4096);
    index->frames = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    for (guint i = 0; i < 2; i++) {
        IngotDigest digest = {.bytes = {1, (guint8)i}};
        ingot_index_add(index, &digest, 4096, (guint32)frame);
        ingot_digest_of(disk + i * frame, frame, &digest);
        g_array_append_val(index->frames, digest);
    }
    return index;
}

/* What the note says of upload 9. */
static gboolean says_nine(const UploadNote *note, const IngotRemote *remote)
{
    g_autofree char *location = NULL;
    g_autofree guint8 *missing = NULL;
    return upload_note_read(note, remote, 1, &location, &missing) && g_str_has_suffix(location, "/uploads/9") &&
           *missing == 3;
}

/* The same push, beside or behind another one of the disk. */
static gboolean push_noted(Registry *registry, IngotRemote *remote, const char *folder, const char *path,
                           const IngotDescriptor *blob, IngotIndex *index, GError **error)
{
    g_autofree char *uploads = g_build_filename(folder, "uploads", NULL);
    ingot_remote_keep_uploads(remote, uploads);
    UploadNote *other = upload_note_open(remote, "team/web", &blob->digest);
    assert_non_null(other);
    assert_null(upload_note_open(remote, "team/web", &blob->digest));
    upload_note_write(other, "/v2/team/web/blobs/uploads/9", "\x03", 1);
    if (registry->note == LEFT) {
        g_clear_pointer(&other, upload_note_free);
    }
    gboolean ok = ingot_remote_put_disk(remote, "team/web", path, blob, index, registry->meanwhile, NULL, NULL, error);
    other = other == NULL ? upload_note_open(remote, "team/web", &blob->digest) : other;
    *registry->note_stays = says_nine(other, remote);
    upload_note_free(other);
    return ok;
}

/* Pushes the disk; the error, or NULL; what was asked is in the log. *known: whether the frames' digests still are. */
static GError *push(Registry *registry, guint patience, gboolean *known)
{
    IngotWorkdir *folder = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(folder, "disk");
    gsize size = size_of(registry);
    g_autofree guint8 *disk = g_malloc0(size);
    disk[size - 1] = 1;
    g_autoptr(IngotIndex) index = index_new(disk, size / 2);
    IngotDescriptor blob = {.size = size};
    GError *error = NULL;
    ingot_digest_of(disk, size, &blob.digest);
    assert_true(ingot_file_replace(path, disk, size, 0600, NULL));
    registry->log = g_string_new(NULL);
    Serve *serve = serve_new(answer, registry);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    ingot_remote_limit(remote, 5, 1, patience);
    gboolean ok =
        registry->note == NO_NOTE
            ? ingot_remote_put_disk(remote, "team/web", path, &blob, index, registry->meanwhile, NULL, NULL, &error)
            : push_noted(registry, remote, ingot_workdir_path(folder), path, &blob, index, &error);
    assert_int_equal(ok, error == NULL);
    *known = index->frames != NULL;
    serve_free(serve);
    ingot_workdir_free(folder);
    return error;
}

static void expect_log(Registry *registry, const char *wanted)
{
    assert_string_equal(registry->log->str, wanted);
    g_string_free(registry->log, TRUE);
}

/* It says so, whether it has the frames with the end or was asked for the end alone. */
static void one_that_hashes_is_asked_again(void **state)
{
    const Answer answers[] = {{HASHES}, {HASHES}, {NULL, NULL}};
    Registry registry = {.answers = answers};
    gboolean known;
    (void)state;
    assert_null(push(&registry, 0, &known)); /* no patience is needed for that */
    assert_true(known);
    expect_log(&registry, "P1 L1 S1 E1 E1");
}

/* It may be silent for longer than others may. */
static void one_that_hashes_may_take_its_time_to_say_so(void **state)
{
    const Answer answers[] = {{HASHES}, {NULL, NULL}};
    Registry registry = {.answers = answers, .silence = 2500 * G_TIME_SPAN_MILLISECOND};
    gboolean known;
    (void)state;
    assert_null(push(&registry, 0, &known));
    expect_log(&registry, "P1 L1 S1 E1");
}

/* Whether it has kept what was sent shows at the end. */
static void what_a_busy_one_has_is_not_sent_again(void **state)
{
    const Answer kept[] = {{BUSY}, {NULL, NULL}}, lost[] = {{BUSY}, {"400 Bad Request", ""}, {NULL, NULL}};
    gboolean known;
    (void)state;
    Registry registry = {.answers = kept};
    assert_null(push(&registry, 5, &known));
    assert_true(known);
    expect_log(&registry, "P1 L1 S1 G1 E1");
    registry = (Registry){.answers = lost, .forgets = TRUE};
    assert_null(push(&registry, 5, &known));
    assert_true(known);
    expect_log(&registry, "P1 L1 S1 G1 E1 D1 P2 L2 S2");
}

static void one_that_is_never_ready_is_left_alone(void **state)
{
    const Answer answers[] = {{BUSY}, {BUSY}, {BUSY}, {BUSY}, {BUSY}, {NULL, NULL}};
    Registry registry = {.answers = answers};
    gboolean known;
    (void)state;
    g_autoptr(GError) error = push(&registry, 2, &known);
    assert_non_null(strstr(error->message, "503"));
    assert_true(known);
    expect_log(&registry, "P1 L1 S1 G1 E1 E1 E1 D1");
}

/* However often the link breaks, as long as each connection brings something new. */
static void a_link_that_breaks_brings_each_byte_once(void **state)
{
    Registry registry = {.frame = 512 << 10, .keeps = 128 << 10};
    gboolean known;
    (void)state;
    assert_null(push(&registry, 5, &known));
    assert_true(known);
    assert_int_equal(registry.come, size_of(&registry));
    /* Whether a login was refused is asked each time, too. */
    expect_log(&registry, "P1 L1 S1 G1 G1 C1 S1 G1 G1 C1 S1 G1 G1 C1 S1 G1 G1 C1 S1 G1 G1 C1 S1");
}

static gboolean note_meanwhile(gpointer user, GError **error)
{
    (void)error;
    g_string_append(((Registry *)user)->log, " M");
    return TRUE;
}

static gboolean fail_meanwhile(gpointer user, GError **error)
{
    note_meanwhile(user, error);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "not that one");
    return FALSE;
}

/* What else is to be sent goes while the registry hashes the disk; what fails there is no reason to send the whole. */
static void what_else_there_is_goes_while_it_hashes(void **state)
{
    const Answer answers[] = {{HASHES}, {NULL, NULL}};
    Registry registry = {.answers = answers};
    const IngotMeanwhile notes = {note_meanwhile, &registry}, fails = {fail_meanwhile, &registry};
    gboolean known;
    (void)state;
    registry.meanwhile = &notes;
    assert_null(push(&registry, 0, &known));
    expect_log(&registry, "P1 L1 C1 M E1 E1");
    registry = (Registry){.meanwhile = &fails};
    g_autoptr(GError) error = push(&registry, 0, &known);
    assert_string_equal(error->message, "not that one");
    expect_log(&registry, "P1 L1 C1 M D1");
    registry = (Registry){.meanwhile = &notes, .is_foreign = TRUE}; /* whoever pushes does it then */
    assert_null(push(&registry, 0, &known));
    expect_log(&registry, "P1 S1");
}

/* It takes one list for each upload: that it refuses the second says nothing of the frames. */
static void a_list_whose_answer_is_lost_is_told_another_upload(void **state)
{
    static const char *const refusals[] = {"400 Bad Request", "404 Not Found", "409 Conflict"};
    gboolean known;
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(refusals); i++) {
        const Answer lists[] = {{"502 Bad Gateway", ""}, {refusals[i], ""}, {NULL, NULL}};
        Registry registry = {.lists = lists};
        assert_null(push(&registry, 5, &known));
        assert_true(known);
        expect_log(&registry, "P1 L1 L1 D1 P2 L2 S2");
    }
}

/* Nor does it go on for ever: the whole is sent in the end. */
static void lists_that_are_always_lost_end(void **state)
{
    const Answer lost = {"502 Bad Gateway", "Retry-After: 1\r\n"}, again = {"400 Bad Request", ""};
    const Answer lists[] = {lost, again, lost, again, lost, {NULL, NULL}};
    Registry registry = {.lists = lists};
    gboolean known;
    (void)state;
    assert_null(push(&registry, 2, &known));
    assert_true(known);
    expect_log(&registry, "P1 L1 L1 D1 P2 L2 L2 D2 P3 L3 D3 P4 S4");
}

/* The upload of a push that was killed is gone on with; one whose push lives, in this process or another, or that some
 * other client has, is neither gone on with nor dropped. */
static void an_upload_of_a_push_that_lives_is_left_alone(void **state)
{
    static const struct {
        Registry registry;
        gboolean stays;
        const char *log;
    } rows[] = {
        {{.note = LEFT}, FALSE, "G9 C9 E9"},
        {{.note = HELD}, TRUE, "P1 L1 S1"},
        {{.note = LEFT, .is_anothers = TRUE}, FALSE, "G9 C9 P1 L1 S1"},
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        Registry registry = rows[i].registry;
        gboolean known, stays;
        registry.note_stays = &stays;
        assert_null(push(&registry, 0, &known));
        assert_true(known);
        assert_int_equal(stays, rows[i].stays);
        expect_log(&registry, rows[i].log);
    }
}

/* Digests that the registry has found wrong are forgotten, and no others. */
static void digests_that_nobody_refused_stay_known(void **state)
{
    static const Answer forbidden[] = {{"403 Forbidden", ""}, {NULL, NULL}};
    static const Answer full[] = {{"507 Insufficient Storage", ""}, {NULL, NULL}};
    static const Answer wrong[] = {{"400 Bad Request", ""}, {NULL, NULL}};
    static const Answer broken[] = {{"500 Internal Server Error", ""}, {NULL, NULL}};
    static const struct {
        Registry registry;
        gboolean pushed, known;
        const char *log;
    } rows[] = {
        {{.is_foreign = TRUE}, TRUE, TRUE, "P1 S1"},
        {{.answers = forbidden}, FALSE, TRUE, "P1 L1 S1 D1"},
        {{.answers = full}, FALSE, TRUE, "P1 L1 S1 D1"},
        {{.list = {"409 Conflict", ""}}, TRUE, TRUE, "P1 L1 D1 P2 S2"},
        {{.answers = broken}, TRUE, TRUE, "P1 L1 S1 D1 P2 S2"},
        {{.answers = wrong}, TRUE, FALSE, "P1 L1 S1 D1 P2 S2"},
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        Registry registry = rows[i].registry;
        gboolean known;
        g_autoptr(GError) error = push(&registry, 0, &known);
        assert_int_equal(error == NULL, rows[i].pushed);
        assert_int_equal(known, rows[i].known);
        expect_log(&registry, rows[i].log);
    }
}

/* However little of it is spent on waits. */
static void patience_ends_by_the_clock(void **state)
{
    Patience patience = patience_by_clock(3600);
    CURL *curl = curl_easy_init();
    (void)state;
    assert_true(patience_take(&patience, curl, CURLE_OK, 503) > 0);
    patience.end = g_get_monotonic_time();
    assert_int_equal(patience_take(&patience, curl, CURLE_OK, 503), -1);
    curl_easy_cleanup(curl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_hashes_is_asked_again),
        cmocka_unit_test(one_that_hashes_may_take_its_time_to_say_so),
        cmocka_unit_test(what_a_busy_one_has_is_not_sent_again),
        cmocka_unit_test(what_else_there_is_goes_while_it_hashes),
        cmocka_unit_test(one_that_is_never_ready_is_left_alone),
        cmocka_unit_test(a_link_that_breaks_brings_each_byte_once),
        cmocka_unit_test(patience_ends_by_the_clock),
        cmocka_unit_test(a_list_whose_answer_is_lost_is_told_another_upload),
        cmocka_unit_test(lists_that_are_always_lost_end),
        cmocka_unit_test(an_upload_of_a_push_that_lives_is_left_alone),
        cmocka_unit_test(digests_that_nobody_refused_stay_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
