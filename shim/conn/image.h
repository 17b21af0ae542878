/* SPDX-License-Identifier: MIT */
/*
 * The policy image of this process: inherited from `netleash run`, or made by the command
 * beside our object at the first question (hooks.md L6), or none: then everything INET is
 * refused and one line says why (L5).
 */
#ifndef LEASH_CONN_IMAGE_H
#define LEASH_CONN_IMAGE_H

#include "policy/policy.h"

/** leash_image_get() - The image, loaded if need be; NULL: there is none, and the line was written */
const struct leash_image *leash_image_get(void);

/** leash_image_peek() - The image if it was loaded before; never loads, never writes */
const struct leash_image *leash_image_peek(void);

#endif
