#include "server/catalogue/schema.h"

/* Times are seconds since 1970. A blob's pieces are their ids, 4 bytes little-endian each, in order: rows of their own
 * would be nine tenths of the catalogue. sum is row_sum() of the row's other columns that it depends on (rowsum.h): a
 * row that a flipped bit has changed is as if it were not there, and never names another thing; a record is an error
 * then (recordrows.h). (A piece needs none: its bytes are checked.) */
static const char first[] =
    /* How long the log of names is. */
    "CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    /* size: bytes of the file that count. */
    "CREATE TABLE packs (id INTEGER PRIMARY KEY, size INTEGER NOT NULL) STRICT;"
    "CREATE TABLE pieces (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, pack INTEGER NOT NULL REFERENCES packs,"
    " offset INTEGER NOT NULL, length INTEGER NOT NULL, damaged INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX pieces_by_place ON pieces (pack, offset);"
    /* pack: where the table that lists its pieces stands. */
    "CREATE TABLE blobs (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,"
    " pack INTEGER NOT NULL REFERENCES packs, pieces BLOB NOT NULL, sum INTEGER NOT NULL) STRICT;"
    "CREATE INDEX blobs_by_pack ON blobs (pack);"
    "CREATE TABLE repositories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, sum INTEGER NOT NULL)"
    " STRICT;"
    /* The repository has the blob. */
    "CREATE TABLE links (repository INTEGER NOT NULL REFERENCES repositories, blob INTEGER NOT NULL REFERENCES blobs,"
    " made INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (repository, blob)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX links_by_blob ON links (blob);"
    /* The repository has it as a manifest. */
    "CREATE TABLE manifests (repository INTEGER NOT NULL, blob INTEGER NOT NULL, type TEXT NOT NULL, subject BLOB,"
    " made INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (repository, blob), FOREIGN KEY (repository, blob) "
    "REFERENCES links)"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX manifests_by_subject ON manifests (repository, subject) WHERE subject IS NOT NULL;"
    /* What a manifest needs: a blob, or another manifest. */
    "CREATE TABLE mentions (repository INTEGER NOT NULL, manifest INTEGER NOT NULL, blob INTEGER NOT NULL,"
    " PRIMARY KEY (repository, manifest, blob), FOREIGN KEY (repository, manifest) REFERENCES manifests)"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX mentions_by_blob ON mentions (repository, blob);"
    "CREATE TABLE tags (repository INTEGER NOT NULL, name TEXT NOT NULL, blob INTEGER NOT NULL, made INTEGER NOT NULL,"
    " sum INTEGER NOT NULL, PRIMARY KEY (repository, name), FOREIGN KEY (repository, blob) REFERENCES manifests) "
    "STRICT, WITHOUT ROWID;"
    "CREATE INDEX tags_by_blob ON tags (repository, blob);"
    /* What a tag named before, and until when. */
    "CREATE TABLE history (repository INTEGER NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL,"
    " until INTEGER NOT NULL) STRICT;"
    "CREATE INDEX history_by_tag ON history (repository, name, until);";

/* What was worked out of all of an image's bytes for its views. It can be worked out again. */
static const char second[] =
    "CREATE TABLE measures (manifest BLOB NOT NULL, what TEXT NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL,"
    " PRIMARY KEY (manifest, what)) STRICT, WITHOUT ROWID;";

/* Who counts on pieces since when (leases.h), and what is to go (marks.h). */
static const char leases[] =
    "CREATE TABLE epoch (id INTEGER PRIMARY KEY CHECK (id=1), value INTEGER NOT NULL) STRICT;"
    "INSERT INTO epoch (id, value) VALUES (1, 1);"
    "CREATE TABLE leases (id TEXT PRIMARY KEY, until INTEGER NOT NULL, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "ALTER TABLE pieces ADD COLUMN mark INTEGER;"
    "CREATE INDEX pieces_marked ON pieces (id) WHERE mark IS NOT NULL;";

/* How far the log of events goes: one row. */
static const char events[] =
    "CREATE TABLE events_mark (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, size INTEGER NOT NULL,"
    " hash BLOB NOT NULL, sum INTEGER NOT NULL) STRICT;";

/* A manifest mentions a digest, not a row: what comes later, as to a cache, is then needed as well. */
static const char mentions_by_digest[] =
    "CREATE TABLE needed (repository INTEGER NOT NULL, manifest INTEGER NOT NULL, digest BLOB NOT NULL,"
    " PRIMARY KEY (repository, manifest, digest), FOREIGN KEY (repository, manifest) REFERENCES manifests)"
    " STRICT, WITHOUT ROWID;"
    "INSERT INTO needed (repository, manifest, digest) SELECT repository, manifest, digest FROM mentions JOIN blobs ON"
    " blobs.id=mentions.blob;"
    "DROP TABLE mentions;"
    "ALTER TABLE needed RENAME TO mentions;"
    "CREATE INDEX mentions_by_digest ON mentions (digest, repository);";

/* When a manifest was pulled last, and since when that is noted. */
static const char used[] =
    "CREATE TABLE used (repository INTEGER NOT NULL, manifest BLOB NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY (repository, manifest)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE used_since (at INTEGER NOT NULL) STRICT;"
    "INSERT INTO used_since (at) VALUES (CAST(strftime('%s', 'now') AS INTEGER));";

/* starts: where each window of a blob's pieces begins in the blob, 8 bytes little-endian each (blobmap.h); NULL: not
 * worked out yet, or there is one window. */
static const char windows[] = "ALTER TABLE blobs ADD COLUMN starts BLOB;"
                              "ALTER TABLE blobs ADD COLUMN starts_sum INTEGER;"
                              "CREATE INDEX pieces_damaged ON pieces (id) WHERE damaged;";

/* One row of counters that the triggers keep (counters.h): metrics are asked for often, and a scan is long. */
static const char counters[] =
    "CREATE TABLE counters (id INTEGER PRIMARY KEY CHECK (id=1), pieces INTEGER NOT NULL, damaged INTEGER NOT NULL,"
    " stored INTEGER NOT NULL, blobs INTEGER NOT NULL, logical INTEGER NOT NULL, packed INTEGER NOT NULL) STRICT;"
    "INSERT INTO counters (id, pieces, damaged, stored, blobs, logical, packed) SELECT 1, (SELECT count(*) FROM "
    "pieces),"
    " (SELECT count(*) FROM pieces WHERE damaged<>0), (SELECT coalesce(sum(length), 0) FROM pieces),"
    " (SELECT count(*) FROM blobs), (SELECT coalesce(sum(size), 0) FROM blobs),"
    " (SELECT coalesce(sum(size), 0) FROM packs);"
    "CREATE TRIGGER counters_piece_added AFTER INSERT ON pieces BEGIN UPDATE counters SET pieces=pieces+1,"
    " stored=stored+new.length, damaged=damaged+(new.damaged<>0); END;"
    "CREATE TRIGGER counters_piece_removed AFTER DELETE ON pieces BEGIN UPDATE counters SET pieces=pieces-1,"
    " stored=stored-old.length, damaged=damaged-(old.damaged<>0); END;"
    "CREATE TRIGGER counters_piece_damaged AFTER UPDATE OF damaged ON pieces WHEN old.damaged<>new.damaged BEGIN"
    " UPDATE counters SET damaged=damaged+(new.damaged<>0)-(old.damaged<>0); END;"
    "CREATE TRIGGER counters_blob_added AFTER INSERT ON blobs BEGIN UPDATE counters SET blobs=blobs+1,"
    " logical=logical+new.size; END;"
    "CREATE TRIGGER counters_blob_removed AFTER DELETE ON blobs BEGIN UPDATE counters SET blobs=blobs-1,"
    " logical=logical-old.size; END;"
    "CREATE TRIGGER counters_pack_added AFTER INSERT ON packs BEGIN UPDATE counters SET packed=packed+new.size; END;"
    "CREATE TRIGGER counters_pack_removed AFTER DELETE ON packs BEGIN UPDATE counters SET packed=packed-old.size; END;"
    "CREATE TRIGGER counters_pack_changed AFTER UPDATE OF size ON packs BEGIN"
    " UPDATE counters SET packed=packed+new.size-old.size; END;";

/* What upkeep goes by after a restart. */
static const char diary[] = "CREATE TABLE diary (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

/* Manifests that came from an upstream (cached.h). */
static const char cached[] = "CREATE TABLE cached (repository INTEGER NOT NULL, manifest BLOB NOT NULL,"
                             " PRIMARY KEY (repository, manifest)) STRICT, WITHOUT ROWID;";

/* Tags that follow an upstream. */
static const char cached_tags[] =
    "ALTER TABLE tags ADD COLUMN cached INTEGER NOT NULL DEFAULT 0;"
    "UPDATE tags SET cached=1 WHERE EXISTS (SELECT 1 FROM cached JOIN blobs ON blobs.digest=cached.manifest WHERE"
    " cached.repository=tags.repository AND blobs.id=tags.blob);";

/* Uploads that have begun and not ended (uploadrows.h). */
static const char uploads[] =
    "CREATE TABLE uploads (id TEXT PRIMARY KEY, name TEXT NOT NULL, user TEXT, owner TEXT NOT NULL,"
    " begun INTEGER NOT NULL, until INTEGER NOT NULL, size INTEGER NOT NULL, staged INTEGER NOT NULL, state BLOB)"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX uploads_by_name ON uploads (name, owner, staged);"
    "CREATE INDEX uploads_by_owner ON uploads (owner, staged);"
    "CREATE INDEX uploads_by_user ON uploads (user);";

/* What blobs are known by beside their SHA-256 (aliasrows.h); key: of the SHA-512, as base/ocidigest.h has it. */
static const char aliases[] =
    "CREATE TABLE aliases (key BLOB PRIMARY KEY, sha512 BLOB NOT NULL, digest BLOB NOT NULL, sum INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX aliases_by_digest ON aliases (digest);";

/* What kind of artifact a manifest is, '' for none; NULL: not looked up yet, as in what an older version wrote. */
static const char artifacts[] = "ALTER TABLE manifests ADD COLUMN artifact TEXT;"
                                "ALTER TABLE manifests ADD COLUMN artifact_sum INTEGER;"
                                "DROP INDEX manifests_by_subject;"
                                "CREATE INDEX manifests_by_subject ON manifests (repository, subject, artifact) WHERE"
                                " subject IS NOT NULL;";

/* Tags that were put with the SHA-512 of their manifest: answers name it by that. */
static const char named_tags[] = "ALTER TABLE tags ADD COLUMN sha512 INTEGER NOT NULL DEFAULT 0;";

/* What a rebuild found and nothing leads to (spared.h). */
static const char spared[] =
    "CREATE TABLE spared_pieces (piece INTEGER PRIMARY KEY, until INTEGER NOT NULL) STRICT;"
    "CREATE TABLE spared_packs (pack INTEGER PRIMARY KEY, until INTEGER NOT NULL) STRICT;"
    "CREATE TABLE spared_repositories (repository INTEGER PRIMARY KEY, until INTEGER NOT NULL) STRICT;";

/* What images stand on (baserows.h). */
static const char bases[] =
    "CREATE TABLE bases (image BLOB PRIMARY KEY, base BLOB NOT NULL, sum INTEGER NOT NULL) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX bases_by_base ON bases (base);";

/* What is kept of names as JSON (recordrows.h). */
static const char records[] =
    "CREATE TABLE records (kind TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,"
    " at INTEGER NOT NULL, by TEXT, reason TEXT, sum INTEGER NOT NULL, PRIMARY KEY (kind, name, key)) STRICT,"
    " WITHOUT ROWID;";

/* What any repository says of a digest. */
static const char records_by_key[] = "CREATE INDEX records_by_key ON records (kind, key);";

/* What the image calls its base's repository, NULL for nothing; name_sum NULL: not looked up yet, as in what an older
 * version wrote. */
static const char named_bases[] = "ALTER TABLE bases ADD COLUMN name TEXT;"
                                  "ALTER TABLE bases ADD COLUMN name_sum INTEGER;";

/* The channel of a record that is a move, "" where none can be read in it, so that a channel's moves are found however
 * many the name's others have made. NULL: not looked up yet, as in what an older server writes that still
 * has the folder open. (A trigger can't look it up: with trusted_schema off, SQLite lets none read JSON.) */
static const char moves_by_channel[] =
    "ALTER TABLE records ADD COLUMN channel TEXT;"
    "UPDATE records SET channel=coalesce(CASE WHEN json_valid(body) THEN json_extract(body, '$.tag') END, '')"
    " WHERE kind='move';"
    "CREATE INDEX moves_by_channel ON records (name, channel, key) WHERE kind='move';";

/* What was promoted, or is named by a tag that follows no upstream, counts as pushed: older versions have left it among
 * what came from an upstream, where eviction takes it. */
static const char promoted[] =
    "DELETE FROM cached WHERE (repository, manifest) IN (SELECT repository, digest FROM tags JOIN blobs ON"
    " blobs.id=tags.blob WHERE tags.cached=0) OR (repository, 'sha256:' || lower(hex(manifest))) IN"
    " (SELECT repositories.id, json_extract(body, '$.digest') FROM records JOIN repositories USING (name) WHERE"
    " kind='move' AND CASE WHEN json_valid(body) THEN json_extract(body, '$.how') IN ('promote', 'rollback') END);";

/* So does what an older server promotes that still has the folder open. */
#define PUSHED                                                                                                         \
    " BEGIN DELETE FROM cached WHERE repository=new.repository AND manifest="                                          \
    "(SELECT digest FROM blobs WHERE id=new.blob); END;"
static const char pushed_tags[] =
    "DELETE FROM cached WHERE (repository, manifest) IN (SELECT repository, digest FROM tags JOIN blobs ON"
    " blobs.id=tags.blob WHERE tags.cached=0);"
    "CREATE TRIGGER tags_pushed_added AFTER INSERT ON tags WHEN new.cached=0" PUSHED
    "CREATE TRIGGER tags_pushed_moved AFTER UPDATE OF blob, cached ON tags WHEN new.cached=0" PUSHED;

/* How often pipelines were put or removed (counters.h), by an older server that still has the folder open as well. */
#define PIPELINES_CHANGED " BEGIN UPDATE counters SET pipelines=pipelines+1; END;"
static const char pipelines[] =
    "ALTER TABLE counters ADD COLUMN pipelines INTEGER NOT NULL DEFAULT 0;"
    "CREATE TRIGGER counters_pipeline_put AFTER INSERT ON records WHEN new.kind='pipeline'" PIPELINES_CHANGED
    "CREATE TRIGGER counters_pipeline_removed AFTER DELETE ON records WHEN old.kind='pipeline'" PIPELINES_CHANGED;

const char *const schema_migrations[] = {
    first,          second,      leases,           events,   mentions_by_digest, used,       windows, counters, diary,
    cached,         cached_tags, uploads,          aliases,  artifacts,          named_tags, spared,  bases,    records,
    records_by_key, named_bases, moves_by_channel, promoted, pushed_tags,        pipelines};
const unsigned schema_count = sizeof schema_migrations / sizeof schema_migrations[0];
