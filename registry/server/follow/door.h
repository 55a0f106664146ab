/* The doors of those who follow: /api/v1/events, which holds an answer open (feed.h), and what hosts report of
 * themselves (hosts.h), /api/v1/NAME/hosts[/CHANNEL], and what each is to run (hosttarget.h),
 * /api/v1/NAME/target/CHANNEL and /api/v1/NAME/rollouts. Whoever may pull a name may follow it, and report of it, once
 * logged in. */
#pragma once

#include "server/http/router.h"

extern const Route follow_routes[];
