/* SPDX-License-Identifier: MIT */
/* shim/launch/xcb.h says in its own words what libxcb's headers say: do both say the same? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/launch/xcb.h"

#if __has_include(<xcb/xcb.h>)
#include <xcb/xcb.h>

#define SAME(ours, our_field, theirs, their_field)                                                 \
	do {                                                                                       \
		assert_int_equal(offsetof(ours, our_field), offsetof(theirs, their_field));        \
		assert_int_equal(sizeof(((ours *)NULL)->our_field),                                \
				 sizeof(((theirs *)NULL)->their_field));                           \
	} while (0)

static void structures(void **state)
{
	(void)state;
	SAME(struct leash_xcb_screen, root, xcb_screen_t, root);
	assert_int_equal(sizeof(struct leash_xcb_screens), sizeof(xcb_screen_iterator_t));
	SAME(struct leash_xcb_screens, data, xcb_screen_iterator_t, data);
	SAME(struct leash_xcb_screens, rem, xcb_screen_iterator_t, rem);
	assert_int_equal(sizeof(struct leash_xcb_cookie), sizeof(xcb_get_property_cookie_t));
	assert_int_equal(sizeof(struct leash_xcb_cookie), sizeof(xcb_intern_atom_cookie_t));
	assert_int_equal(sizeof(struct leash_xcb_cookie), sizeof(xcb_void_cookie_t));
	SAME(struct leash_xcb_cookie, sequence, xcb_get_property_cookie_t, sequence);
	SAME(struct leash_xcb_atom, atom, xcb_intern_atom_reply_t, atom);
	assert_int_equal(sizeof(struct leash_xcb_property), sizeof(xcb_get_property_reply_t));
	SAME(struct leash_xcb_property, format, xcb_get_property_reply_t, format);
	SAME(struct leash_xcb_property, value_len, xcb_get_property_reply_t, value_len);
	SAME(struct leash_xcb_property_notify, response_type, xcb_property_notify_event_t, response_type);
	SAME(struct leash_xcb_property_notify, window, xcb_property_notify_event_t, window);
	SAME(struct leash_xcb_property_notify, atom, xcb_property_notify_event_t, atom);
}

static void constants(void **state)
{
	(void)state;
	assert_int_equal(LEASH_XCB_PROPERTY_NOTIFY, XCB_PROPERTY_NOTIFY);
	assert_int_equal(LEASH_XCB_CW_EVENT_MASK, XCB_CW_EVENT_MASK);
	assert_int_equal(LEASH_XCB_MASK_PROPERTY, XCB_EVENT_MASK_PROPERTY_CHANGE);
	assert_int_equal(XCB_GET_PROPERTY_TYPE_ANY, 0);
}

/* The prototypes that xcb.h was written from: there, windows and atoms are uint32_t, errors and the setup void */
static void calls(void **state)
{
	(void)state;
#define TYPE_IS(name, type) assert_true(__builtin_types_compatible_p(__typeof__(xcb_##name), type))
	TYPE_IS(connect, xcb_connection_t *(const char *, int *));
	TYPE_IS(connection_has_error, int(xcb_connection_t *));
	TYPE_IS(disconnect, void(xcb_connection_t *));
	TYPE_IS(get_file_descriptor, int(xcb_connection_t *));
	TYPE_IS(get_setup, const struct xcb_setup_t *(xcb_connection_t *));
	TYPE_IS(setup_roots_iterator, xcb_screen_iterator_t(const xcb_setup_t *));
	TYPE_IS(screen_next, void(xcb_screen_iterator_t *));
	TYPE_IS(flush, int(xcb_connection_t *));
	TYPE_IS(poll_for_event, xcb_generic_event_t *(xcb_connection_t *));
	TYPE_IS(intern_atom,
		xcb_intern_atom_cookie_t(xcb_connection_t *, uint8_t, uint16_t, const char *));
	TYPE_IS(intern_atom_reply, xcb_intern_atom_reply_t *(xcb_connection_t *, xcb_intern_atom_cookie_t,
							     xcb_generic_error_t **));
	TYPE_IS(get_property, xcb_get_property_cookie_t(xcb_connection_t *, uint8_t, xcb_window_t,
							xcb_atom_t, xcb_atom_t, uint32_t, uint32_t));
	TYPE_IS(get_property_reply,
		xcb_get_property_reply_t *(xcb_connection_t *, xcb_get_property_cookie_t,
					   xcb_generic_error_t **));
	TYPE_IS(change_window_attributes,
		xcb_void_cookie_t(xcb_connection_t *, xcb_window_t, uint32_t, const void *));
	assert_int_equal(sizeof(xcb_window_t), sizeof(uint32_t));
	assert_int_equal(sizeof(xcb_atom_t), sizeof(uint32_t));
}
#else
static void structures(void **state)
{
	(void)state;
	skip(); /* no libxcb1-dev */
}
#define constants structures
#define calls	  structures
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structures),
		cmocka_unit_test(constants),
		cmocka_unit_test(calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
