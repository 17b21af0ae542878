/* build: -static */
/* SPDX-License-Identifier: MIT */
/* A program that cannot carry the shim: no PT_INTERP. */
#include <unistd.h>

int main(void)
{
	static const char text[] = "static ran\n";

	return write(1, text, sizeof(text) - 1) != sizeof(text) - 1;
}
