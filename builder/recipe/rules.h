/* Rules: what holds between the keys of one map, which the tables of keys.c can't say.
 *
 * Each looks at a map that was checked key by key, reports what does not fit together, and finishes the checked object.
 */
#pragma once

#include "recipe/values.h"

void rule_recipe(const Check *check, const YamlNode *map, json_t *checked);
void rule_source_recipe(const Check *check, const YamlNode *map, json_t *checked);
void rule_bootstrap(const Check *check, const YamlNode *map, json_t *checked);
void rule_from(const Check *check, const YamlNode *map, json_t *checked);
void rule_session(const Check *check, const YamlNode *map, json_t *checked);
void rule_step(const Check *check, const YamlNode *map, json_t *checked);
void rule_reboot(const Check *check, const YamlNode *map, json_t *checked);
void rule_transfer(const Check *check, const YamlNode *map, json_t *checked);
void rule_content(const Check *check, const YamlNode *map, json_t *checked);
