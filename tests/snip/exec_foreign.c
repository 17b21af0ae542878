/* build: -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 */
/* SPDX-License-Identifier: MIT */
/* Another libc's interpreter, whether or not it is installed. */
int main(void)
{
	return 0;
}
