/* SPDX-License-Identifier: MIT */
/*
 * Entries of the escape hatches (hooks.md 3.8, hook_dl.h). Jumps, not calls, to the real
 * functions: they must find the caller's link register and stack arguments in place. They go
 * by x16, from which a branch may land on a "bti c".
 */

	.macro	FUNCTION name
	.globl	\name
	.type	\name, %function
	.p2align 4
\name:
	.cfi_startproc
	hint	#34				/* bti c */
	.endm

	.macro	END name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	/* Signed link register and the argument registers, 48 bytes */
	.macro	SAVE
	hint	#25				/* paciasp */
	.cfi_negate_ra_state
	stp	x29, x30, [sp, #-48]!
	.cfi_adjust_cfa_offset 48
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	stp	x0, x1, [sp, #16]
	str	x2, [sp, #32]
	.endm

	.macro	RESTORE
	ldp	x0, x1, [sp, #16]
	ldr	x2, [sp, #32]
	ldp	x29, x30, [sp], #48
	.cfi_adjust_cfa_offset -48
	.cfi_restore x29
	.cfi_restore x30
	hint	#29				/* autiasp */
	.cfi_negate_ra_state
	.endm

	/* SAVE, and the other argument registers */
	.macro	KEEP
	SAVE
	sub	sp, sp, #48
	.cfi_adjust_cfa_offset 48
	stp	x3, x4, [sp]
	stp	x5, x6, [sp, #16]
	str	x7, [sp, #32]
	.endm

	.macro	BACK
	ldp	x3, x4, [sp]
	ldp	x5, x6, [sp, #16]
	ldr	x7, [sp, #32]
	add	sp, sp, #48
	.cfi_adjust_cfa_offset -48
	RESTORE
	.endm

	.macro	LOAD reg, name
	adrp	\reg, \name
	ldr	\reg, [\reg, #:lo12:\name]
	.endm

	.hidden	leash_real_dlsym, leash_real_dlvsym, leash_real_dlopen, leash_real_dlmopen
	.hidden	leash_real_syscall, leash_syscall_mediated, leash_syscall
	.hidden	leash_real_vfork, leash_real_clone, leash_proc_sharing
	.hidden	leash_dl_ask, leash_dl_ask_version, leash_dl_open, leash_dl_mopen, leash_dl_bind

	.text

/* void *dlsym(void *handle, const char *name) */
FUNCTION dlsym
	mov	x3, x30				/* return address, before it is signed */
	SAVE
	mov	x2, xzr				/* no version */
	bl	leash_dl_ask
	mov	x16, x0
	RESTORE
	cbz	x16, 1f
	cmp	x16, #1				/* LEASH_DL_MISSING */
	csel	x0, xzr, x16, eq
	ret
1:	LOAD	x16, leash_real_dlsym
	br	x16
END dlsym

/* void *dlvsym(void *handle, const char *name, const char *version) */
FUNCTION dlvsym
	mov	x3, x30
	SAVE
	bl	leash_dl_ask_version
	mov	x16, x0
	RESTORE
	cbz	x16, 1f
	cmp	x16, #1
	csel	x0, xzr, x16, eq
	ret
1:	LOAD	x16, leash_real_dlvsym
	br	x16
END dlvsym

/* void *dlopen(const char *file, int mode) */
FUNCTION dlopen
	SAVE
	add	x0, sp, #16			/* struct leash_dl_open_args */
	bl	leash_dl_open
	RESTORE
	LOAD	x16, leash_real_dlopen
	br	x16
END dlopen

/* void *dlmopen(Lmid_t ns, const char *file, int mode) */
FUNCTION dlmopen
	SAVE
	add	x0, sp, #16			/* struct leash_dl_mopen_args */
	bl	leash_dl_mopen
	RESTORE
	LOAD	x16, leash_real_dlmopen
	br	x16
END dlmopen

/*
 * long syscall(long nr, ...): leash_syscall() takes the same seven arguments in the same
 * places, so a mediated number is a jump as well. The kernel takes the number from 32 bits
 * of its register.
 */
FUNCTION syscall
	cmp	w0, #512
	b.hs	1f				/* negative ones too */
	adrp	x16, leash_syscall_mediated
	add	x16, x16, #:lo12:leash_syscall_mediated
	lsr	w17, w0, #6
	ldr	x16, [x16, x17, lsl #3]
	lsr	x16, x16, x0			/* nr % 64 */
	tbz	x16, #0, 1f
	b	leash_syscall
1:	LOAD	x16, leash_real_syscall
	cbz	x16, 2f
	/* clone, clone3: a child that may share our memory (core/proc.h) */
	cmp	w0, #220
	b.eq	3f
	cmp	w0, #435
	b.eq	3f
	br	x16
	/* Before our constructor: bind, with all arguments kept. */
2:	KEEP
	bl	leash_dl_bind
	BACK
	LOAD	x16, leash_real_syscall
	br	x16
3:	KEEP
	bl	leash_proc_sharing
	BACK
	LOAD	x16, leash_real_syscall
	br	x16
END syscall

/* pid_t vfork(void): returns twice, so nothing of ours may be on the stack (core/proc.h) */
FUNCTION vfork
	KEEP
	bl	leash_dl_bind
	bl	leash_proc_sharing
	BACK
	LOAD	x16, leash_real_vfork
	br	x16
END vfork
	.globl	__vfork
	.set	__vfork, vfork

/* int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...) */
FUNCTION clone
	KEEP
	bl	leash_dl_bind
	bl	leash_proc_sharing
	BACK
	LOAD	x16, leash_real_clone
	br	x16
END clone
	.globl	__clone
	.set	__clone, clone

	.section .note.GNU-stack, "", %progbits

	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5			/* name size, descriptor size, NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.long	0xc0000000, 4, 3, 0		/* GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI, PAC */
