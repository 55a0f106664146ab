#include "server/webhook/hooknotice.h"

#include <string.h>

#include "base/text.h"
#include "image/lifecycle.h"

static const char *const kinds[] = {"push",      "promote", "rollback", "delete",  "approve",  "withdraw",
                                    "deprecate", "disable", "revoke",   "restore", "pipeline", NULL};

const char *const *hook_kinds(void)
{
    return kinds;
}

void hook_notice_free(HookNotice *notice)
{
    if (notice != NULL) {
        g_free(notice->name);
        g_free(notice->channel);
        g_free(notice->tag);
        g_free(notice->digest);
        g_free(notice->by);
        g_free(notice->reason);
        g_free(notice->from);
        g_free(notice->body);
        g_free(notice);
    }
}

static char *text_of(const json_t *object, const char *member)
{
    return g_strdup(json_string_value(json_object_get(object, member)));
}

/* --- the kinds of events --- */

/* A cache that fetched it for somebody has pushed nothing, and deletes nothing when it lets go of it. */
static gboolean is_upstreams(const json_t *event)
{
    return g_strcmp0(json_string_value(json_object_get(event, "origin")), "upstream") == 0;
}

static void read_tag(HookNotice *notice, const json_t *event)
{
    notice->kind = is_upstreams(event) ? NULL : "push";
    notice->tag = text_of(event, "tag");
    notice->digest = text_of(event, "digest");
}

static void read_untag(HookNotice *notice, const json_t *event)
{
    notice->kind = is_upstreams(event) ? NULL : "delete";
    notice->tag = text_of(event, "tag");
}

static void read_move(HookNotice *notice, const char *key, const json_t *body)
{
    const char *how = json_string_value(json_object_get(body, "how"));
    (void)key;
    notice->kind = is_upstreams(body)                ? NULL
                   : g_strcmp0(how, "promote") == 0  ? "promote"
                   : g_strcmp0(how, "rollback") == 0 ? "rollback"
                   : g_strcmp0(how, "remove") == 0   ? "delete"
                                                     : "push";
    notice->channel = text_of(body, "tag");
    notice->digest = text_of(body, "digest");
    notice->forced = json_is_true(json_object_get(body, "forced"));
}

/* key: CHANNEL DIGEST USER */
static void read_approval(HookNotice *notice, const char *key, const json_t *body)
{
    g_auto(GStrv) words = g_strsplit(key, " ", 3);
    if (g_strv_length(words) == 3) {
        notice->kind = json_is_object(body) ? "approve" : "withdraw";
        notice->channel = g_strdup(words[0]);
        notice->digest = g_strdup(words[1]);
    }
}

/* The word that was said last. */
static void read_state(HookNotice *notice, const char *key, const json_t *body)
{
    static const char *const words[] = {[LIFECYCLE_ACTIVE] = "restore",
                                        [LIFECYCLE_DEPRECATED] = "deprecate",
                                        [LIFECYCLE_DISABLED] = "disable",
                                        [LIFECYCLE_REVOKED] = "revoke"};
    const json_t *said = json_object_get(body, "said");
    const json_t *last = json_array_size(said) == 0 ? NULL : json_array_get(said, json_array_size(said) - 1);
    if (last == NULL) {
        return;
    }
    notice->kind = words[lifecycle_of(last)];
    notice->digest = g_strdup(key);
    if (json_object_get(last, "reason") != NULL) {
        g_free(notice->reason);
        notice->reason = text_of(last, "reason");
    }
    gint64 from = lifecycle_from(last);
    notice->from = from > notice->at ? ingot_text_time(from) : NULL;
}

static void read_pipeline(HookNotice *notice, const char *key, const json_t *body)
{
    (void)key, (void)body;
    notice->kind = "pipeline";
}

static void read_record(HookNotice *notice, const json_t *event)
{
    static const struct {
        const char *kind;
        void (*read)(HookNotice *notice, const char *key, const json_t *body);
    } records[] = {
        {"move", read_move}, {"approval", read_approval}, {"state", read_state}, {"pipeline", read_pipeline}};
    const char *kind = json_string_value(json_object_get(event, "kind"));
    const char *key = json_string_value(json_object_get(event, "key"));
    for (guint i = 0; i < G_N_ELEMENTS(records); i++) {
        if (g_strcmp0(kind, records[i].kind) == 0) {
            records[i].read(notice, key == NULL ? "" : key, json_object_get(event, "body"));
        }
    }
}

HookNotice *hook_notice_read(guint64 number, const json_t *event)
{
    static const struct {
        const char *op;
        void (*read)(HookNotice *notice, const json_t *event);
    } operations[] = {{"tag", read_tag}, {"untag", read_untag}, {"record", read_record}};
    const char *op = json_string_value(json_object_get(event, "op"));
    g_autoptr(HookNotice) notice = g_new0(HookNotice, 1);
    notice->number = number;
    notice->at = json_integer_value(json_object_get(event, "at"));
    notice->name = text_of(event, "name");
    notice->by = text_of(event, "by");
    notice->reason = text_of(event, "why");
    for (guint i = 0; i < G_N_ELEMENTS(operations); i++) {
        if (g_strcmp0(op, operations[i].op) == 0) {
            operations[i].read(notice, event);
        }
    }
    return notice->kind == NULL || notice->name == NULL ? NULL : g_steal_pointer(&notice);
}

gboolean hook_notice_completes(const HookNotice *later, const HookNotice *before)
{
    return later->number == before->number + 1 && later->channel != NULL && before->tag != NULL &&
           strcmp(later->channel, before->tag) == 0 && strcmp(later->name, before->name) == 0;
}

/* --- what is sent --- */

char *hook_notice_id(const HookNotice *notice)
{
    return g_strdup_printf("event-%" G_GUINT64_FORMAT, notice->number);
}

char *hook_notice_write(const HookNotice *notice, const char *version)
{
    g_autoptr(json_t) object = json_object();
    g_autofree char *id = hook_notice_id(notice), *at = ingot_text_time(notice->at);
    ingot_json_set_string(object, "id", id);
    ingot_json_set_string(object, "kind", notice->kind);
    ingot_json_set_string(object, "name", notice->name);
    ingot_json_set_string(object, "channel", notice->channel);
    ingot_json_set_string(object, "tag", notice->tag);
    ingot_json_set_string(object, "digest", notice->digest);
    ingot_json_set_string(object, "version", version);
    ingot_json_set_string(object, "at", at);
    ingot_json_set_string(object, "by", notice->by);
    ingot_json_set_string(object, "reason", notice->reason);
    ingot_json_set_string(object, "from", notice->from);
    if (notice->forced) {
        json_object_set_new(object, "forced", json_true());
    }
    return ingot_json_canonical(object);
}
