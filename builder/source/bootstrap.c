/* A disk bootstrapped from a distribution's packages: mmdebstrap makes the tree as a tar archive, layout.c the disk.
 *
 * The plan's key has two parts. The *setup* is what the recipe and this host say: packages, apt's sources, the
 * settings; it is known without the network and names the folder in the cache. The *state* is what the mirror held, as
 * the digests of its InRelease files: one state gives one disk, so images and nodes of an earlier base are never mixed
 * with those of a later one. A kept base's state counts until its max_age has passed since the mirror was last seen in
 * it. Then the mirror is asked, and only if it has changed a new base is made. A mirror that can't be reached is no
 * reason to fail where a base is kept: the build says so and goes on. */
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "ready/ready.h"
#include "recipe/rows.h"
#include "recipe/rules.h"
#include "source/apt.h"
#include "source/base.h"
#include "source/kept.h"
#include "source/kinds.h"
#include "source/layout.h"
#include "source/mmdebstrap.h"
#include "source/tree.h"

#define LAYOUT_VERSION "2" /* raised when the same inputs shall give another disk */
#define DISK_DEFAULT (4ull << 30)
#define MIB (1ull << 20)
#define CLOCKS_DIFFER 3600           /* seconds that a time may lie ahead before it is taken for wrong */
#define DAY G_GINT64_CONSTANT(86400) /* seconds */

/* What every machine needs to boot, to get an address and to be reached. */
static const char *const bones[] = {"systemd-sysv", "udev",           "kmod", "initramfs-tools",
                                    "zstd",         "openssh-server", "dbus", "systemd-resolved",
                                    "iproute2",     "netbase",        NULL};
/* What grows the root partition: in systemd's own package up to Debian 12, in one of its own since. The pattern always
 * finds at least the first. */
#define GROWER "?or(?exact-name(systemd), ?exact-name(systemd-repart))"
#define CERTIFICATES "ca-certificates"         /* without which a machine cannot ask a mirror that speaks TLS */
#define KERNEL_CLOUD "linux-image-cloud-amd64" /* a third of the other, without most hardware */
#define KERNEL_FULL "linux-image-amd64"

static guint64 bootstrap_disk_size(const SourceContext *context)
{
    guint64 wanted = recipe_machine(context->recipe).disk;
    return wanted == 0 ? DISK_DEFAULT : wanted / MIB * MIB;
}

/* What is installed besides the recipe's packages: NULL where a kernel is among them. */
static const char *bootstrap_kernel(const SourceContext *context, const json_t *source)
{
    size_t i;
    json_t *package;
    json_array_foreach(json_object_get(source, "packages"), i, package)
    {
        if (g_str_has_prefix(json_string_value(package), "linux-image-")) {
            return NULL;
        }
    }
    return ready_beyond_clouds(json_object_get(context->recipe->tree, "outputs")) ? KERNEL_FULL : KERNEL_CLOUD;
}

static void bootstrap_add_settings(IngotHasher *hasher, const char *lines, const char *apt_conf)
{
    TreeOptions options = {.root_uuid = "", .esp_uuid = "", .apt = lines, .apt_conf = apt_conf};
    g_autoptr(GPtrArray) files = tree_settings(&options);
    for (guint i = 0; i < files->len; i++) {
        const TreeFile *file = g_ptr_array_index(files, i);
        g_autofree char *mode = g_strdup_printf("%o", file->mode);
        source_add_text(hasher, file->path);
        source_add_text(hasher, mode);
        source_add_text(hasher, file->content == NULL ? "" : file->content);
    }
}

/* --- what is to be made --- */

typedef struct {
    char *folder;       /* in the cache */
    char *setup;        /* hex */
    AptSources sources; /* of this host or the recipe */
    char *host_conf, *guest_conf;
    AptState state; /* of the mirror, where it was asked */
    Base *kept;     /* the base to use; NULL: it has to be made from that state */
} Bootstrap;

static void bootstrap_free(gpointer data)
{
    Bootstrap *bootstrap = data;
    apt_sources_clear(&bootstrap->sources);
    apt_state_clear(&bootstrap->state);
    g_clear_pointer(&bootstrap->kept, base_free);
    g_free(bootstrap->folder);
    g_free(bootstrap->setup);
    g_free(bootstrap->host_conf);
    g_free(bootstrap->guest_conf);
    g_free(bootstrap);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bootstrap, bootstrap_free)

/* How old a base may get does not change what it is made of. */
static char *bootstrap_form(const json_t *source)
{
    g_autoptr(json_t) form = json_copy((json_t *)source);
    json_object_del(form, "max_age");
    json_object_del(form, "mirror"); /* stands in the sources, without a login */
    return ingot_json_canonical(form);
}

static char *bootstrap_setup_key(const SourceContext *context, const json_t *source, const Bootstrap *bootstrap)
{
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    g_autofree char *form = bootstrap_form(source);
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, bootstrap_disk_size(context));
    source_add_text(hasher, "bootstrap " LAYOUT_VERSION);
    source_add_text(hasher, form);
    source_add_text(hasher, size);
    source_add_text(hasher, GROWER);
    for (const char *const *bone = bones; *bone != NULL; bone++) {
        source_add_text(hasher, *bone);
    }
    if (g_strcmp0(bootstrap_kernel(context, source), KERNEL_FULL) == 0) {
        source_add_text(hasher, KERNEL_FULL);
    }
    if (apt_needs_certificates(bootstrap->sources.lines)) {
        source_add_text(hasher, CERTIFICATES);
    }
    bootstrap_add_settings(hasher, bootstrap->sources.lines, bootstrap->guest_conf);
    g_autofree char *guest_lines = apt_guest_lines(bootstrap->sources.lines);
    if (strcmp(guest_lines, bootstrap->sources.lines) != 0) {
        source_add_text(hasher, guest_lines);
    }
    IngotDigest digest;
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_hasher_finish(hasher, &digest);
    ingot_digest_write_text(&digest, text);
    return g_strdup(text + strlen("sha256:"));
}

/* --- which state of the mirror --- */

static gint64 bootstrap_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static gboolean bootstrap_is_current(const json_t *source, const Base *kept)
{
    gint64 age = bootstrap_now() - kept->asked;
    return age <= json_integer_value(json_object_get(source, "max_age")) && age >= -CLOCKS_DIFFER;
}

static void bootstrap_say_age(const SourceContext *context, const json_t *source, const Base *kept)
{
    gint64 age = bootstrap_now() - kept->asked;
    if (age >= DAY) {
        g_autofree char *old = ingot_text_age((double)age);
        g_autofree char *limit = ingot_text_age((double)json_integer_value(json_object_get(source, "max_age")));
        ingot_progress_message(context->progress,
                               "the base's packages are of %s, the mirror was last asked %s ago (max_age %s; --refresh "
                               "asks now)",
                               json_string_value(json_object_get(kept->record, "date")), old, limit);
    }
}

/* Asks the mirror; a base of the state that it is in stays. */
static gboolean bootstrap_ask_mirror(const SourceContext *context, const json_t *source, Bootstrap *bootstrap,
                                     GError **error)
{
    const char *distribution = json_string_value(json_object_get(source, "distribution"));
    g_autoptr(GError) problem = NULL;
    if (!apt_state(&bootstrap->sources, distribution, context->workdir, &bootstrap->state, &problem)) {
        if (bootstrap->kept == NULL || !ingot_interrupt_check(NULL)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
        ingot_progress_message(context->progress,
                               "the mirror can't be asked whether the base is current, so the build goes on with that "
                               "of %s: %s",
                               json_string_value(json_object_get(bootstrap->kept->record, "date")), problem->message);
        return TRUE;
    }
    if (bootstrap->kept == NULL) {
        return TRUE;
    }
    if (strcmp(bootstrap->state.digest, bootstrap->kept->state) == 0) {
        return base_confirm(bootstrap->folder, bootstrap->kept, bootstrap_now(), context->progress, error);
    }
    g_clear_pointer(&bootstrap->kept, base_free);
    return TRUE;
}

static gboolean bootstrap_find_state(const SourceContext *context, const json_t *source, Bootstrap *bootstrap,
                                     GError **error)
{
    bootstrap->kept = context->refresh ? NULL : base_read(bootstrap->folder);
    if (context->look) {
        return TRUE;
    }
    if (bootstrap->kept != NULL && bootstrap_is_current(source, bootstrap->kept)) {
        bootstrap_say_age(context, source, bootstrap->kept);
        return TRUE;
    }
    return bootstrap_ask_mirror(context, source, bootstrap, error);
}

/* "the packages of bookworm are downloaded first, from its mirrors". Free it. */
static char *bootstrap_due_fetch(const json_t *source, const AptSources *sources)
{
    g_autoptr(GPtrArray) mirrors = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) lines = g_strsplit(sources->lines, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], " ", 3);
        if (g_strv_length(words) > 1 && !g_ptr_array_find_with_equal_func(mirrors, words[1], g_str_equal, NULL)) {
            g_ptr_array_add(mirrors, g_strdup(words[1]));
        }
    }
    g_ptr_array_add(mirrors, NULL);
    g_autofree char *list = g_strjoinv(", ", (char **)mirrors->pdata);
    return g_strdup_printf("the packages of %s are downloaded first, from %s",
                           json_string_value(json_object_get(source, "suite")), list);
}

static SourceLook bootstrap_look(const SourceContext *context, const json_t *source, gconstpointer resolved)
{
    (void)context;
    const Bootstrap *bootstrap = resolved;
    const Base *kept = bootstrap->kept;
    if (kept == NULL) {
        return (SourceLook){.due = g_strdup("there is no base yet: it is made first"),
                            .fetch = bootstrap_due_fetch(source, &bootstrap->sources)};
    }
    if (bootstrap_is_current(source, kept)) {
        return (SourceLook){.disk = g_strdup(kept->disk)};
    }
    g_autofree char *old = ingot_text_age((double)(bootstrap_now() - kept->asked));
    g_autofree char *limit = ingot_text_age((double)json_integer_value(json_object_get(source, "max_age")));
    return (SourceLook){
        .disk = g_strdup(kept->disk),
        .due = g_strdup_printf("the mirror was last asked %s ago (max_age %s): a build asks it first, and where it has "
                               "changed makes the base anew and runs every step",
                               old, limit)};
}

static gpointer bootstrap_identify(const SourceContext *context, const json_t *source, IngotHasher *hasher,
                                   GError **error)
{
    g_autoptr(Bootstrap) bootstrap = g_new0(Bootstrap, 1);
    if (!apt_sources(source, &bootstrap->sources, error) ||
        !apt_settings(&bootstrap->host_conf, &bootstrap->guest_conf, error)) {
        return NULL;
    }
    bootstrap->setup = bootstrap_setup_key(context, source, bootstrap);
    bootstrap->folder = source_kept(context, bootstrap->setup);
    if (!bootstrap_find_state(context, source, bootstrap, error)) {
        return NULL;
    }
    if (bootstrap->kept == NULL && !context->look) {
        g_free(bootstrap->folder);
        bootstrap->folder = source_place(context, bootstrap->setup, error);
        if (bootstrap->folder == NULL) {
            return NULL;
        }
    }
    const char *state = bootstrap->kept != NULL ? bootstrap->kept->state : bootstrap->state.digest;
    source_add_text(hasher, "bootstrap");
    source_add_text(hasher, bootstrap->setup);
    source_add_text(hasher, state == NULL ? "not known yet" : state);
    return g_steal_pointer(&bootstrap);
}

/* --- making it --- */

/* The recipe's packages, the bones, and a kernel unless the recipe chose one. */
static char *bootstrap_packages(const SourceContext *context, const json_t *source, const char *lines)
{
    g_autoptr(GString) list = g_string_new(NULL);
    const char *kernel = bootstrap_kernel(context, source);
    size_t i;
    json_t *package;
    json_array_foreach(json_object_get(source, "packages"), i, package)
    {
        g_string_append_printf(list, "%s,", json_string_value(package));
    }
    g_autofree char *needed = g_strjoinv(",", (char **)bones);
    g_string_append_printf(list, "%s%s%s", needed, kernel == NULL ? "" : ",", kernel == NULL ? "" : kernel);
    if (apt_needs_certificates(lines)) {
        g_string_append(list, "," CERTIFICATES);
    }
    return g_string_free(g_steal_pointer(&list), FALSE);
}

static gboolean bootstrap_make_tree(const SourceContext *context, const json_t *source, const Bootstrap *bootstrap,
                                    const char *tar, const char *workdir, GError **error)
{
    g_autofree char *conf = g_build_filename(workdir, "apt.conf", NULL);
    g_autofree char *logins = g_build_filename(workdir, "auth.conf", NULL);
    g_autofree char *settings = g_strdup_printf("%sDir::Etc::netrc \"%s\";\n", bootstrap->host_conf, logins);
    g_autofree char *packages = bootstrap_packages(context, source, bootstrap->state.lines);
    MmdebstrapOptions options = {
        .suite = json_string_value(json_object_get(source, "suite")),
        .sources = bootstrap->state.lines,
        .packages = packages,
        .pattern = GROWER,
        .apt_conf = conf,
        .time = bootstrap->state.time,
        .tar = tar,
        .workdir = workdir,
    };
    /* A proxy's settings may have a login too. */
    return apt_write_logins(&bootstrap->sources, logins, error) &&
           ingot_file_replace(conf, settings, strlen(settings), 0600, error) && mmdebstrap_run(&options, error);
}

/* One state gives one disk only if the mirror held still: it may be in the middle of an update. */
static gboolean bootstrap_check_state(const SourceContext *context, const json_t *source, const Bootstrap *bootstrap,
                                      GError **error)
{
    const char *distribution = json_string_value(json_object_get(source, "distribution"));
    g_auto(AptState) state = {0};
    if (!apt_state(&bootstrap->sources, distribution, context->workdir, &state, error)) {
        return FALSE;
    }
    if (strcmp(state.digest, bootstrap->state.digest) != 0) {
        g_set_error_literal(error, SOURCE_ERROR, SOURCE_ERROR_CHANGED,
                            "the mirror changed while its packages were fetched");
        return FALSE;
    }
    return TRUE;
}

/* What the cache remembers of a disk. */
static json_t *bootstrap_describe(const TreeFacts *facts, const AptState *state)
{
    g_autofree char *date = ingot_text_time(state->time);
    return ingot_json_pack("{s:O, s:O, s:o, s:s}", "os", facts->os, "packages", facts->packages, "apt",
                           ingot_json_text(state->lines), "date", date);
}

/* apt would refuse it in the middle of the installation, here and in the guest. */
static gboolean bootstrap_check_age(const Bootstrap *bootstrap, GError **error)
{
    gboolean minds = FALSE;
    if (bootstrap->state.expired == NULL) {
        return TRUE;
    }
    if (!apt_minds_age(&minds, error)) {
        return FALSE;
    }
    if (minds) {
        g_set_error(
            error, INGOT_ERROR, INGOT_ERROR_INVALID,
            "%s: past its Valid-Until, so that apt refuses it; for a mirror that is frozen, like the snapshot of a "
            "day, put 'Acquire::Check-Valid-Until \"false\";' into a file of /etc/apt/apt.conf.d on this host "
            "(the guest gets that setting too)",
            bootstrap->state.expired);
    }
    return !minds;
}

/* What the guest's sources.list has; what it lacks is said. */
static char *bootstrap_guest_lines(const SourceContext *context, const Bootstrap *bootstrap)
{
    char *lines = apt_guest_lines(bootstrap->state.lines);
    if (strcmp(lines, bootstrap->state.lines) != 0) {
        ingot_progress_message(context->progress,
                               "the guest's sources.list is %s: what only this host reaches (its folders, its loopback "
                               "addresses) is left out",
                               *lines == '\0' ? "empty" : "shorter than this host's");
    }
    return lines;
}

static Base *bootstrap_make_disk(const SourceContext *context, const json_t *source, const Bootstrap *bootstrap,
                                 const char *workdir, GError **error)
{
    g_autofree char *tar = g_build_filename(workdir, "tree.tar", NULL);
    g_autofree char *disk = g_build_filename(workdir, "disk.raw", NULL);
    g_autofree char *guest_lines = bootstrap_guest_lines(context, bootstrap);
    g_auto(TreeFacts) facts = {NULL, NULL};
    LayoutOptions options = {
        .path = disk,
        .size = bootstrap_disk_size(context),
        .key = bootstrap->setup,
        .time = bootstrap->state.time,
        .tree = tar,
        .apt = guest_lines,
        .apt_conf = bootstrap->guest_conf,
        .workdir = workdir,
    };
    gint64 asked = bootstrap_now();
    if (!bootstrap_check_age(bootstrap, error) ||
        !bootstrap_make_tree(context, source, bootstrap, tar, workdir, error) ||
        !bootstrap_check_state(context, source, bootstrap, error) || !tree_facts(tar, &facts, error) ||
        !layout_make(&options, error)) {
        return NULL;
    }
    g_autoptr(json_t) record = bootstrap_describe(&facts, &bootstrap->state);
    return base_publish(bootstrap->folder, disk, bootstrap->state.digest, asked, record, context->progress, error);
}

/* What the system is made from is also what it is updated from. Other distributions may have no suite of that kind. */
static void bootstrap_say_sources(const SourceContext *context, const json_t *source, const Bootstrap *bootstrap)
{
    static const char *const known[] = {"debian", "ubuntu", NULL};
    const char *suite = json_string_value(json_object_get(source, "suite"));
    if (g_strv_contains(known, json_string_value(json_object_get(source, "distribution"))) &&
        !apt_has_security(bootstrap->state.lines, suite)) {
        ingot_progress_message(context->progress,
                               "none of the base's apt sources is %s-security: security fixes come only if its mirror "
                               "has them in another suite, or a step adds that source",
                               suite);
    }
}

/* Under the key's lock: whatever lies in the folder for work is a killed build's. */
static Base *bootstrap_make(const SourceContext *context, const json_t *source, const Bootstrap *bootstrap,
                            GError **error)
{
    g_autofree char *workdir = g_strconcat(bootstrap->folder, ".making", NULL);
    g_autoptr(GError) left = NULL;
    if (!mmdebstrap_sweep(workdir, error) || !ingot_file_make_folder(workdir, error)) {
        return NULL;
    }
    ingot_progress_begin(context->progress, 0, "bootstrap %s %s",
                         json_string_value(json_object_get(source, "distribution")),
                         json_string_value(json_object_get(source, "suite")));
    Base *made = bootstrap_make_disk(context, source, bootstrap, workdir, error);
    gboolean removed = mmdebstrap_sweep(workdir, &left);
    if (made != NULL) {
        ingot_progress_end(context->progress, NULL);
        bootstrap_say_sources(context, source, bootstrap);
    }
    if (made != NULL && !removed) {
        ingot_progress_message(context->progress, "what the bootstrap worked with is left: %s", left->message);
    }
    return made;
}

/* --- using it --- */

/* What the image's config says: what the system was made from and, where that is not the same, its own list. */
static json_t *base_describe_source(const Base *base)
{
    json_t *apt = json_object_get(base->record, "apt");
    g_autofree char *list = apt_guest_lines(json_string_value(apt));
    json_t *source = ingot_json_pack("{s:s, s:O, s:O}", "kind", "bootstrap", "apt", apt, "date",
                                     json_object_get(base->record, "date"));
    if (strcmp(list, json_string_value(apt)) != 0) {
        json_object_set_new(source, "sources_list", ingot_json_text(list));
    }
    return source;
}

static Source *base_source(const Base *base)
{
    Source *source = source_new(g_strdup(base->disk), "raw");
    source->sealed = json_array();
    source->packages = json_incref(json_object_get(base->record, "packages"));
    json_object_set(source->config, "os", json_object_get(base->record, "os"));
    json_object_set_new(source->config, "firmware", ingot_json_pack("[ss]", "bios", "uefi"));
    json_object_set_new(source->config, "source", base_describe_source(base));
    return source;
}

/* The base of the very state that the plan has. */
static Source *bootstrap_use_kept(const SourceContext *context, const Bootstrap *bootstrap, GError **error)
{
    switch (kept_find(bootstrap->kept->disk, context->progress, error)) {
    case KEPT_WHOLE:
        return base_source(bootstrap->kept);
    case KEPT_NONE:
        g_set_error_literal(error, SOURCE_ERROR, SOURCE_ERROR_CHANGED, "the base that was kept is not there any more");
        return NULL;
    default:
        return NULL;
    }
}

static Source *bootstrap_use_new(const SourceContext *context, const json_t *source, const Bootstrap *bootstrap,
                                 GError **error)
{
    g_autoptr(Base) found = context->refresh ? NULL : base_read(bootstrap->folder);
    if (found != NULL && strcmp(found->state, bootstrap->state.digest) == 0) { /* another build has made it meanwhile */
        KeptState kept = kept_find(found->disk, context->progress, error);
        if (kept != KEPT_NONE) {
            return kept == KEPT_WHOLE ? base_source(found) : NULL;
        }
    }
    g_autoptr(Base) made = bootstrap_make(context, source, bootstrap, error);
    return made == NULL ? NULL : base_source(made);
}

static Source *bootstrap_prepare(const SourceContext *context, const json_t *source, gconstpointer resolved,
                                 GError **error)
{
    const Bootstrap *bootstrap = resolved;
    g_autoptr(GError) reads = NULL;
    g_autoptr(IngotLock) lock = source_lock(bootstrap->folder, &reads, error);
    if (reads != NULL && bootstrap->kept == NULL) {
        g_propagate_error(error, g_steal_pointer(&reads));
        return NULL;
    }
    Source *made = lock == NULL              ? NULL
                   : bootstrap->kept != NULL ? bootstrap_use_kept(context, bootstrap, error)
                                             : bootstrap_use_new(context, source, bootstrap, error);
    if (made != NULL) {
        base_tidy(bootstrap->folder, made->path, context->cache, context->needed);
    }
    return made;
}

static const Key bootstrap_keys[] = {
    {.name = "distribution",
     .help = "The distribution.",
     .kind = KIND_WORD,
     .words = WORDS("debian"),
     .fallback = "debian"},
    {.name = "suite",
     .help = "Its suite, like bookworm.",
     .kind = KIND_STRING,
     .required = TRUE,
     .pattern = "^[a-z0-9][a-z0-9.+/-]*$",
     .hint = "a suite like 'bookworm'"},
    {.name = "mirror",
     .help = "The mirror's URL; the build host's own package sources if it is left out.",
     .kind = KIND_STRING,
     .pattern = "^(https?|file|copy)://[^ ]+$",
     .hint = "a mirror's URL, http, https, file or copy"},
    {.name = "components",
     .help = "The archive's components.",
     .kind = KIND_STRING,
     .list = TRUE,
     .pattern = "^[a-z0-9][a-z0-9.-]*$",
     .hint = "a component like 'main'",
     .fallback = "[main]"},
    {.name = "packages",
     .help = "The packages to install besides the essential ones.",
     .kind = KIND_STRING,
     .list = TRUE,
     .pattern = PACKAGE,
     .hint = PACKAGE_HINT,
     .fallback = "[]"},
    {.name = "max_age",
     .help = "How long the base is used before the mirror is asked whether it has changed.",
     .kind = KIND_DURATION,
     .fallback = "7d"},
    END,
};
static const Shape bootstrap_shape = {
    .name = "bootstrap", .help = "What to install.", .keys = bootstrap_keys, .rule = rule_bootstrap};

static const Key source_bootstrap_keys[] = {
    {.name = "bootstrap", .kind = KIND_OBJECT, .required = TRUE, .spread = TRUE, .shape = &bootstrap_shape},
    END,
};
static const Shape source_bootstrap_shape = {
    .name = "sourceBootstrap", .help = "A new system from a distribution's packages.", .keys = source_bootstrap_keys};
const Variant recipe_source_bootstrap = {"bootstrap", "bootstrap", &source_bootstrap_shape};

const SourceKind source_bootstrap = {"bootstrap",    bootstrap_identify, bootstrap_free,
                                     bootstrap_look, bootstrap_prepare,  NULL};
