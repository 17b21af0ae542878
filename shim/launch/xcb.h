/* SPDX-License-Identifier: MIT */
/*
 * The part of libxcb that focus.c uses, for dlopen(): neither building nor starting the command needs
 * libxcb. The binary interface of libxcb has been the same since 1.0; a unit test compares these
 * declarations with <xcb/xcb.h> where that is installed.
 */
#ifndef LEASH_LAUNCH_XCB_H
#define LEASH_LAUNCH_XCB_H

#include <stdint.h>

struct leash_xcb_screen { /* the start of it */
	uint32_t root;
};

struct leash_xcb_screens {
	struct leash_xcb_screen *data;
	int rem, index;
};

struct leash_xcb_cookie {
	unsigned int sequence;
};

struct leash_xcb_atom {
	uint8_t response_type, pad0;
	uint16_t sequence;
	uint32_t length, atom;
};

struct leash_xcb_property {
	uint8_t response_type, format;
	uint16_t sequence;
	uint32_t length, type, bytes_after, value_len;
	uint8_t pad0[12];
	/* the value follows */
};

struct leash_xcb_property_notify {
	uint8_t response_type, pad0;
	uint16_t sequence;
	uint32_t window, atom, time;
	uint8_t state, pad1[3];
};

#define LEASH_XCB_PROPERTY_NOTIFY     28
#define LEASH_XCB_CW_EVENT_MASK	      2048u
#define LEASH_XCB_MASK_PROPERTY	      4194304u
#define LEASH_XCB_ICONIC	      3u /* WM_STATE (ICCCM 4.1.3.1) */

/* name, result, parameters; `struct leash_xcb_connection` is never looked into */
#define LEASH_XCB_CALLS(CALL)                                                                      \
	CALL(connect, struct leash_xcb_connection *, (const char *, int *))                        \
	CALL(connection_has_error, int, (struct leash_xcb_connection *))                           \
	CALL(disconnect, void, (struct leash_xcb_connection *))                                    \
	CALL(get_file_descriptor, int, (struct leash_xcb_connection *))                            \
	CALL(get_setup, const void *, (struct leash_xcb_connection *))                             \
	CALL(setup_roots_iterator, struct leash_xcb_screens, (const void *))                       \
	CALL(screen_next, void, (struct leash_xcb_screens *))                                      \
	CALL(flush, int, (struct leash_xcb_connection *))                                          \
	CALL(poll_for_event, struct leash_xcb_property_notify *, (struct leash_xcb_connection *))  \
	CALL(intern_atom, struct leash_xcb_cookie,                                                 \
	     (struct leash_xcb_connection *, uint8_t, uint16_t, const char *))                     \
	CALL(intern_atom_reply, struct leash_xcb_atom *,                                           \
	     (struct leash_xcb_connection *, struct leash_xcb_cookie, void **))                    \
	CALL(get_property, struct leash_xcb_cookie,                                                \
	     (struct leash_xcb_connection *, uint8_t, uint32_t, uint32_t, uint32_t, uint32_t,      \
	      uint32_t))                                                                           \
	CALL(get_property_reply, struct leash_xcb_property *,                                      \
	     (struct leash_xcb_connection *, struct leash_xcb_cookie, void **))                    \
	CALL(change_window_attributes, struct leash_xcb_cookie,                                    \
	     (struct leash_xcb_connection *, uint32_t, uint32_t, const void *))

struct leash_xcb_connection;

struct leash_xcb {
#define LEASH_XCB_POINTER(name, ret, params) ret(*name) params;
	LEASH_XCB_CALLS(LEASH_XCB_POINTER)
#undef LEASH_XCB_POINTER
};

#endif
