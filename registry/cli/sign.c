#include <ingot/error.h>
#include <ingot/transfer.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/common.h"
#include "cli/evidence.h"
#include "cli/verbs.h"
#include "evidence/packages.h"
#include "evidence/testresult.h"
#include "remote/environment.h"
#include "store/meant.h"
#include "transfer/signatures.h"
#include "trust/intoto.h"
#include "trust/keyfile.h"

#define PREDICATE_MAX (2u << 20) /* bytes: in base64 it still fits into a bundle */

typedef struct {
    char *key, *attest, *type, *statement; /* as given */
} SignOptions;

static void sign_options_clear(SignOptions *options)
{
    g_free(options->key);
    g_free(options->attest);
    g_free(options->type);
    g_free(options->statement);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SignOptions, sign_options_clear)

static gboolean sign_check(const SignOptions *options, GError **error)
{
    if (options->key == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--key FILE is missing: the private key, or its URI; `ingot key generate FILE` makes one");
        return FALSE;
    }
    if ((options->attest == NULL) != (options->type == NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--attest FILE and --type TYPE go together: what is said of the image, and what kind it is");
        return FALSE;
    }
    if (options->statement != NULL && options->attest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--statement DIGEST signs what is attached already, --attest FILE what is in a file: give one");
        return FALSE;
    }
    if (options->type != NULL && (*options->type == '\0' || !g_utf8_validate(options->type, -1, NULL))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--type is empty or not UTF-8: a URI is expected");
        return FALSE;
    }
    return TRUE;
}

/* A test report that doesn't say when it was made would count as the newest for ever, and one without a recipe for
 * none: gates go by both. */
static gboolean sign_check_report(const char *what, const json_t *predicate, GError **error)
{
    const Statement statement = {.predicate_type = TEST_RESULT_PREDICATE, .predicate = predicate};
    g_autoptr(TestResult) result = test_result_read(&statement, NULL);
    g_autoptr(GDateTime) finished =
        result == NULL || result->finished == NULL ? NULL : g_date_time_new_from_iso8601(result->finished, NULL);
    if (result == NULL || finished == NULL || result->recipes->len == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a test report needs \"result\", \"configuration\": [{\"name\": RECIPE}] and \"ingot\":"
                    " {\"finished\": DATE}, as in 2026-11-30T05:00:00Z (`ingot test --key` makes and signs one)",
                    what);
        return FALSE;
    }
    return TRUE;
}

static json_t *sign_predicate(const SignOptions *options, GError **error)
{
    if (options->attest == NULL) {
        return json_object();
    }
    g_autoptr(GBytes) bytes = ingot_file_read(options->attest, PREDICATE_MAX, error);
    g_autoptr(json_t) predicate = bytes == NULL ? NULL
                                                : ingot_json_parse(g_bytes_get_data(bytes, NULL),
                                                                   g_bytes_get_size(bytes), options->attest, error);
    gboolean is_report = g_strcmp0(options->type, TEST_RESULT_PREDICATE) == 0;
    return predicate != NULL && (!is_report || sign_check_report(options->attest, predicate, error))
               ? g_steal_pointer(&predicate)
               : NULL;
}

/* A statement counts for each image that it names, by each of those names: what is signed says one thing of one image,
 * and that it is signed, with its name, `ingot sign` says by itself alone. */
static gboolean sign_check_statement(const Statement *statement, const IngotDigest *image, GError **error)
{
    size_t subjects = json_array_size(json_object_get(statement->root, "subject"));
    if (!statement_is_about(statement, image)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "it is about another image");
        return FALSE;
    }
    if (subjects != 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "it is about %zu things, and signed it would count for each of them; --attest FILE signs what it "
                    "says about this image alone",
                    subjects);
        return FALSE;
    }
    if (strcmp(statement->predicate_type, TRUST_SIGNED_PREDICATE) == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "it says that the image is signed, by a name of its own: without --statement, `ingot sign` says "
                    "that");
        return FALSE;
    }
    return strcmp(statement->predicate_type, TEST_RESULT_PREDICATE) != 0 ||
           sign_check_report("the statement", statement->predicate, error);
}

/* HOST/NAME:TAG, which a policy may hold against what is asked for. */
static char *sign_name(const IngotReference *reference)
{
    g_autoptr(IngotReference) named = ingot_reference_new(reference->host, reference->name, reference->tag, NULL);
    return ingot_reference_to_text(named);
}

typedef struct {
    const SignOptions *options;
    const TrustKey *key;
    const json_t *predicate; /* of a file */
    IngotDescriptor image;
    char *type; /* of the predicate that was signed */
    NewSignature made;
} Signing;

static void signing_clear(Signing *signing)
{
    g_free(signing->type);
    new_signature_clear(&signing->made);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Signing, signing_clear)

/* A statement that is attached goes as it is; a package list becomes one. */
static char *sign_content(Signing *signing, GBytes *content, const char *kind, const char *name, GError **error)
{
    gsize size;
    const char *bytes = g_bytes_get_data(content, &size);
    if (g_strcmp0(kind, INGOT_TYPE_SPDX) == 0) {
        g_autoptr(json_t) list = ingot_json_parse_bytes(content, "the package list", PACKAGES_VALUES, error);
        signing->type = g_strdup(PACKAGES_PREDICATE);
        return list == NULL ? NULL : intoto_write(&signing->image.digest, name, signing->type, list);
    }
    if (g_strcmp0(kind, STATEMENT_TYPE) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "it is neither a statement nor a package list, but %s",
                    kind == NULL ? "of an unknown type" : kind);
        return NULL;
    }
    g_autoptr(Statement) statement = statement_parse(bytes, size, error);
    if (statement == NULL || !sign_check_statement(statement, &signing->image.digest, error)) {
        return NULL;
    }
    signing->type = g_strdup(statement->predicate_type);
    return g_strndup(bytes, size);
}

static char *sign_attached(Signing *signing, const ImagePlace *place, const char *name, GError **error)
{
    const char *digest = signing->options->statement;
    g_autofree char *kind = NULL;
    IngotDigest attached;
    if (!ingot_digest_parse(digest, &attached, error)) {
        return NULL;
    }
    g_autoptr(GBytes) content = evidence_read(place, &attached, &signing->image.digest, PREDICATE_MAX, &kind, error);
    char *text = content == NULL ? NULL : sign_content(signing, content, kind, name, error);
    if (text == NULL) {
        g_prefix_error(error, "%s: ", digest);
    }
    return text;
}

/* The bundle about the image, which it calls so, signed. */
static gboolean sign_make(Signing *signing, const ImagePlace *place, const char *name, GError **error)
{
    const SignOptions *options = signing->options;
    g_autofree char *statement = NULL;
    if (options->statement != NULL) {
        statement = sign_attached(signing, place, name, error);
    } else {
        signing->type = g_strdup(options->type == NULL ? TRUST_SIGNED_PREDICATE : options->type);
        statement = intoto_write(&signing->image.digest, name, signing->type, signing->predicate);
    }
    char *bundle = statement == NULL ? NULL : trust_bundle_sign(signing->key, statement, error);
    if (bundle == NULL) {
        return FALSE;
    }
    new_signature_init(&signing->made, &signing->image, bundle, signing->type);
    return TRUE;
}

/* What the store calls it, where a digest alone was given: of several names, nobody knows which one is signed. Free it.
 */
static char *sign_name_in_store(IngotStore *store, IngotReference *reference, const IngotStoreEntry *entry,
                                GError **error)
{
    g_autofree char *said = ingot_reference_local_name(reference);
    if (strcmp(said, entry->name) != 0) {
        g_autoptr(IngotStoreEntry) only = meant_name(store, reference, error);
        return only == NULL ? NULL : ingot_name_to_text(only->name, only->tag);
    }
    if (reference->tag == NULL && reference->digest == NULL) {
        reference->tag = g_strdup(entry->tag);
    }
    return sign_name(reference);
}

static gboolean sign_in_store(Signing *signing, IngotReference *reference, GError **error)
{
    g_autoptr(IngotStore) store = cli_store(error);
    g_autoptr(IngotImage) image = store == NULL ? NULL : meant_image_open(store, reference, error);
    g_autofree char *name = image == NULL ? NULL : sign_name_in_store(store, reference, image->entry, error);
    if (name == NULL) {
        return FALSE;
    }
    signing->image = image->entry->manifest;
    const ImagePlace place = {.store = store};
    return sign_make(signing, &place, name, error) && signature_put_store(store, &signing->made, error);
}

/* Where the image was pulled already, it is verified in the store. The registry has the signature in any case. */
static void sign_in_store_too(const Signing *signing)
{
    g_autoptr(IngotStore) store = cli_store_to_read();
    g_autoptr(GError) problem = NULL;
    if (ingot_store_has(store, &signing->image.digest) && !signature_put_store(store, &signing->made, &problem)) {
        ingot_progress_warning(ingot_command_progress(),
                               "the signature is in the registry, but not in the store, which has the image too: %s",
                               problem->message);
    }
}

static gboolean sign_in_registry(Signing *signing, IngotReference *reference, GError **error)
{
    g_autoptr(IngotRemote) remote = environment_remote(reference->host, error);
    g_autoptr(GBytes) manifest =
        remote == NULL ? NULL : ingot_transfer_image_manifest(remote, reference, &signing->image, error);
    const ImagePlace place = {.remote = remote, .name = reference->name};
    g_autofree char *name = sign_name(reference);
    if (manifest == NULL || !sign_make(signing, &place, name, error) ||
        !signature_put_registry(remote, reference->name, &signing->made, error)) {
        return FALSE;
    }
    sign_in_store_too(signing);
    return TRUE;
}

static void sign_print(const Signing *signing, const IngotReference *reference)
{
    g_autofree char *text = ingot_reference_to_text(reference);
    if (!ingot_command_common()->json) {
        cli_print_result(text, &signing->image.digest);
        return;
    }
    g_autofree char *image = ingot_digest_to_text(&signing->image.digest);
    g_autofree char *manifest = ingot_digest_to_text(&signing->made.digest);
    g_autofree char *key = ingot_digest_to_text(trust_key_fingerprint(signing->key));
    g_autoptr(json_t) all = ingot_json_pack("{s:s, s:s, s:s, s:s, s:s}", "reference", text, "digest", image,
                                            "signature", manifest, "key", key, "type", signing->type);
    cli_print_json(all);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(SignOptions) options = {0};
    const GOptionEntry entries[] = {
        {"key", 0, 0, G_OPTION_ARG_FILENAME, &options.key, "the private key that signs: a file, or a URI (pkcs11:...)",
         "FILE|URI"},
        {"attest", 0, 0, G_OPTION_ARG_FILENAME, &options.attest, "sign this JSON as a predicate about the image",
         "FILE"},
        {"type", 0, 0, G_OPTION_ARG_STRING, &options.type, "the predicate's type, a URI", "TYPE"},
        {"statement", 0, 0, G_OPTION_ARG_STRING, &options.statement,
         "sign what is attached to the image by this digest: provenance, a report, a package list", "DIGEST"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_sign, entries, 1, 1, &argc, &argv, error) || !sign_check(&options, error)) {
        return FALSE;
    }
    g_autoptr(IngotReference) reference = ingot_reference_parse(argv[1], error);
    g_autoptr(json_t) predicate = reference == NULL ? NULL : sign_predicate(&options, error);
    g_autoptr(TrustKey) key = predicate == NULL ? NULL : trust_keyfile_read_private(options.key, error);
    g_auto(Signing) signing = {.options = &options, .key = key, .predicate = predicate};
    if (key == NULL || !(reference->host == NULL ? sign_in_store(&signing, reference, error)
                                                 : sign_in_registry(&signing, reference, error))) {
        return FALSE;
    }
    sign_print(&signing, reference);
    return TRUE;
}

const IngotVerb verb_sign = {
    "sign", "REF --key FILE", "sign an image, or a statement about it",
    "The signature is a Sigstore bundle, attached to the image as cosign 3 attaches its own: in the registry where\n"
    "REF has a host, and in the store too where that has the image; else in the store, from where a push takes it\n"
    "along. What is signed is the image's digest. With --attest, the JSON of FILE is signed as an in-toto statement\n"
    "about the image; with --statement, what is attached to it already, as `ingot show --json` lists it: look at it\n"
    "first, since whoever may push can attach anything. The passphrase is $INGOT_PASSPHRASE, or typed.\n"
    "A key in a token is named by its URI (RFC 7512): it signs there, by the provider for PKCS#11 that openssl.cnf\n"
    "names, as ingot(1) shows. The PIN comes as the passphrase does, or by the URI's pin-source.\n\n"
    "Examples:\n  ingot sign registry.example/team/web:1.0.0 --key release.key\n"
    "  ingot sign web:1.0.0 --key 'pkcs11:token=ci;object=release'\n"
    "  ingot sign web:1.0.0 --key ci.key --attest report.json \\\n"
    "      --type https://in-toto.io/attestation/test-result/v0.1\n",
    run};
