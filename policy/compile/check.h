/* SPDX-License-Identifier: MIT */
/* What the files of check share; nobody else includes it. */
#ifndef LEASH_CHECK_H
#define LEASH_CHECK_H

#include "work.h"

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

const char *leash_check_quote(struct leash_work *work, const char *text);
const char *leash_check_accepted(struct leash_work *work, const struct leash_key *key);
void leash_check_refuse(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value);
void leash_check_refuse_item(struct leash_work *work, const struct leash_key *key,
			     const struct leash_value *value, size_t index, const char *what);
void leash_check_unused(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value);
void leash_check_store32(struct leash_work *work, const struct leash_key *key, uint32_t value);
void leash_take_bool(struct leash_work *work, const struct leash_key *key,
		     const struct leash_value *value);
void leash_take_bool_inverted(struct leash_work *work, const struct leash_key *key,
			      const struct leash_value *value);
void leash_take_word(struct leash_work *work, const struct leash_key *key,
		     const struct leash_value *value);
void leash_take_int(struct leash_work *work, const struct leash_key *key,
		    const struct leash_value *value);
void leash_take_timeout(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value);
void leash_take_profile(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value);
bool leash_check_only_of(const char *text, const char *set);
void leash_take_appid(struct leash_work *work, const struct leash_key *key,
		      const struct leash_value *value);
void leash_take_version(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value);
void leash_take_referer(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value);
void leash_take_mode(struct leash_work *work, const struct leash_key *key,
		     const struct leash_value *value);
void leash_take_checked_word(struct leash_work *work, const struct leash_key *key,
			     const struct leash_value *value);
void leash_take_checked_bool(struct leash_work *work, const struct leash_key *key,
			     const struct leash_value *value);
void leash_take_unix_allow(struct leash_work *work, const struct leash_key *key,
			   const struct leash_value *value);
void leash_take_list(struct leash_work *work, const struct leash_key *key,
		     const struct leash_value *value);
void leash_take_domains_file(struct leash_work *work, const struct leash_key *key,
			     const struct leash_value *value);
void leash_take_signal(struct leash_work *work, const struct leash_key *key,
		       const struct leash_value *value);
void leash_take_lan_address(struct leash_work *work, const struct leash_key *key,
			    const struct leash_value *value);
void leash_take_lan_netmask(struct leash_work *work, const struct leash_key *key,
			    const struct leash_value *value);
void leash_take_servers(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value);
void leash_take_ports(struct leash_work *work, const struct leash_key *key,
		      const struct leash_value *value);
void leash_take_trust_dir(struct leash_work *work, const struct leash_key *key,
			  const struct leash_value *value);
void leash_take_extra_ca(struct leash_work *work, const struct leash_key *key,
			 const struct leash_value *value);
void leash_take_distrust(struct leash_work *work, const struct leash_key *key,
			 const struct leash_value *value);
const struct leash_place *leash_check_given(const struct leash_work *work, const char *path);

#endif
