/* The verbs of `ingot`, one file each; main.c lists them. */
#pragma once

#include <ingot/store.h>

#include "base/command.h"

extern const IngotVerb verb_approve, verb_channels, verb_deprecate, verb_descendants, verb_disable, verb_export,
    verb_follow, verb_formats, verb_fsck, verb_gc, verb_history, verb_images, verb_import, verb_key, verb_log,
    verb_login, verb_logout, verb_ls, verb_pack, verb_promote, verb_publish, verb_pull, verb_push, verb_restore,
    verb_revoke, verb_rm, verb_rollback, verb_show, verb_sign, verb_tag, verb_vagrant, verb_verify;
